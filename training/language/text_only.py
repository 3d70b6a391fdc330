"""Questions about text alone: the simplest jobs of a proposer, and comparing in words."""

from __future__ import annotations

from random import Random

from training.language.phrasing import upper_first
from training.language.words import GENERIC, ITEM_ATTRIBUTES, NAMES, NOUNS, VALUES, Turn
from training.scene import Scene

FIELDS = ("size", "colour", "pattern", "kind")
REPHRASE = (
    "Rephrase{o}: {q}", "Paraphrase{o}: {q}", "Say it differently: {q}", "Restate{o}: {q}",
    "Put{o} in other words: {q}", "Write{o} in another way: {q}", "Reformulate{o}: {q}",
    "Ask the same in other words: {q}", "Give another wording: {q}", "Ask it differently: {q}",
    "Find another way to ask: {q}", "Another phrasing of{o}: {q}", "Change the wording{o}: {q}",
    "The same question in other words: {q}", "Say{o} in new words: {q}", "Turn{o} around: {q}",
    "Express{o} otherwise: {q}", "Write{o} anew: {q}", "Formulate{o} in a different way: {q}",
)  # fmt: skip
REPHRASE_HELD = "Reword this question: {q}"
TWO = (
    "First: {a}. Second: {b}. {close}", "A: {a}. B: {b}. {close}", "Left: {a}. Right: {b}. {close}",
    "{a} / {b}. {close}", "One is {a}, the other is {b}. {close}", "{close} {a}; {b}.",
    "Compare: {a}; {b}. {close}",
)  # fmt: skip
DIFFERS = (
    "What differs?", "Which attribute differs?", "What is different?", "Where do they differ?",
    "Name the difference.", "In what do they differ?", "Which words differ?", "List what differs.",
    "Name the words that differ.", "Which two words are different?", "Give the differing words.",
    "How do they differ?", "What is not the same?", "What has changed?", "Tell the difference.",
    "What distinguishes them?", "Point out the difference.", "Find the difference.", "Difference?",
    "In which attribute do they differ?", "What makes them different?", "Write what differs.",
    "Which words are not shared?", "Say what is different.", "Where is the difference?",
    "List the difference between them.", "What is the difference?", "Words that differ:",
)  # fmt: skip
DIFFERS_HELD = ("What sets them apart?", "List the words in which they are unlike.")
GROUPS = (
    "Group 1: {x}. Group 2: {y}. {close}", "Set A: {x}. Set B: {y}. {close}",
    "First group: {x}. Second group: {y}. {close}", "These: {x}. Those: {y}. {close}",
    "K: {x}. M: {y}. {close}",
)  # fmt: skip
SEPARATES = (
    "Which attribute separates them?", "What separates the groups?", "What tells them apart?",
    "Name the attribute that separates the groups.", "By what do the groups differ?",
    "Which attribute tells the groups apart?", "How can the groups be told apart?",
    "What is the difference between the groups?", "In what do the two groups differ?",
    "Find what separates them.", "Which attribute differs between them?", "What splits them?",
)  # fmt: skip
SEPARATES_HELD = "Which attribute distinguishes one set from the other?"


def fields(rng: Random) -> dict[str, str]:
    return {k: rng.choice(VALUES[k]) for k in FIELDS}


def words(item: dict[str, str]) -> str:
    return "a " + " ".join(item[k] for k in FIELDS)


def rephrase_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    attribute = rng.choice(ITEM_ATTRIBUTES)
    name = NAMES[attribute][0]
    the = f"the {rng.choice(NOUNS)}"
    texts = [upper_first(p.format(the=the, a=name)) for p in rng.sample(GENERIC[:10], 2)]
    order = REPHRASE_HELD if heldout else rng.choice(REPHRASE)
    what = rng.choice(("", " this question", " the question", " this"))
    return Turn("text_rephrase", order.format(q=texts[0], o=what), texts[1])


