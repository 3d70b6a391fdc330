"""Finds a rule for a label, "(a or b) and (c)", in texts about labelled pictures (shared).

Sequential covering (as in RIPPER, Cohen 1995), the other way round: every clause must hold for
nearly all texts of the label, and shuts out as many of the others as it can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MAX_CLAUSES = 3
MAX_WORDS = 5
# A clause holds for at least this share of the label's texts and at most that share of others.
HOLDS, LEAKS = 0.8, 0.75
_SEEDS = 12
_WORD_PRICE = 0.05

Clause = tuple[str, ...]
Texts = Sequence[set[str]]


def fit_rule(
    texts: Mapping[str, set[str]], gold: Mapping[str, str], label: str
) -> tuple[Clause, ...]:
    """Clauses that a text of `label` fulfils, the sharpest first; () if nothing sets it apart.

    `texts[example]` are the words of its text. The words of a clause never occur together: they
    are values of one attribute.
    """
    inside = [words for example, words in texts.items() if gold.get(example) == label]
    outside = [words for example, words in texts.items() if gold.get(example) not in (None, label)]
    clauses: list[Clause] = []
    while inside and outside and len(clauses) < MAX_CLAUSES:
        clause = _best_clause(inside, outside)
        if clause is None:
            break
        clauses.append(clause)
        inside = [words for words in inside if words & set(clause)]
        outside = [words for words in outside if words & set(clause)]
    return tuple(clauses)


def _best_clause(inside: Texts, outside: Texts) -> Clause | None:
    words = sorted({word for text in inside for word in text})
    lift = {word: _share(inside, (word,)) - _share(outside, (word,)) for word in words}
    seeds = sorted((w for w in words if lift[w] > 0), key=lambda w: (-lift[w], w))[:_SEEDS]
    grown = {_grow(seed, seeds, inside, outside) for seed in seeds}
    fit = [
        clause
        for clause in sorted(grown)
        if _share(inside, clause) >= HOLDS and _share(outside, clause) <= LEAKS
    ]
    return max(fit, key=lambda clause: _score(clause, inside, outside)) if fit else None


def _grow(seed: str, words: Sequence[str], inside: Texts, outside: Texts) -> Clause:
    """The seed with further words that never occur with a word of the clause, while that helps."""
    clause: Clause = (seed,)
    while len(clause) < MAX_WORDS:
        free = [w for w in words if w not in clause and _apart(w, clause, inside, outside)]
        longer = [(*clause, word) for word in free]
        best = max(longer, key=lambda c: _score(c, inside, outside), default=clause)
        if _score(best, inside, outside) <= _score(clause, inside, outside):
            break
        clause = best
    return tuple(sorted(clause))


def _apart(word: str, clause: Clause, inside: Texts, outside: Texts) -> bool:
    both = (*inside, *outside)
    return not any(word in text and not text.isdisjoint(clause) for text in both)


def _score(clause: Clause, inside: Texts, outside: Texts) -> float:
    return _share(inside, clause) - _share(outside, clause) - _WORD_PRICE * len(clause)


def _share(texts: Texts, clause: Clause) -> float:
    return sum(not text.isdisjoint(clause) for text in texts) / max(1, len(texts))
