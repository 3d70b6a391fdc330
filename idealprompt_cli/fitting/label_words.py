"""Chooses, from texts about labelled pictures, the few words that say each label (shared).

Forward selection under a price: a word joins a label as long as it makes the labels of the texts
likelier by more than a word found by chance would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

# What a word must add to the summed log-likelihood of the labels. Among a hundred words some fit
# three pictures of a label by accident; the price keeps most of those out.
PRICE = 1.2
# Votes that every label has in every text: how far one word is trusted.
EASE = 0.25

Marks = dict[str, tuple[str, ...]]


def fit_marks(
    features: Mapping[str, set[str]], gold: Mapping[str, str], labels: Sequence[str], limit: int
) -> Marks:
    """label -> at most `limit` words, the most distinctive first; labels without any are missing.

    `features[example]` are the words of its text. The model: p(label | text) is the label's share
    of the words found, each counting one vote, `EASE` votes given to every label beforehand.
    """
    ids = [example for example in features if gold.get(example) in labels]
    counts = Counter(word for example in ids for word in features[example])
    words = sorted((w for w, n in counts.items() if n >= 2), key=lambda w: (-counts[w], len(w), w))
    if not words:
        return {}
    table = np.array([[word in features[i] for word in words] for i in ids], dtype=float)
    answers = np.array([labels.index(gold[i]) for i in ids])
    found = _select(table, answers, len(labels), limit)
    return {labels[p]: tuple(words[w] for w in own) for p, own in enumerate(found) if own}


def _select(table: np.ndarray, answers: np.ndarray, count: int, limit: int) -> list[list[int]]:
    votes = np.full((len(answers), count), EASE)
    free = np.ones(table.shape[1], dtype=bool)
    found: list[list[int]] = [[] for _ in range(count)]
    while True:
        gains = np.stack([_gains(table, votes, answers, place) for place in range(count)])
        gains[:, ~free] = -np.inf
        gains[[place for place in range(count) if len(found[place]) >= limit]] = -np.inf
        place, word = np.unravel_index(int(gains.argmax()), gains.shape)
        if gains[place, word] <= PRICE:
            return found
        found[place].append(int(word))
        votes[:, place] += table[:, word]
        free[word] = False


def _gains(table: np.ndarray, votes: np.ndarray, answers: np.ndarray, place: int) -> np.ndarray:
    """For each word, what its joining label `place` adds to the summed log p(gold)."""
    rows = np.arange(len(answers))
    own, total = votes[rows, answers], votes.sum(axis=1)
    grown = own[:, None] + table * (answers == place)[:, None]
    after = np.log(grown) - np.log(total[:, None] + table)
    return np.asarray(after.sum(axis=0) - np.log(own / total).sum())