def paraphrases(question: str) -> set[str]:
    """All other training phrasings of a question about one attribute of one thing."""
    for attribute in ITEM_ATTRIBUTES:
        for noun in NOUNS:
            the = f"the {noun}"
            all_ = {upper_first(p.format(the=the, a=NAMES[attribute][0])) for p in GENERIC}
            if question in all_:
                return all_ - {question}
    return set()


def difference_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """What differs between two descriptions of an item: the words, then the name of it.

    The name comes after the words, as a small model finds it: "red and blue: colour".
    """
    attribute = rng.choice(ITEM_ATTRIBUTES)
    first = fields(rng)
    second = dict(first)
    second[attribute] = rng.choice([v for v in VALUES[attribute] if v != first[attribute]])
    answer = f"{first[attribute]} and {second[attribute]}: {NAMES[attribute][0]}"
    close = rng.choice(DIFFERS_HELD if heldout else DIFFERS)
    text = rng.choice(TWO).format(a=words(first), b=words(second), close=close)
    return Turn("text_difference", upper_first(text), answer)


def separate_turn(
    scene: Scene, rng: Random, heldout: bool = False, size: int | None = None
) -> Turn:
    """The attribute that separates two groups of descriptions, after its two values.

    Both groups hold one value of it each; no other attribute is constant in both groups with
    different values, so the answer is unique.
    """
    attribute = rng.choice(ITEM_ATTRIBUTES)
    pair = rng.sample(VALUES[attribute], 2)
    size = size or rng.choice((2, 2, 3))
    while True:
        groups = [[fields(rng) | {attribute: fixed} for _ in range(size)] for fixed in pair]
        others = [k for k in FIELDS if k != attribute]
        if not any(_separates(groups, k) for k in others):
            break
    x, y = ("; ".join(words(item) for item in group) for group in groups)
    close = SEPARATES_HELD if heldout else rng.choice(SEPARATES)
    text = rng.choice(GROUPS).format(x=x, y=y, close=close)
    return Turn("text_separate", text, f"{pair[0]} and {pair[1]}: {NAMES[attribute][0]}")


def _separates(groups: list[list[dict[str, str]]], attribute: str) -> bool:
    values = [{item[attribute] for item in group} for group in groups]
    return all(len(v) == 1 for v in values) and values[0] != values[1]


def shared_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """The one word that all descriptions of a list share: half of separating two lists."""
    attribute = rng.choice(ITEM_ATTRIBUTES)
    fixed = rng.choice(VALUES[attribute])
    while True:
        items = [fields(rng) | {attribute: fixed} for _ in range(rng.choice((2, 2, 3)))]
        if all(len({i[k] for i in items}) > 1 for k in FIELDS if k != attribute):
            break
    text = "; ".join(words(i) for i in items)
    close = rng.choice(("Which word do all share?", "Shared word?", "What do they have in common?"))
    if rng.random() < 0.5:
        return Turn("text_shared", f"{upper_first(text)}. {close}", fixed)
    return Turn("text_shared", f"{close} {text}.", fixed)


def text_pair_turn(scene: Scene, rng: Random, heldout: bool = False) -> Turn:
    """Two items in words: whether they agree in an attribute, or which of them has a value."""
    left, right = fields(rng), fields(rng)
    attribute = rng.choice(FIELDS)
    if rng.random() < 0.5:
        right[attribute] = left[attribute]
    lead = rng.choice(
        (
            f"{words(left)} on the left and {words(right)} on the right.",
            f"Left: {words(left)}. Right: {words(right)}.",
        )
    )
    agree = left[attribute] == right[attribute]
    if agree or rng.random() < 0.4:
        ask = rng.choice((f"Same {attribute}?", f"Do they have the same {attribute}?"))
        return Turn("text_same", f"{upper_first(lead)} {ask}", "yes" if agree else "no")
    side = rng.randrange(2)
    word = (left, right)[side][attribute]
    ask = rng.choice((f"Which is {word}?", f"Where is the {word} one?", f"{word}: left or right?"))
    return Turn("text_side", f"{upper_first(lead)} {upper_first(ask)}", ("left", "right")[side])
