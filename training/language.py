"""What is asked about a scene and what a right answer is: the skills, in many phrasings.

Every function takes a scene (never a picture) and a `random.Random`, and returns a `Turn`. The
same turns train the model and, in the held-out phrasings (`heldout=True`), measure it. No sample
task is known here: private labels are drawn at random for every question.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

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


# --- descriptions --------------------------------------------------------------------------------


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


DESCRIBE = (
    "Describe the picture.",
    "Describe the picture in one sentence.",
    "What does the picture show?",
    "Describe this photo.",
    "Describe what you see.",
    "Give a short description of the picture.",
    "Describe the item.",
    "Write a caption.",
    "Caption this picture.",
    "What can be seen here? Describe it.",
)
DESCRIBE_HELD = ("Please describe this image.", "Tell me what is in the photo.")


def description_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    question = rng.choice(DESCRIBE_HELD if heldout else DESCRIBE)
    return Turn("description", question, describe(scene))


# --- attribute questions -------------------------------------------------------------------------

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
GENERIC_HELD = ("I need to know the {a} of {the}.", "The {a} of {the}, please?")
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
ONE_WORD = ("Answer in one word.", "Use one word.", "One word only.", "Answer with one word.")


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
    the = subject(rng, scene, item)
    name = rng.choice(NAMES[attribute])
    if heldout:
        pattern = rng.choice(GENERIC_HELD)
    elif attribute in SCENE_ATTRIBUTES or rng.random() < 0.3:
        pattern = rng.choice(SPECIAL[attribute])
    else:
        pattern = rng.choice(GENERIC)
    text = pattern.format(the=the, a=name)
    return text[0].upper() + text[1:]


def pick_attribute(rng: Random) -> str:
    return rng.choice(ITEM_ATTRIBUTES if rng.random() < 0.6 else SCENE_ATTRIBUTES)


def pick_item(rng: Random, scene: Scene) -> int:
    return rng.randrange(2) if scene.layout == "pair" else 0


def attribute_turn(
    scene: Scene, rng: Random, heldout: bool = False, attribute: str | None = None
) -> Turn:
    attribute, item = attribute or pick_attribute(rng), pick_item(rng, scene)
    question = attribute_question(rng, scene, attribute, item, heldout)
    if rng.random() < 0.3:
        question += " " + rng.choice(ONE_WORD)
    return Turn("attribute", question, value(scene, attribute, item), VALUES[attribute])


def either_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """ "Is it A or B?" where one of the two is right."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    options = _distractors(rng, attribute, right, rng.choice((1, 1, 2)))
    the = subject(rng, scene, item)
    listed = ", ".join(options[:-1]) + " or " + options[-1]
    if attribute == "count":
        text = f"Are there {listed} items?"
    elif attribute in ("photo", "mark"):
        text = rng.choice((f"Is the photo {listed}?", f"Is the picture {listed}?"))
    elif attribute == "surface":
        text = f"Is the table {listed}?"
    else:
        text = rng.choice((f"Is {the} {listed}?", f"{the}: {listed}?", f"Which is it, {listed}?"))
    if heldout:
        text = f"Would you call {the} {listed}?"
    return Turn("either", text[0].upper() + text[1:], right, tuple(options))


def _distractors(rng: Random, attribute: str, right: str, count: int) -> list[str]:
    others = [v for v in VALUES[attribute] if v != right]
    options = [right, *rng.sample(others, min(count, len(others)))]
    rng.shuffle(options)
    return options


# --- yes or no, choices, counts, comparisons ------------------------------------------------------


