"""Rules about two attributes: which pairs of answers stand for which label.

One question seldom separates the labels of a rule like "scratched, or intact but blurred" ; two
questions together do. Works on answers and labels alone: it knows no prompts and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Answers = Mapping[str, str]

# From this share of an answer's examples on, the answer alone decides.
PURE = 0.85
MAX_PHRASES = 5


def separation(answers: Answers, gold: Answers) -> float:
    """How well answers tell the labels apart, in [0, 1]: the mean leave-one-out probability of the
    gold label among the examples that got the same answer (add-one over the labels)."""
    labels = max(1, len(set(gold.values())))
    table = Counter((answers[i].casefold(), gold[i]) for i in gold)
    sizes = Counter(answers[i].casefold() for i in gold)
    own = ((answers[i].casefold(), x) for i, x in gold.items())
    total = sum((table[said, x] - 1 + 1 / labels) / sizes[said] for said, x in own)
    return total / max(1, len(gold))


def joint_separation(first: Answers, second: Answers, gold: Answers) -> float:
    """The same for two answers at once: pair by pair, or each on its own way to the label (naive
    Bayes), whichever separates more. The first finds any rule, the second needs fewer examples."""
    pairs = {i: f"{first.get(i, '')} {second.get(i, '')}" for i in gold}
    return max(separation(pairs, gold), _apart(first, second, gold))


def _apart(first: Answers, second: Answers, gold: Answers) -> float:
    """Mean leave-one-out probability of the gold label under naive Bayes with add-half counts."""
    sizes = Counter(gold.values())
    sides = []
    for answers in (first, second):
        said = {i: answers.get(i, "").casefold() for i in gold}
        counts = Counter((said[i], x) for i, x in gold.items())
        sides.append((said, counts, len(set(said.values()))))
    total = 0.0
    for i, own in gold.items():
        odds = {}
        for label, size in sizes.items():
            left = size - (label == own)
            odds[label] = left + 0.5
            for said, counts, values in sides:
                seen = counts[said[i], label] - (label == own)
                odds[label] *= (seen + 0.5) / (left + 0.5 * values)
        total += odds[own] / sum(odds.values())
    return total / max(1, len(gold))


def phrases_of(
    first: Answers, second: Answers, gold: Answers, labels: Sequence[str]
) -> dict[str, tuple[str, ...]] | None:
    """label -> phrases like "scratched" or "intact and blurred", the most frequent first.

    None where a label gets no phrase. Either answer may be the one that is split by the other: the
    way that needs fewer phrases is taken.
    """
    ways = [_split(first, second, gold), _split(second, first, gold)]
    fit = [way for way in ways if set(way.values()) >= set(labels)]
    if not fit:
        return None
    best = min(fit, key=len)
    found = {x: tuple(p for p, owner in best.items() if owner == x) for x in labels}
    return {label: own[:MAX_PHRASES] for label, own in found.items()}


def _split(outer: Answers, inner: Answers, gold: Answers) -> dict[str, str]:
    """phrase -> label, by the majority of the examples that got the answers."""
    ids = [i for i in gold if outer.get(i) and inner.get(i)]
    found: dict[str, str] = {}
    for said, count in _by_frequency(Counter(outer[i] for i in ids)):
        inside = [i for i in ids if outer[i] == said]
        label, most = _majority(inside, gold)
        if most >= PURE * count:
            found[said] = label
            continue
        for more, _ in _by_frequency(Counter(inner[i] for i in inside)):
            cell = [i for i in inside if inner[i] == more]
            found[f"{said} and {more}"] = _majority(cell, gold)[0]
    return found


def _majority(ids: Sequence[str], gold: Answers) -> tuple[str, int]:
    return _by_frequency(Counter(gold[i] for i in ids))[0]


def _by_frequency(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
