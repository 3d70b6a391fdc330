"""The skills that the model card reports: what is asked, in which wordings, with which options."""

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
class Skill:
    """`truth` gives a photo's right option, None where the photo does not count."""

    name: str
    domain: str
    options: tuple[str, ...]
    wordings: tuple[str, ...]
    truth: Callable[[Photo], str | None]
    wanted: float | None = None

    def usable(self, photos: Sequence[Photo]) -> list[Photo]:
        return [p for p in photos if self.truth(p) in self.options]


def type_name(photo: Photo) -> str | None:
    return ITEMS[photo.label] if photo.label in TOP_TYPES else None


SKILLS = (
    Skill(
        "category", "products", ("clothing", "footwear", "accessory"),
        ("What is the type of the product?", "Complete: type:", "type:",
         "Is it clothing, footwear or accessory?", "What category is this? Answer with one word.",
         "Which kind of goods does the photo show: clothing, footwear or accessory?"),
        lambda p: p.facts.category, 0.90,
    ),
    Skill(
        "article type (top 20)", "products", tuple(dict.fromkeys(ITEMS[t] for t in TOP_TYPES)),
        ("What is this?", "Complete: item:", "item:", "What product is shown?",
         "Name the article in one or two words.", "What do you see in the photo?"),
        type_name, 0.65,
    ),
    Skill(
        "colour (11 groups)", "products", COLOURS,
        ("What color is it?", "Complete: color:", "color:", "What colour is the product?",
         "Name the main color in one word.", "Which colour do you see?"),
        lambda p: p.facts.color, 0.60,
    ),
    Skill(
        "gender", "products", ("men", "women", "everyone"),
        ("Who is it made for?", "Complete: made for:", "made for:",
         "Is it for men, women or everyone?", "For whom is this product? Answer with one word.",
         "Who would wear this?"),
        lambda p: p.facts.audience,
    ),
    Skill(
        "usage", "products", ("casual", "formal", "sports", "ethnic"),
        ("What is it used for?", "Complete: use:", "use:",
         "Is it casual, formal, sports or ethnic?", "What is the style? Answer with one word.",
         "For what occasion is it?"),
        lambda p: p.facts.usage,
    ),
    Skill(
        "textile grade", "textiles", ("good", "damaged", "wrong"),
        ("What is the condition?", "Complete: condition:", "Is it good, damaged or wrong?",
         "How good is the fabric?"),
        lambda p: p.facts.condition,
    ),
    Skill(
        "solar cell", "solar", ("good", "broken"),
        ("What is the condition?", "Complete: condition:", "Is it good or broken?",
         "How good is the solar cell?"),
        lambda p: p.facts.condition,
    ),
)  # fmt: skip
CAPTIONS = ("Describe the product.", "Write a caption.", "What does the photo show?")


def sample(photos: Sequence[Photo], skill_domain: str, split: str, count: int) -> list[Photo]:
    """Every k-th photo of a split: the same ones each time, spread over the whole."""
    some = chosen(photos, skill_domain, split)
    step = max(1, len(some) // count)
    return some[::step][:count]