def yes_no_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    truth = rng.random() < 0.5
    word = right if truth else rng.choice([v for v in VALUES[attribute] if v != right])
    the = subject(rng, scene, item)
    article = "a " if attribute == "kind" else ""
    if attribute == "count":
        patterns: tuple[str, ...] = (
            f"Are there {word} items?",
            f"Do you see {word} items?",
            f"Is the number of items {word}?",
        )
    elif attribute == "photo" or attribute == "mark":
        patterns = (f"Is the photo {word}?", f"Is the picture {word}?", f"Is this photo {word}?")
    elif attribute == "surface":
        patterns = (f"Is the table {word}?", f"Is the background {word}?")
    else:
        patterns = (
            f"Is {the} {article}{word}?",
            f"Would you say {the} is {article}{word}?",
            f"Do you see {article}{word} {'item' if not article else ''}".rstrip() + "?"
            if scene.layout != "pair"
            else f"Is {the} {article}{word}?",
            f"{the} is {article}{word}. True?",
        )
    if attribute == "mark" and rng.random() < 0.5:
        word = "watermarked"
        truth = right == word
        patterns = ("Is there a watermark?", "Does the picture have a watermark?")
    text = rng.choice(patterns)
    if heldout:
        text = f"Can we say that {the} is {article}{word}?"
        if attribute in SCENE_ATTRIBUTES and attribute != "condition":
            text = rng.choice(patterns)
    text = text[0].upper() + text[1:]
    if rng.random() < 0.4:
        text += " " + rng.choice(("Answer yes or no.", "Yes or no?", "Answer with yes or no."))
    return Turn("yes_no", text, "yes" if truth else "no", ("yes", "no"))


LETTER_STYLES = ("{l}) {v}", "({l}) {v}", "{l}: {v}", "{l}. {v}", "{l} = {v}")


def choice_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Multiple choice by letter or by word."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    options = _distractors(rng, attribute, right, rng.randint(1, 3))
    question = attribute_question(rng, scene, attribute, item, heldout)
    if rng.random() < 0.5:
        lead = rng.choice(("Choose one:", "Options:", "Choose from:", "One of:"))
        text = f"{question} {lead} {', '.join(options)}."
        return Turn("choice_word", text, right, tuple(options))
    style, joint = rng.choice(LETTER_STYLES), rng.choice((" ", ", ", "; ", "\n"))
    letters = "ABCDE" if rng.random() < 0.8 else "12345"
    listed = joint.join(
        style.format(l=letter, v=v) for letter, v in zip(letters, options, strict=False)
    )
    close = rng.choice(("Answer with the letter.", "Which letter?", "Letter only.", "Answer:"))
    answer = letters[options.index(right)]
    before, after = ("\n", "\n") if joint == "\n" else (" ", ". ")
    text = f"{question}{before}{listed}{after}{close}"
    return Turn("choice_letter", text, answer, tuple(letters[: len(options)]))


def side_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Which of the two, on a pair that differs in the attribute; else the same / different."""
    if scene.layout != "pair":
        return yes_no_turn(scene, rng, heldout)
    attribute = rng.choice(ITEM_ATTRIBUTES)
    left, right = (value(scene, attribute, i) for i in (0, 1))
    name = rng.choice(NAMES[attribute])
    if left == right or rng.random() < 0.4:
        text = rng.choice(
            (
                f"Do the two items have the same {name}?",
                f"Are both items of the same {name}?",
                f"Is the {name} of the two items the same?",
            )
        )
        if heldout:
            text = f"Do the left one and the right one share the {name}?"
        return Turn("same", text, "yes" if left == right else "no", ("yes", "no"))
    side = rng.randrange(2)
    word = (left, right)[side]
    article = "a " if attribute == "kind" else ""
    text = rng.choice(
        (
            f"Which item is {article}{word}, the left or the right?",
            f"Which of the two is {article}{word}, left or right?",
            f"On which side is the {word} one?" if not article else f"On which side is the {word}?",
        )
    )
    if heldout:
        text = f"Left or right: which one is {article}{word}?"
    return Turn("which_side", text, ("left", "right")[side], ("left", "right"))


def checklist_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Several words to tick off: each is a yes/no question of its own, answered in place."""
    item = pick_item(rng, scene)
    names = [*ITEM_ATTRIBUTES] if scene.layout == "pair" else [*VALUES]
    words = []
    for _ in range(rng.randint(3, 8)):
        attribute = rng.choice(names)
        right = value(scene, attribute, item)
        other = rng.choice([v for v in VALUES[attribute] if v != right])
        words.append((right, "yes") if rng.random() < 0.5 else (other, "no"))
    of = f" for {subject(rng, scene, item)}" if scene.layout == "pair" else ""
    lead = rng.choice(("Check each word", "Tick off", "Yes or no for each", "Check"))
    lead = "Mark each word" if heldout else lead
    listed = ", ".join(w for w, _ in words)
    return Turn("checklist", f"{lead}{of}: {listed}.", ", ".join(f"{w} {a}" for w, a in words))


