"""The words for a scene: vocabulary, descriptions and questions."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from training.language.phrasing import HELD_OUT, composed, noun_phrase, upper_first
from training.scene import (
    COLOURS,
    CONDITIONS,
    KINDS,
    MARKS,
    PATTERNS,
    PHOTOS,
    SIZES,
    SURFACES,
    Item,
    Scene,
)

NUMBERS = ("one", "two", "three")
VALUES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "colour": COLOURS,
    "pattern": PATTERNS,
    "size": SIZES,
    "surface": SURFACES,
    "condition": CONDITIONS,
    "photo": PHOTOS,
    "mark": tuple("unmarked" if m == "clean" else m for m in MARKS),
    "count": NUMBERS,
}
ITEM_ATTRIBUTES = ("kind", "colour", "pattern", "size")
SCENE_ATTRIBUTES = ("surface", "condition", "photo", "mark", "count")


@dataclass(frozen=True)
class Turn:
    """One question and its answer; `skill` names the row of the skills table it belongs to."""

    skill: str
    question: str
    answer: str
    options: tuple[str, ...] = ()


def value(scene: Scene, attribute: str, item: int = 0) -> str:
    """The word for an attribute of the scene, or of one of its items."""
    if attribute in ITEM_ATTRIBUTES:
        return str(getattr(scene.items[item], attribute))
    if attribute == "count":
        return NUMBERS[scene.count - 1]
    if attribute == "mark":
        return "unmarked" if scene.mark == "clean" else scene.mark
    return str(getattr(scene, attribute))


def plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("s", "sh", "ch")) else "s")


def phrase(item: Item) -> str:
    return f"a {item.size} {item.colour} {item.pattern} {item.kind}"


def describe(scene: Scene) -> str:
    """The model's own sentence for a picture: all attributes in a fixed order."""
    first = scene.items[0]
    if scene.layout == "pair":
        goods = f"{phrase(first)} on the left and {phrase(scene.items[1])} on the right"
    elif scene.layout == "group":
        number = NUMBERS[scene.count - 1]
        goods = f"{number} {first.size} {first.colour} {first.pattern} {plural(first.kind)}"
    else:
        goods = phrase(first)
    tail = ", ".join(value(scene, a) for a in ("condition", "photo", "mark"))
    return f"{goods} on a {scene.surface} table, {tail}"


NOUNS = ("item", "product", "object", "article", "thing")
NAMES: dict[str, tuple[str, ...]] = {
    "kind": ("kind", "type", "category"),
    "colour": ("colour", "color", "main colour"),
    "pattern": ("pattern", "surface pattern"),
    "size": ("size",),
    "surface": ("surface", "background", "table"),
    "condition": ("condition", "state"),
    "photo": ("photo quality", "picture quality", "image quality"),
    "mark": ("watermark status", "marking"),
    "count": ("number", "count"),
}
GENERIC = (
    "What {a} is {the}?",
    "What is the {a} of {the}?",
    "What {a} does {the} have?",
    "Which {a} does {the} have?",
    "Which {a} is {the}?",
    "Name the {a} of {the}.",
    "State the {a} of {the}.",
    "Give the {a} of {the}.",
    "Tell me the {a} of {the}.",
    "Identify the {a} of {the}.",
    "Look at {the}. What {a} is it?",
    "Look at the picture. What is the {a} of {the}?",
    "{the}: {a}?",
)
SPECIAL: dict[str, tuple[str, ...]] = {
    "kind": (
        "What is {the}?",
        "What kind of thing is {the}?",
        "What kind of item is {the}?",
        "What do you call {the}?",
        "Which product is {the}?",
        "Name {the}.",
    ),
    "colour": ("How is {the} coloured?", "In which colour is {the}?"),
    "pattern": ("How is {the} decorated?", "Is {the} plain, striped, dotted or checked?"),
    "size": ("How big is {the}?", "How large is {the}?", "Is {the} small, medium or large?"),
    "surface": (
        "What is the background?",
        "What does {the} lie on?",
        "What kind of table is it?",
        "Which surface is below {the}?",
        "Is the table light, dark, wooden or tiled?",
    ),
    "condition": (
        "What condition is {the} in?",
        "In which condition is {the}?",
        "What damage does {the} have?",
        "Is {the} intact, scratched or stained?",
        "How is the condition?",
    ),
    "photo": (
        "How is the photo?",
        "What is the photo quality?",
        "What is the quality of the picture?",
        "How good is the photo?",
        "Is the photo sharp, blurred or dim?",
    ),
    "mark": (
        "Is the picture watermarked or unmarked?",
        "Is the photo unmarked or watermarked?",
        "What is the watermark status?",
    ),
    "count": (
        "How many items are there?",
        "How many items do you see?",
        "How many things are in the picture?",
        "Count the items.",
        "What is the number of items?",
    ),
}


def subject(rng: Random, scene: Scene, item: int) -> str:
    """How a question names an item: with its side where there are two different ones."""
    noun = rng.choice(NOUNS)
    if scene.layout != "pair":
        return f"the {noun}" if rng.random() < 0.8 else f"this {noun}"
    side = ("left", "right")[item]
    return rng.choice((f"the {side} {noun}", f"the {noun} on the {side}"))


def attribute_question(
    rng: Random, scene: Scene, attribute: str, item: int, heldout: bool = False
) -> str:
    """A question for one attribute, in a phrasing of training or in a held-out one."""
    the = subject(rng, scene, item)
    name = rng.choice(NAMES[attribute])
    if heldout:
        np = noun_phrase(rng, attribute, name, the)
        return rng.choice(HELD_OUT["attribute"]).format(np=np, Np=upper_first(np))
    if rng.random() < 0.5:
        return composed(rng, attribute, name, the)
    if attribute in SCENE_ATTRIBUTES or rng.random() < 0.4:
        pattern = rng.choice(SPECIAL[attribute])
    else:
        pattern = rng.choice(GENERIC)
    return upper_first(pattern.format(the=the, a=name))


def bearer(rng: Random, scene: Scene, attribute: str, item: int) -> str:
    """What a verdict on an attribute is about: the item, its table, or the photo."""
    if attribute in ("photo", "mark"):
        return rng.choice(("the photo", "the picture", "this photo", "the image"))
    if attribute == "surface":
        return rng.choice(("the table", "the background", "the surface"))
    return subject(rng, scene, item)


def pick_attribute(rng: Random) -> str:
    return rng.choice(ITEM_ATTRIBUTES if rng.random() < 0.6 else SCENE_ATTRIBUTES)


def pick_item(rng: Random, scene: Scene) -> int:
    return rng.randrange(2) if scene.layout == "pair" else 0


def distractors(rng: Random, attribute: str, right: str, count: int) -> list[str]:
    others = [v for v in VALUES[attribute] if v != right]
    options = [right, *rng.sample(others, min(count, len(others)))]
    rng.shuffle(options)
    return options
