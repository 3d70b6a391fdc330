"""Words of the model's own descriptions that mark each label (shared by strategies)."""

from __future__ import annotations

from collections.abc import Sequence

from ..interfaces import Evidence
from ..wording import features

Marks = dict[str, tuple[str, ...]]


def marks(evidence: Evidence, labels: Sequence[str], limit: int) -> Marks:
    """label -> up to `limit` phrases that together cover its pictures; no phrase twice.

    Phrases come in the order of their z score; one is taken if it covers enough pictures of its
    label that the earlier ones leave uncovered, and more of them than of the others' pictures. A
    label that nothing marks is missing from the answer.
    """
    said = {example_id: features(text) for example_id, text in evidence.descriptions().items()}
    found: Marks = {}
    for label in labels:
        inside = [said[e.id] for e in evidence.examples if e.answer == label]
        outside = [said[e.id] for e in evidence.examples if e.answer != label]
        taken = _cover(evidence.phrases(label, limit=3 * limit), inside, outside, limit)
        if taken:
            found[label] = taken
    return found


def _cover(
    phrases: Sequence[str],
    inside: Sequence[set[str]],
    outside: Sequence[set[str]],
    limit: int,
) -> tuple[str, ...]:
    taken: list[str] = []
    left, others = list(inside), list(outside)
    for phrase in phrases:
        hits = sum(phrase in text for text in left)
        misses = sum(phrase in text for text in others)
        share_in, share_out = hits / max(len(inside), 1), misses / max(len(outside), 1)
        if len(taken) < limit and share_in >= 0.08 and share_in > 2 * share_out:
            taken.append(phrase)
            left = [text for text in left if phrase not in text]
            others = [text for text in others if phrase not in text]
    return tuple(taken)


def either(words: Sequence[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