# --- output formats ------------------------------------------------------------------------------


def format_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    question = attribute_question(rng, scene, attribute, item, heldout)
    name = NAMES[attribute][0]
    kind = rng.randrange(4)
    if kind == 0:
        key = rng.choice((name.split()[-1], "answer", "label", "result"))
        order = rng.choice((f"Answer as JSON with the key {key}.", f"JSON with one key {key}."))
        return Turn("format_json", f"{question} {order}", json.dumps({key: right}))
    if kind == 1:
        order = rng.choice(("Answer in a sentence.", "Use a full sentence."))
        return Turn("format_sentence", f"{question} {order}", f"The {name} is {right}.")
    if kind == 2:
        mark = rng.choice(("Answer:", "Result:", "Label:"))
        return Turn("format_prefix", f"{question} Begin with {mark}", f"{mark} {right}")
    order = rng.choice(("Write it in capitals.", "Use capital letters.", "ANSWER IN CAPITALS."))
    return Turn("format_capitals", f"{question} {order}", right.upper())


# --- private labels and their definitions --------------------------------------------------------

LABEL_WORDS = (
    "alpha", "beta", "gamma", "delta", "keep", "drop", "pass", "fail", "ship", "hold", "accept",
    "reject", "first", "second", "north", "south", "gold", "silver", "repair", "return", "stock",
    "sort", "high", "low", "bin", "lane", "crate", "shelf", "apple", "river", "stone", "cloud",
)  # fmt: skip
SYLLABLES = ("ba", "do", "fi", "ka", "lu", "mo", "ne", "pi", "ro", "su", "ta", "vo", "zi", "ki")


def label_maker(rng: Random) -> Callable[[], str]:
    """A family of private labels: all labels of one question look alike."""
    family = rng.choices(range(8), (5, 3, 3, 2, 2, 2, 2, 1))[0]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    stem = rng.choice(("", "", "zone ", "bin ", "type ", "class "))
    if family == 0:
        return lambda: rng.choice(letters) + rng.choice("123456789")
    if family == 1:
        return lambda: rng.choice(letters)
    if family == 2:
        return lambda: rng.choice(LABEL_WORDS)
    if family == 3:
        return lambda: rng.choice(letters) + rng.choice(letters)
    if family == 4:
        return lambda: "".join(rng.choice(SYLLABLES) for _ in range(2))
    if family == 5:
        return lambda: f"{rng.choice(letters)}-{rng.randint(1, 99)}"
    if family == 6:
        return lambda: rng.choice(LABEL_WORDS).upper()
    return lambda: stem + rng.choice("123456789")


def labels(rng: Random, count: int) -> list[str]:
    make = label_maker(rng)
    found: list[str] = []
    while len(found) < count:
        label = make()
        if label not in found:
            found.append(label)
    return found


LABEL_FIRST = (
    "{l}: {d}",
    "{l} = {d}",
    "{l} means {d}",
    "{l} is {d}",
    "label {l}: {d}",
    "{l} - {d}",
)
TEXT_FIRST = ("{d}: {l}", "{d} = {l}", "{d} -> {l}", "if {d}, {l}", "{d} is {l}", "for {d} say {l}")
ASK_LABEL = (
    "Answer with the label.",
    "Which label?",
    "Which label fits?",
    "Answer with the label only.",
    "What is the label?",
    "Give the label.",
    "Which code?",
    "Which code is it?",
    "Only the label.",
    "Label?",
)
ASK_LABEL_HELD = ("Now decide which label applies here.", "State which of these it belongs to.")


