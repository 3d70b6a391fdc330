"""The skills that the model card reports: what is asked, in which phrasings, with which options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.smollm2.data import Photo, chosen
from training.smollm2.words import COLOURS, ITEMS

TOP_TYPES = (
    "Tshirts", "Shirts", "Casual Shoes", "Tops", "Kurtas", "Sports Shoes", "Watches", "Handbags",
    "Sunglasses", "Heels", "Sweaters", "Sandals", "Wallets", "Flip Flops", "Sweatshirts",
    "Belts", "Formal Shoes", "Trousers", "Socks", "Jeans",
)  # fmt: skip


@dataclass(frozen=True)
class Phrasing:
    """A question, and the form in which an option is put as the assistant's answer."""

    question: str
    form: str = "{}"

    def __str__(self) -> str:
        return self.question if self.form == "{}" else f"{self.question} -> {self.form}"


@dataclass(frozen=True)
class Skill:
    """`truth` gives a photo's right option, None where the photo does not count."""

    name: str
    domain: str
    options: tuple[str, ...]
    phrasings: tuple[Phrasing, ...]
    truth: Callable[[Photo], str | None]
    target: float | None = None

    def usable(self, photos: Sequence[Photo]) -> list[Photo]:
        return [p for p in photos if self.truth(p) in self.options]


def type_name(photo: Photo) -> str | None:
    return ITEMS[photo.label] if photo.label in TOP_TYPES else None


def asked(line: str, statement: str, *questions: str) -> tuple[Phrasing, ...]:
    """The questions with bare options, then a line of the fact sheet and a statement as answers."""
    forms = (("Fill in the form.", f"{line}: {{}}"), ("What do you see?", f"{statement} {{}}"))
    return (*map(Phrasing, questions), *(Phrasing(q, f) for q, f in forms))


SKILLS = (
    Skill(
        "category", "products", ("clothing", "footwear", "accessory"),
        asked("type", "The type is", "What is the type of the product?", "Complete: type:",
              "Is it clothing, footwear or accessory?"),
        lambda p: p.facts.category, 0.90,
    ),
    Skill(
        "article type (top 20)", "products", tuple(dict.fromkeys(ITEMS[t] for t in TOP_TYPES)),
        asked("item", "The item is", "What is this?", "item:",
              "Name the article in one or two words."),
        type_name, 0.65,
    ),
    Skill(
        "colour (11 groups)", "products", COLOURS,
        asked("color", "The color is", "What color is it?", "color:",
              "Name the main color in one word."),
        lambda p: p.facts.color, 0.60,
    ),
    Skill(
        "gender", "products", ("men", "women", "everyone"),
        asked("made for", "It is made for", "Who is it made for?", "Complete: made for:",
              "Is it for men, women or everyone?"),
        lambda p: p.facts.audience,
    ),
    Skill(
        "usage", "products", ("casual", "formal", "sports", "ethnic"),
        asked("use", "The use is", "What is it used for?", "Complete: use:",
              "Is it casual, formal, sports or ethnic?"),
        lambda p: p.facts.usage,
    ),
    Skill(
        "textile grade", "textiles", ("good", "damaged", "wrong"),
        asked("condition", "The condition is", "What is the condition?",
              "Is it good, damaged or wrong?"),
        lambda p: p.facts.condition,
    ),
    Skill(
        "solar cell", "solar", ("good", "broken"),
        asked("condition", "The condition is", "What is the condition?", "Is it good or broken?"),
        lambda p: p.facts.condition,
    ),
)  # fmt: skip
CAPTIONS = ("Describe the product.", "Write a caption.", "What does the photo show?")


def sample(photos: Sequence[Photo], skill_domain: str, split: str, count: int) -> list[Photo]:
    """Every k-th photo of a split: the same ones each time, spread over the whole."""
    some = chosen(photos, skill_domain, split)
    step = max(1, len(some) // count)
    return some[::step][:count]
