"""Which of the model's words stand for which label: a greedy, priced likelihood fit.

Unlike a fit from scratch it starts at the words that a prompt has, so that reflection moves them
and does not throw them away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..core.prompt import Verbaliser

Scores = Mapping[str, Mapping[str, float]]

MAX_WORDS = 6
# Nats of summed log-likelihood that a move must win: what a word found by chance would.
PRICE = 1.2
# Share of every probability that goes to chance, so that one odd picture cannot rule the fit.
NOISE = 0.03
_NOBODY = -1


def fit_words(
    scores: Scores,
    gold: Mapping[str, str],
    labels: Sequence[str],
    start: Sequence[Verbaliser] = (),
) -> tuple[Verbaliser, ...] | None:
    """label -> words, the likeliest first; None where a label gets no word.

    `scores[example][word]` is log p(word | prompt, picture). Single moves (a word to a label, or
    to nobody) are made while they win more than `PRICE` of log p(gold).
    """
    ids = [example for example in scores if example in gold]
    if len({gold[example] for example in ids}) < len(labels):
        return None
    words = list(scores[ids[0]])
    if len(words) < len(labels):
        return None
    chances = _chances(scores, ids, words)
    answers = np.array([labels.index(gold[example]) for example in ids])
    owner = _start(chances, answers, words, labels, start)
    if owner is None:
        return None
    owner = _climb(chances, answers, owner, len(labels))
    means = chances.mean(axis=0)
    return tuple(
        Verbaliser(label, _own(words, owner == place, means)) for place, label in enumerate(labels)
    )


def likelihood(
    scores: Scores, gold: Mapping[str, str], labels: Sequence[str], fitted: Sequence[Verbaliser]
) -> float:
    """Summed log p(gold) under fitted words: how well a question tells the labels apart."""
    ids = [example for example in scores if example in gold]
    words = list(scores[ids[0]])
    where = {word: labels.index(v.label) for v in fitted for word in v.words}
    owner = np.array([where.get(word, _NOBODY) for word in words])
    answers = np.array([labels.index(gold[example]) for example in ids])
    return _value(_mass(_chances(scores, ids, words), owner, len(labels)), answers)


def _own(words: Sequence[str], mask: np.ndarray, means: np.ndarray) -> tuple[str, ...]:
    found = [int(place) for place in np.flatnonzero(mask)]
    places = sorted(found, key=lambda w: (-float(means[w]), words[w]))
    return tuple(words[w] for w in places[:MAX_WORDS])


def _chances(scores: Scores, ids: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """(examples, words) probabilities over the word list; rows sum to 1."""
    table = np.array([[max(scores[i][w], -1e4) for w in words] for i in ids])
    table = np.exp(table - table.max(axis=1, keepdims=True))
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _start(
    chances: np.ndarray,
    answers: np.ndarray,
    words: Sequence[str],
    labels: Sequence[str],
    start: Sequence[Verbaliser],
) -> np.ndarray | None:
    """The present words at their labels; a label without any gets the one with most lift."""
    owner = np.full(len(words), _NOBODY)
    for verbaliser in start:
        for word in verbaliser.words:
            if word in words and verbaliser.label in labels:
                owner[words.index(word)] = labels.index(verbaliser.label)
    means = np.stack([chances[answers == p].mean(axis=0) for p in range(len(labels))])
    lift = means - (means.sum(axis=0) - means) / max(1, len(labels) - 1)
    for place in range(len(labels)):
        free = np.flatnonzero(owner == _NOBODY)
        if not (owner == place).any():
            if not len(free):
                return None
            owner[free[int(lift[place][free].argmax())]] = place
    return owner


def _climb(chances: np.ndarray, answers: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """The best single move again and again, while it wins more than its price."""
    for _ in range(2 * count * MAX_WORDS):
        mass = _mass(chances, owner, count)
        best, move = _value(mass, answers) + PRICE, None
        for word, place in _moves(owner, count):
            trial = mass.copy()
            if owner[word] != _NOBODY:
                trial[:, owner[word]] -= chances[:, word]
            if place != _NOBODY:
                trial[:, place] += chances[:, word]
            value = _value(trial, answers)
            if value > best:
                best, move = value, (word, place)
        if move is None:
            break
        owner[move[0]] = move[1]
    return owner


def _moves(owner: np.ndarray, count: int) -> list[tuple[int, int]]:
    sizes = [int((owner == place).sum()) for place in range(count)]
    moves = []
    for word, now in enumerate(owner.tolist()):
        if now != _NOBODY and sizes[now] == 1:
            continue  # its label would be left without a word
        moves += [
            (word, place)
            for place in range(_NOBODY, count)
            if place != now and (place == _NOBODY or sizes[place] < MAX_WORDS)
        ]
    return moves


def _mass(chances: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    return np.stack([chances[:, owner == place].sum(axis=1) for place in range(count)], axis=1)


def _value(mass: np.ndarray, answers: np.ndarray) -> float:
    own = mass[np.arange(len(answers)), answers]
    share = np.clip(own / np.maximum(mass.sum(axis=1), 1e-12), 0.0, 1.0)
    value = float(np.log(NOISE / mass.shape[1] + (1 - NOISE) * share).sum())
    return value if math.isfinite(value) else -math.inf