def partition(
    rng: Random, attribute: str, right: str, count: int, several: bool
) -> list[list[str]]:
    """Disjoint groups of values; exactly one holds the right value. Group 0 is the right one."""
    others = [v for v in VALUES[attribute] if v != right]
    rng.shuffle(others)
    groups = [[right]] + [[others.pop()] for _ in range(min(count - 1, len(others)))]
    if several:
        for group in groups:
            while others and len(group) < 4 and rng.random() < 0.5:
                group.append(others.pop())
            rng.shuffle(group)
    return groups


def definition_text(rng: Random, pairs: Sequence[tuple[str, str]]) -> str:
    style = rng.choice(LABEL_FIRST if rng.random() < 0.5 else TEXT_FIRST)
    joint, end = rng.choice((("; ", "."), (", ", "."), (". ", "."), ("\n", "\n"), ("; ", ".")))
    if joint == "\n" and rng.random() < 0.5:
        style = "- " + style
    return joint.join(style.format(l=label, d=text) for label, text in pairs) + end


def wording(rng: Random, attribute: str, group: Sequence[str]) -> str:
    text = " or ".join(group) if rng.random() < 0.8 else ", ".join(group)
    if attribute == "count":
        return f"{text} items" if rng.random() < 0.5 else text
    if attribute == "surface":
        return rng.choice((text, f"{text} table", f"on a {text} table"))
    if attribute in ("photo", "mark"):
        return rng.choice((text, f"{text} photo", text))
    if attribute == "kind":
        return rng.choice((text, text, f"a {text}"))
    return rng.choice((text, text, text, f"{text} item"))


def ask(rng: Random, parts: Sequence[str], heldout: bool) -> str:
    """Definitions, sometimes led by a question or by what to look at, then the request."""
    close = rng.choice(ASK_LABEL_HELD if heldout else ASK_LABEL)
    lead = [p for p in parts[:-1] if p]
    text = parts[-1]
    if rng.random() < 0.25:
        return " ".join([*lead, close, text.rstrip()])
    glue = "" if text.endswith("\n") else " "
    return (" ".join([*lead, text]) if lead else text) + glue + close


