"""Questions that a picture alone answers: description, attributes, choices, comparisons, form."""

from __future__ import annotations

import json
from random import Random

from training.language import phrasing
from training.language.phrasing import HELD_OUT, describing, upper_first
from training.language.words import (
    ITEM_ATTRIBUTES,
    NAMES,
    VALUES,
    Turn,
    attribute_question,
    bearer,
    describe,
    distractors,
    pick_attribute,
    pick_item,
    subject,
    value,
)
from training.scene import Scene


def phrased(rng: Random, kind: str, patterns: tuple[str, ...], heldout: bool) -> str:
    """A pattern of training, or one of the held-out ones of this kind."""
    return rng.choice(HELD_OUT[kind] if heldout else patterns)


def description_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    question = rng.choice(HELD_OUT["description"]) if heldout else describing(rng)
    return Turn("description", question, describe(scene))


def attribute_turn(
    scene: Scene, rng: Random, heldout: bool = False, attribute: str | None = None
) -> Turn:
    attribute, item = attribute or pick_attribute(rng), pick_item(rng, scene)
    question = attribute_question(rng, scene, attribute, item, heldout)
    if rng.random() < 0.3:
        question += " " + rng.choice(phrasing.ONE_WORD)
    return Turn("attribute", question, value(scene, attribute, item), VALUES[attribute])


def either_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """ "Is it A or B?" where one of the two is right."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    options = distractors(rng, attribute, right, rng.choice((1, 1, 2)))
    the = bearer(rng, scene, attribute, item)
    listed = ", ".join(options[:-1]) + " or " + options[-1]
    if attribute == "count":
        text = rng.choice(("Are there {listed} items?", "How many: {listed}?", "{listed} items?"))
    else:
        text = phrased(rng, "either", phrasing.EITHER, heldout)
        if scene.layout == "pair" and "{the}" not in text:
            text = "Is {the} {listed}?"
    return Turn("either", upper_first(text.format(the=the, listed=listed)), right, tuple(options))


def yes_no_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    truth = rng.random() < 0.5
    word = right if truth else rng.choice([v for v in VALUES[attribute] if v != right])
    the = bearer(rng, scene, attribute, item)
    if attribute == "count":
        text = rng.choice(phrasing.COUNT_YES_NO)
    elif attribute in ITEM_ATTRIBUTES or attribute == "condition":
        text = phrased(rng, "yes_no", phrasing.YES_NO, heldout)
        if scene.layout == "pair" and "{the}" not in text:
            text = "Is {the} {word}?"
    else:
        text = phrased(rng, "yes_no", phrasing.YES_NO_SCENE, heldout)
    named = f"a {word}" if attribute == "kind" else word
    text = text.format(the=the, word=named)
    if attribute == "mark" and not heldout and rng.random() < 0.5:
        truth = right == "watermarked"
        text = rng.choice(("Is there a watermark?", "Does the picture have a watermark?"))
    if rng.random() < 0.4:
        text += " " + rng.choice(phrasing.VERDICTS)
    return Turn("yes_no", upper_first(text), "yes" if truth else "no", ("yes", "no"))


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
    """Which of the two has a value that only one of them has; asked of pairs."""
    if scene.layout != "pair":
        return yes_no_turn(scene, rng, heldout)
    differing = [a for a in ITEM_ATTRIBUTES if value(scene, a, 0) != value(scene, a, 1)]
    attribute = rng.choice(differing)
    side = rng.randrange(2)
    word = value(scene, attribute, side)
    text = phrased(rng, "which_side", phrasing.WHICH_SIDE, heldout)
    if attribute == "kind" and "{word} one" not in text and "{word} item" not in text:
        word = rng.choice((word, f"a {word}"))
    return Turn("which_side", text.format(word=word), ("left", "right")[side], ("left", "right"))


def same_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Whether the two items of a pair agree in an attribute."""
    if scene.layout != "pair":
        return yes_no_turn(scene, rng, heldout)
    attribute = shared_or_not(scene, rng)
    agree = value(scene, attribute, 0) == value(scene, attribute, 1)
    name = rng.choice(NAMES[attribute])
    form = rng.random()
    if heldout or form < 0.55:
        text = phrased(rng, "same", phrasing.SAME, heldout)
        if not heldout and rng.random() < 0.3:
            text = f"{text.rstrip('.')} {rng.choice(phrasing.VERDICTS)}"
        return Turn("same", text.format(a=name), "yes" if agree else "no", ("yes", "no"))
    if form < 0.75:
        text = rng.choice(phrasing.DIFFERENT).format(a=name)
        return Turn("different", text, "no" if agree else "yes", ("yes", "no"))
    text = rng.choice(phrasing.SAME_OR_DIFFERENT).format(a=name)
    return Turn("same_word", text, "same" if agree else "different", ("same", "different"))


def shared_or_not(scene: Scene, rng: Random) -> str:
    """An attribute of a pair: as often one that both share as one that they do not."""
    differing = [a for a in ITEM_ATTRIBUTES if value(scene, a, 0) != value(scene, a, 1)]
    shared = [a for a in ITEM_ATTRIBUTES if a not in differing]
    return rng.choice(shared if shared and rng.random() < 0.5 else differing)


def compare_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Both values of a pair, with the verdict after them half of the time."""
    if scene.layout != "pair":
        return attribute_turn(scene, rng, heldout)
    attribute = shared_or_not(scene, rng)
    left, right = (value(scene, attribute, i) for i in (0, 1))
    name = rng.choice(NAMES[attribute])
    if rng.random() < 0.4:
        return Turn("both", rng.choice(phrasing.BOTH).format(a=name), f"{left} and {right}")
    verdict = "same" if left == right else "different"
    question = rng.choice(phrasing.COMPARE).format(a=name)
    return Turn("compare", question, f"{left} and {right}, {verdict}")


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


def format_turn(scene: Scene, rng: Random, heldout: bool = False, kind: str | None = None) -> Turn:
    """An attribute question with a wish for the form of the answer."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    question = attribute_question(rng, scene, attribute, item)
    name = NAMES[attribute][0]
    kind = kind or rng.choice(("json", "json", "sentence", "prefix", "capitals", "one_word"))
    mark = rng.choice(("Answer:", "Result:", "Label:"))
    key = rng.choice((name.split()[-1], "answer", "label", "result"))
    patterns = {
        "json": phrasing.JSON, "sentence": phrasing.SENTENCE, "prefix": phrasing.PREFIX,
        "capitals": phrasing.CAPITALS, "one_word": phrasing.ONE_WORD,
    }[kind]  # fmt: skip
    order = phrased(rng, kind, patterns, heldout).format(key=key, mark=mark)
    answer = {
        "json": json.dumps({key: right}), "sentence": f"The {name} is {right}.",
        "prefix": f"{mark} {right}", "capitals": right.upper(), "one_word": right,
    }[kind]  # fmt: skip
    return Turn(f"format_{kind}", f"{question} {order}", answer)
