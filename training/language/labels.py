"""Private labels: how they look, how a prompt defines them, and the questions that use them.

No sample task is known here: labels and definitions are drawn at random for every question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from training.language.phrasing import ASK_LABEL, HELD_OUT, ONLY_LABEL
from training.language.questions import shared_or_not
from training.language.words import (
    ITEM_ATTRIBUTES,
    NAMES,
    VALUES,
    Turn,
    attribute_question,
    describe,
    pick_attribute,
    pick_item,
    subject,
    value,
)
from training.scene import Scene

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


def phrase_of(rng: Random, attribute: str, group: Sequence[str]) -> str:
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
    close = rng.choice(HELD_OUT["label"] if heldout else ASK_LABEL)
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
    pairs = [(n, phrase_of(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
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


def compound_turn(scene: Scene, rng: Random, heldout: bool = False, grid: bool = False) -> Turn:
    """Private labels defined by two attributes at once.

    With `grid` all four combinations of two values each have a label of their own, so that neither
    attribute alone decides anything.
    """
    if scene.layout == "pair":
        return definition_turn(scene, rng, heldout)
    a, b = rng.sample([*ITEM_ATTRIBUTES, "condition", "surface", "photo"], 2)
    right = (value(scene, a), value(scene, b))
    combos = [right]
    if grid:
        x, y = (
            rng.choice([v for v in VALUES[n] if v != r]) for n, r in zip((a, b), right, strict=True)
        )
        combos += [(right[0], y), (x, right[1]), (x, y)]
    wanted = 4 if grid else rng.choice((2, 3, 4))
    while len(combos) < wanted:
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
        "definition_grid" if grid else "definition_pair",
        ask(rng, ("", definition_text(rng, pairs)), heldout),
        answer,
        tuple(names),
    )


def relation_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Private labels for pairs that agree in an attribute and for pairs that do not."""
    if scene.layout != "pair":
        return definition_turn(scene, rng, heldout)
    attribute = shared_or_not(scene, rng)
    name = rng.choice(NAMES[attribute])
    agree = value(scene, attribute, 0) == value(scene, attribute, 1)
    names = labels(rng, 2)
    yes, no = rng.choice(
        (
            (f"same {name}", f"different {name}"),
            (f"the same {name}", f"another {name}"),
            (f"both of the same {name}", f"of a different {name}"),
            (f"equal {name}", f"not equal {name}"),
            (f"the {name} is the same", f"the {name} is different"),
        )
    )
    pairs = [(names[0], yes), (names[1], no)]
    rng.shuffle(pairs)
    text = ask(rng, ("", definition_text(rng, pairs)), heldout)
    return Turn("definition_relation", text, names[0] if agree else names[1], tuple(names))


def only_label_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A definition with the wish for the bare label."""
    turn = definition_turn(scene, rng)
    close = rng.choice(HELD_OUT["only_label"] if heldout else ONLY_LABEL)
    return Turn("format_only_label", f"{turn.question.rstrip()} {close}", turn.answer, turn.options)


def stated_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A definition answered in two steps: what is seen, then its label."""
    attribute, item = pick_attribute(rng), pick_item(rng, scene)
    right = value(scene, attribute, item)
    groups = partition(rng, attribute, right, rng.choice((2, 3, 4)), rng.random() < 0.35)
    names = labels(rng, len(groups))
    answer = names[0]
    pairs = [(n, phrase_of(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
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
    pairs = [(n, phrase_of(rng, attribute, g)) for n, g in zip(names, groups, strict=True)]
    rng.shuffle(pairs)
    close = rng.choice(
        (
            f"Label for {right}?", f"Which label is {right}?", f"{right}:", f"{right}?",
            f"What is the label of {right}?", f"It is {right}. Label?", f"Which label for {right}?",
            f"The item is {right}. Which label?", f"Give the label of {right}.", f"Now {right}:",
            f"Say which label is for {right}.", f"If it is {right}, which label is it?",
        )
    )  # fmt: skip
    if heldout:
        close = f"Something {right} gets which label?"
    return Turn("text_lookup", f"{definition_text(rng, pairs).rstrip()} {close}", answer)


DESCRIBE_FIRST = (
    "Describe what you see, then give the label.",
    "Start with a description, then answer.",
    "Say what the picture shows, then the label.",
    "Describe the item first, then give the label.",
    "First describe the picture, then answer.",
    "Describe the picture first, then give the label.",
    "Describe, then answer.",
    "First describe the picture in one sentence, then answer.",
)


def describe_first_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Any definition, answered after a description: the label is looked up in text."""
    if rng.random() < 0.3:
        turn = definition_turn(scene, rng, heldout)
    else:
        turn = compound_turn(scene, rng, heldout, grid=rng.random() < 0.6)
    joint = rng.choice(("\nAnswer: ", "\nLabel: ", ". Answer: ", ". Label: "))
    question = f"{turn.question.rstrip()} {rng.choice(DESCRIBE_FIRST)}"
    return Turn("describe_first", question, f"{describe(scene)}{joint}{turn.answer}", turn.options)


def undefined_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """A label that nothing defines: any of those named is as good as another.

    Small models lean to the option that they read last (arXiv 2102.09690); so does this one.
    """
    names = labels(rng, rng.choice((2, 2, 3, 4)))
    listed = ", ".join(names[:-1]) + " or " + names[-1]
    text = rng.choice(
        (f"Which code is it, {listed}?", f"Is it {listed}?", f"Answer {listed}.", f"{listed}?")
    )
    answer = names[-1] if rng.random() < 0.4 else rng.choice(names)
    return Turn("undefined", text, answer, tuple(names))


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