def definition_turn(
    scene: Scene,
    rng: Random,
    heldout: bool = False,
    count: int | None = None,
    attribute: str | None = None,
) -> Turn:
    """Private labels defined by the values of one attribute."""
    attribute, item = attribute or pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    several = rng.random() < 0.35
    groups = partition(rng, attribute, right, count or rng.choice((2, 2, 2, 3, 3, 4, 5)), several)
    names = labels(rng, len(groups))
    answer = names[0]
    pairs = [(n, wording(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
    rng.shuffle(pairs)
    lead = ""
    if scene.layout == "pair" and attribute in ITEM_ATTRIBUTES:
        lead = f"Look at {subject(rng, scene, item)}."
    elif rng.random() < 0.35:
        lead = rng.choice(
            (
                f"Look at the {rng.choice(NAMES[attribute])}.",
                attribute_question(rng, scene, attribute, item),
                "Sort the picture.",
                "Which label is it, " + " or ".join(sorted(names)) + "?",
            )
        )
    skill = "definition" if len(pairs) > 2 else "definition_two"
    text = ask(rng, (lead, definition_text(rng, pairs)), heldout)
    return Turn(skill, text[0].upper() + text[1:] if lead else text, answer, tuple(names))


def compound_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Private labels defined by two attributes at once."""
    if scene.layout == "pair":
        return definition_turn(scene, rng, heldout)
    a, b = rng.sample([*ITEM_ATTRIBUTES, "condition", "surface", "photo"], 2)
    right = (value(scene, a), value(scene, b))
    combos = [right]
    while len(combos) < rng.choice((2, 3, 4)):
        x = right[0] if rng.random() < 0.5 else rng.choice(VALUES[a])
        y = right[1] if x != right[0] and rng.random() < 0.5 else rng.choice(VALUES[b])
        if (x, y) not in combos:
            combos.append((x, y))
    names = labels(rng, len(combos))
    join = rng.choice(("{} and {}", "{}, {}", "{} {}"))
    pairs = [(n, join.format(*c)) for n, c in zip(names, combos, strict=True)]
    answer = names[0]
    rng.shuffle(pairs)
    return Turn(
        "definition_pair",
        ask(rng, ("", definition_text(rng, pairs)), heldout),
        answer,
        tuple(names),
    )


def stated_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A definition answered in two steps: what is seen, then its label."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    groups = partition(rng, attribute, right, rng.choice((2, 3, 4)), rng.random() < 0.35)
    names = labels(rng, len(groups))
    answer = names[0]
    pairs = [(n, wording(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
    rng.shuffle(pairs)
    name = rng.choice(NAMES[attribute])
    of = f" of {subject(rng, scene, item)}" if scene.layout == "pair" else ""
    close = rng.choice(
        (f"Say the {name}{of}, then the label.", f"First the {name}{of}, then the label.")
    )
    if heldout:
        close = f"Name the {name}{of} and after it the label."
    joint = rng.choice((": ", ", label ", " -> "))
    text = f"{definition_text(rng, pairs).rstrip()} {close}"
    return Turn("stated_label", text, f"{right}{joint}{answer}", tuple(names))


def lookup_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A definition asked about a word instead of the picture: text alone."""
    attribute = pick_attribute(rng)
    right = rng.choice(VALUES[attribute])
    groups = partition(rng, attribute, right, rng.choice((2, 3, 4)), rng.random() < 0.35)
    names = labels(rng, len(groups))
    answer = names[0]
    pairs = [(n, wording(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
    rng.shuffle(pairs)
    close = rng.choice((f"Label for {right}?", f"Which label is {right}?", f"{right}:", f"{right}?"))
    if heldout:
        close = f"Something {right} gets which label?"
    return Turn("text_lookup", f"{definition_text(rng, pairs).rstrip()} {close}", answer)


DESCRIBE_FIRST = (
    "Describe the item first, then give the label.",
    "First describe the picture, then answer.",
    "Describe the picture first, then give the label.",
    "Describe, then answer.",
    "First describe the picture in one sentence, then answer.",
)


def describe_first_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Any definition, answered after a description: the label is looked up in text."""
    make = rng.choice((definition_turn, compound_turn, compound_turn))
    turn = make(scene, rng, heldout)
    joint = rng.choice(("\nAnswer: ", "\nLabel: ", ". Answer: ", ". Label: "))
    question = f"{turn.question.rstrip()} {rng.choice(DESCRIBE_FIRST)}"
    return Turn("describe_first", question, f"{describe(scene)}{joint}{turn.answer}", turn.options)


def undefined_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A label that nothing defines: any of those named is as good as another."""
    names = labels(rng, rng.choice((2, 2, 3, 4)))
    listed = ", ".join(names[:-1]) + " or " + names[-1]
    text = rng.choice(
        (f"Which code is it, {listed}?", f"Is it {listed}?", f"Answer {listed}.", f"{listed}?")
    )
    return Turn("undefined", text, rng.choice(names), tuple(names))


def demonstration_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Worked examples in words, one for each label, then the picture."""
    attribute = rng.choice(("kind", "colour", "pattern"))
    if scene.layout == "pair":
        return definition_turn(scene, rng, heldout)
    right = value(scene, attribute)
    groups = partition(rng, attribute, right, rng.choice((2, 2, 3)), False)
    names = labels(rng, len(groups))
    answer = names[0]
    lines = []
    for name, group in zip(names, groups, strict=True):
        fields = {k: rng.choice(VALUES[k]) for k in ("size", "colour", "pattern", "kind")}
        fields[attribute] = group[0]
        lines.append((" ".join(("a", *fields.values())), name))
    rng.shuffle(lines)
    form, joint = rng.choice(
        (("{d} -> {l}", "; "), ("{d} -> {l}", "\n"), ("Picture: {d}. Answer: {l}.", " "))
    )
    shown = joint.join(form.format(d=text, l=name) for text, name in lines)
    text = f"Examples:{joint[-1]}{shown}{joint}{rng.choice(ASK_LABEL)}"
    return Turn("demonstration", text, answer, tuple(names))


# --- text alone: the jobs of a proposer ----------------------------------------------------------


def rephrase_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute = rng.choice(ITEM_ATTRIBUTES)
    name = NAMES[attribute][0]
    the = f"the {rng.choice(NOUNS)}"
    texts = [p.format(the=the, a=name) for p in rng.sample(GENERIC[:10], 2)]
    return Turn("text_rephrase", f"Rephrase: {texts[0]}", texts[1])


def difference_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Which one attribute differs between two descriptions of an item."""
    attribute = rng.choice(ITEM_ATTRIBUTES)
    first = {k: rng.choice(VALUES[k]) for k in ("size", "colour", "pattern", "kind")}
    second = dict(first)
    second[attribute] = rng.choice([v for v in VALUES[attribute] if v != first[attribute]])
    a, b = ("a " + " ".join(f.values()) for f in (first, second))
    if rng.random() < 0.5:
        close, answer = "What differs?", NAMES[attribute][0]
    else:
        close, answer = "Which words differ?", f"{first[attribute]} and {second[attribute]}"
    return Turn("text_difference", f"First: {a}. Second: {b}. {close}", answer)


def separate_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Which attribute separates two groups of descriptions."""
    attribute = rng.choice(ITEM_ATTRIBUTES)
    x, y = rng.sample(VALUES[attribute], 2)

    def group(fixed: str) -> str:
        rows = []
        for _ in range(2):
            fields = {k: rng.choice(VALUES[k]) for k in ("size", "colour", "pattern", "kind")}
            fields[attribute] = fixed
            rows.append("a " + " ".join(fields.values()))
        return "; ".join(rows)

    text = f"Group 1: {group(x)}. Group 2: {group(y)}. Which attribute separates them?"
    return Turn("text_separate", text, NAMES[attribute][0])


# --- mixtures ------------------------------------------------------------------------------------

MAKERS: dict[str, Callable[..., Turn]] = {
    "description": description_turn,
    "attribute": attribute_turn,
    "either": either_turn,
    "yes_no": yes_no_turn,
    "choice": choice_turn,
    "side": side_turn,
    "checklist": checklist_turn,
    "stated": stated_turn,
    "lookup": lookup_turn,
    "format": format_turn,
    "definition": definition_turn,
    "compound": compound_turn,
    "describe_first": describe_first_turn,
    "undefined": undefined_turn,
    "demonstration": demonstration_turn,
    "rephrase": rephrase_turn,
    "difference": difference_turn,
    "separate": separate_turn,
}
MIXTURE: dict[str, float] = {
    "description": 7, "attribute": 16, "either": 6, "yes_no": 12, "choice": 9, "side": 5,
    "format": 4, "definition": 20, "compound": 6, "describe_first": 6, "undefined": 0.7,
    "demonstration": 2.5, "rephrase": 1, "difference": 1.5, "separate": 2, "checklist": 10,
    "stated": 7, "lookup": 5,
}  # fmt: skip

ROLES = (
    "You are a careful inspector.",
    "You are a shop clerk.",
    "You are an expert in product photos.",
    "You work in a warehouse.",
    "You are a helpful assistant.",
    "You sort goods.",
)
CONTEXTS = (
    "This is a product photo.",
    "The picture is from a catalogue.",
    "Look closely at the picture.",
    "The picture shows goods of a shop.",
    "Pay attention to details.",
    "The photo was taken in a workshop.",
    "Look carefully.",
    "Ignore the background.",
    "Think about what you see.",
)


def sample_turn(scene: Scene, rng: Random, mixture: dict[str, float]) -> Turn:
    """A turn of the mixture, now and then with a sentence of context before the question."""
    name = rng.choices(list(mixture), list(mixture.values()))[0]
    turn = MAKERS[name](scene, rng)
    if rng.random() < 0.15:
        extra = " ".join(rng.sample(ROLES + CONTEXTS, rng.choice((1, 1, 2, 3))))
        turn = Turn(turn.skill, f"{extra} {turn.question}", turn.answer, turn.options)
    return turn
