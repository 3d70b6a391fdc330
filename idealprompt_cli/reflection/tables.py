"""Rules about two attributes: which pairs of answers stand for which label.

One question seldom tells the labels of a rule like "scratched, or intact but blurred" apart; two
questions together do. Works on answers and labels alone: it knows no prompts and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

Answers = Mapping[str, str]

# From this share of an answer's examples on, the answer alone decides.
PURE = 0.85
MAX_PHRASES = 5


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
