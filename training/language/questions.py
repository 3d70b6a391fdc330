"""Questions that a picture alone answers: description, attributes, choices, comparisons, form."""

from __future__ import annotations

import json
from random import Random

from training.language.words import (
    ITEM_ATTRIBUTES,
    NAMES,
    ONE_WORD,
    SCENE_ATTRIBUTES,
    VALUES,
    Turn,
    attribute_question,
    describe,
    distractors,
    pick_attribute,
    pick_item,
    subject,
    value,
)
from training.scene import Scene

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
    options = distractors(rng, attribute, right, rng.choice((1, 1, 2)))
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
    options = distractors(rng, attribute, right, rng.randint(1, 3))
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
