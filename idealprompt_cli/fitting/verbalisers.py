"""Fits label -> words from the model's word scores on labelled examples.

A small penalised-likelihood problem: which words stand for which label, so that the label's
probability (the sum over its words) is high on the examples that carry it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..core.prompt import Verbaliser

Scores = Mapping[str, Mapping[str, float]]

MAX_WORDS = 8
SWEEPS = 3
# Share of every probability that goes to chance, so that one odd picture cannot rule the fit.
NOISE = 0.03
# What a word must add to the summed log-likelihood to be worth its place.
WORD_PRICE = 1.2
# The same for a word that the model did not answer with: of many such words some fit by chance.
FOREIGN_PRICE = 3.0
_NOBODY = -1
LEAST = -1e4
# A word that never gets this chance on any picture cannot be distinguished from noise.
HEARD = 0.02


def fit_verbalisers(
    scores: Scores,
    gold: Mapping[str, str],
    labels: Sequence[str],
    start: Sequence[Verbaliser] = (),
    limit: int = MAX_WORDS,
    foreign: Collection[str] = (),
) -> tuple[Verbaliser, ...] | None:
    """The verbaliser of every label, at most `limit` words each, the likeliest first; None if a
    label gets no word. `foreign` are words that the model did not answer with.

    `scores[example][word]` is log p(word | prompt, example); examples without gold are not used.
    Words begin at the label that `start` gives them (none given: at the label in whose examples
    they are likeliest) and are then moved one at a time, in at most three sweeps of coordinate
    ascent, while the penalised likelihood rises.
    """
    ids = [example for example in scores if example in gold]
    if len({gold[example] for example in ids}) < len(labels):
        return None
    words = list(scores[ids[0]])
    chances = word_chances(scores, ids, words)
    heard = np.flatnonzero(chances.max(axis=0) >= HEARD)
    words, chances = [words[w] for w in heard], chances[:, heard]
    if len(words) < len(labels):
        return None
    answers = np.array([labels.index(gold[example]) for example in ids])
    owner = owners(words, labels, start) if start else _likeliest(chances, answers, len(labels))
    prices = np.array([FOREIGN_PRICE if word in foreign else WORD_PRICE for word in words])
    owner = _filled(chances, answers, owner, len(labels))
    owner = _ascend(chances, answers, owner, prices, len(labels))
    if set(range(len(labels))) - set(owner.tolist()):
        return None
    means = chances.mean(axis=0)
    fitted = []
    for place, label in enumerate(labels):
        own = sorted(np.flatnonzero(owner == place), key=lambda w: (-means[w], words[w]))
        fitted.append(Verbaliser(label, tuple(words[w] for w in own[:limit])))
    return tuple(fitted)


def likelihood(
    scores: Scores,
    gold: Mapping[str, str],
    labels: Sequence[str],
    fitted: Sequence[Verbaliser],
    offsets: Sequence[tuple[str, float]] = (),
) -> float:
    """Summed log p(gold) under fitted words and offsets of the labels, in nats."""
    ids = [example for example in scores if example in gold]
    words = list(scores[ids[0]])
    owner, chances = owners(words, labels, fitted), word_chances(scores, ids, words)
    moved = dict(offsets)
    weights = np.array([math.exp(moved.get(label, 0.0)) for label in labels])
    mass = np.stack([chances[:, owner == p].sum(axis=1) for p in range(len(labels))], axis=1)
    mass = mass * weights
    own = mass[np.arange(len(ids)), [labels.index(gold[example]) for example in ids]]
    return _fit(own, mass.sum(axis=1), len(labels))


def word_chances(scores: Scores, ids: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """(examples, words) probabilities over the word list; rows sum to 1."""
    table = np.array([[max(scores[i][w], LEAST) for w in words] for i in ids])
    table = np.exp(table - table.max(axis=1, keepdims=True))
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def owners(words: Sequence[str], labels: Sequence[str], start: Sequence[Verbaliser]) -> np.ndarray:
    """Each word's label as the verbalisers have it."""
    where = {word: labels.index(v.label) for v in start if v.label in labels for word in v.words}
    return np.array([where.get(word, _NOBODY) for word in words])


def _likeliest(chances: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """Each word at the label in whose examples its mean chance is highest, if that is distinctive
    and the word is the likeliest for some example."""
    means = label_means(chances, answers, count)
    share = means.max(axis=0) / np.maximum(means.sum(axis=0), 1e-12)
    said = np.isin(np.arange(chances.shape[1]), chances.argmax(axis=1))
    distinctive = said & (share >= (1 + 0.2 * (count - 1)) / count)
    return np.where(distinctive, means.argmax(axis=0), _NOBODY)


def _filled(chances: np.ndarray, answers: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """With the word of most lift for each label that has none."""
    owner, means = owner.copy(), label_means(chances, answers, count)
    for place in range(count):
        if not (owner == place).any():
            lift = means[place] / np.maximum(means.sum(axis=0), 1e-12)
            owner[int(np.argmax(np.where(owner == _NOBODY, lift, -1.0)))] = place
    return owner


def label_means(chances: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """(labels, words): the mean chance of each word among each label's examples."""
    return np.stack([chances[answers == place].mean(axis=0) for place in range(count)])


def _ascend(
    chances: np.ndarray, answers: np.ndarray, owner: np.ndarray, prices: np.ndarray, count: int
) -> np.ndarray:
    """Moves words one at a time to the label (or to none) where the penalised likelihood is
    highest, in at most `SWEEPS` sweeps."""
    owner, rows = owner.copy(), np.arange(len(answers))
    mass = np.stack([chances[:, owner == place].sum(axis=1) for place in range(count)], axis=1)
    best = _fit(mass[rows, answers], mass.sum(axis=1), count) - prices[owner >= 0].sum()
    for _ in range(SWEEPS):
        before = best
        for word, column in enumerate(chances.T):
            at = int(owner[word])
            if at >= 0 and (owner == at).sum() == 1:
                continue  # a label must keep a word
            if at >= 0:
                mass[:, at] -= column
            owner[word] = _NOBODY
            place, value = _best_place(mass, column, answers, rows, count, prices[word])
            value -= prices[owner >= 0].sum()
            owner[word] = at
            if value > best + 1e-9:
                owner[word], best, at = place, value, place
            if at >= 0:
                mass[:, at] += column
        if best <= before + 1e-9:
            break
    return owner


def _best_place(
    mass: np.ndarray,
    column: np.ndarray,
    answers: np.ndarray,
    rows: np.ndarray,
    count: int,
    price: float,
) -> tuple[int, float]:
    """The label that a word (its chances are `column`) is best added to, or nobody, with the
    likelihood, less the price of the word."""
    own, total = mass[rows, answers], mass.sum(axis=1)
    values = [_fit(own, total, count)]
    values += [
        _fit(own + column * (answers == place), total + column, count) - price
        for place in range(count)
    ]
    place = int(np.argmax(values))
    return place - 1, values[place]


def _fit(own: np.ndarray, total: np.ndarray, count: int) -> float:
    """Summed log p(gold label) with noise."""
    share = own / np.maximum(total, 1e-12)
    return float(np.log(NOISE / count + (1 - NOISE) * share).sum())
