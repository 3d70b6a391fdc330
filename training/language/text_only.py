"""Questions about text alone: the simplest jobs of a proposer."""

from __future__ import annotations

from random import Random

from training.language.words import GENERIC, ITEM_ATTRIBUTES, NAMES, NOUNS, VALUES, Turn
from training.scene import Scene


def rephrase_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute = rng.choice(ITEM_ATTRIBUTES)
    name = NAMES[attribute][0]
    the = f"the {rng.choice(NOUNS)}"
    texts = [p.format(the=the, a=name) for p in rng.sample(GENERIC[:10], 2)]
    return Turn("text_rephrase", f"Rephrase: {texts[0]}", texts[1])


def paraphrases(question: str) -> set[str]:
    """All other training phrasings of a question about one attribute of one thing."""
    for attribute in ITEM_ATTRIBUTES:
        for noun in NOUNS:
            all_ = {p.format(the=f"the {noun}", a=NAMES[attribute][0]) for p in GENERIC}
            if question in all_:
                return all_ - {question}
    return set()


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
