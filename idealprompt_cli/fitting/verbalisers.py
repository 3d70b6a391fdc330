"""Fits label -> words from the model's word scores on labelled examples.

A small penalised-likelihood problem: which words stand for which label, so that the label's
probability (the sum over its words) is high on the examples that carry it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.interfaces import Evidence
from ..core.prompt import Prompt, Verbaliser
from ..evaluation.calibration import mean_offsets

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
_LEAST = -1e4
# What offsets must add to the summed log-likelihood for each label.
OFFSET_PRICE = 1.0
# A word that never gets this chance on any picture cannot be distinguished from noise.
_HEARD = 0.02


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
    chances = _chances(scores, ids, words)
    heard = np.flatnonzero(chances.max(axis=0) >= _HEARD)
    words, chances = [words[w] for w in heard], chances[:, heard]
    if len(words) < len(labels):
        return None
    answers = np.array([labels.index(gold[example]) for example in ids])
    owner = _given(words, labels, start) if start else _likeliest(chances, answers, len(labels))
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
    owner, chances = _given(words, labels, fitted), _chances(scores, ids, words)
    moved = dict(offsets)
    weights = np.array([math.exp(moved.get(label, 0.0)) for label in labels])
    mass = np.stack([chances[:, owner == p].sum(axis=1) for p in range(len(labels))], axis=1)
    mass = mass * weights
    own = mass[np.arange(len(ids)), [labels.index(gold[example]) for example in ids]]
    return _fit(own, mass.sum(axis=1), len(labels))


@dataclass(frozen=True)
class Reading:
    """How answers are read: words for each label, and offsets of the labels (() for none)."""

    verbalisers: tuple[Verbaliser, ...]
    calibration: tuple[tuple[str, float], ...] = ()


def fit_reading(
    scores: Scores,
    gold: Mapping[str, str],
    labels: Sequence[str],
    foreign: Collection[str] = (),
) -> Reading | None:
    """Words and, where they pay, offsets; None where a label gets no word.

    A language model says some words more readily than others, whatever it is shown. So words are
    fitted twice: to the scores as they are, and to the scores less each word's mean over the
    examples (batch calibration, arXiv 2309.17249). Offsets that bring the labels' mean
    log-probabilities to their shares are kept where they make the gold labels likelier by more
    than `OFFSET_PRICE` for each label.
    """
    ids = [example for example in scores if example in gold]
    plain = fit_verbalisers(scores, gold, labels, foreign=foreign)
    best = (Reading(plain), likelihood(scores, gold, labels, plain)) if plain else None
    unbiased = fit_verbalisers(centred(scores, ids), gold, labels, foreign=foreign)
    for words in (plain, unbiased):
        if words is None:
            continue
        offsets = _offsets(scores, gold, ids, words)
        value = likelihood(scores, gold, labels, words, offsets) - OFFSET_PRICE * len(labels)
        if best is None or value > best[1]:
            best = (Reading(words, offsets), value)
    return best[0] if best else None


# Parts of the examples that `held_out_share` leaves out in turn.
PARTS = 4


def held_out_share(
    scores: Scores, gold: Mapping[str, str], labels: Sequence[str], foreign: Collection[str] = ()
) -> float:
    """Mean probability of the gold label, a quarter of the examples at a time, by words fitted on
    the other three quarters to the scores less each word's mean; chance where none can be."""
    ids, present = list(gold), [x for x in labels if x in set(gold.values())]
    random.Random(0).shuffle(ids)  # an order in which kinds take turns would leave out whole kinds
    total = 0.0
    for part in range(PARTS):
        held = ids[part::PARTS]
        rest = {i: gold[i] for i in ids if i not in held}
        even = centred(scores, list(rest))
        known = [x for x in present if x in set(rest.values())]
        fitted = fit_verbalisers(even, rest, known, foreign=foreign)
        if fitted is None:
            total += len(held) / len(labels)
            continue
        words = list(scores[ids[0]])
        owner, chances = _given(words, known, fitted), _chances(even, held, words)
        mass = np.stack([chances[:, owner == p].sum(axis=1) for p in range(len(known))], axis=1)
        for row, i in zip(mass, held, strict=True):
            own = row[known.index(gold[i])] if gold[i] in known else 0.0
            total += NOISE / len(labels) + (1 - NOISE) * float(own / max(row.sum(), 1e-12))
    return total / max(1, len(ids))


def centred(scores: Scores, ids: Sequence[str]) -> Scores:
    """The scores less each word's mean over the examples `ids`."""
    words = list(scores[ids[0]]) if ids else []
    means = {w: sum(max(scores[i][w], _LEAST) for i in ids) / len(ids) for w in words}
    return {i: {w: max(row[w], _LEAST) - means[w] for w in words} for i, row in scores.items()}


def _offsets(
    scores: Scores, gold: Mapping[str, str], ids: Sequence[str], words: Sequence[Verbaliser]
) -> tuple[tuple[str, float], ...]:
    """Batch calibration of the labels' log-probabilities."""
    logs = {
        i: {v.label: float(np.logaddexp.reduce([scores[i][w] for w in v.words])) for v in words}
        for i in ids
    }
    return mean_offsets([(gold[i], logs[i]) for i in ids], [v.label for v in words])


def fitted_words(
    prompt: Prompt,
    words: Sequence[str],
    labels: Sequence[str],
    evidence: Evidence,
    foreign: Collection[str] = (),
) -> Reading | None:
    """How a prompt's answers are read, fitted on the evidence; None where nothing can be fitted."""

    def fit() -> Reading | None:
        scores = evidence.word_scores([(prompt, words)])[0]
        gold = {example.id: example.answer for example in evidence.examples}
        return fit_reading(scores, gold, labels, foreign)

    return evidence.once(f"words {prompt} {words} {labels} {sorted(foreign)}", fit)


def refit_words(
    prompt: Prompt,
    words: Sequence[str],
    labels: Sequence[str],
    evidence: Evidence,
    foreign: Collection[str] = (),
) -> Prompt | None:
    """`prompt` with words (and offsets) fitted on the evidence; None where nothing can be."""
    fitted = fitted_words(prompt, tuple(words), tuple(labels), evidence, foreign)
    if fitted is None:
        return None
    return prompt.with_(verbalisers=fitted.verbalisers, calibration=fitted.calibration)


def reading(prompt: Prompt) -> str:
    """How a verbalised prompt is read, as a clause for notes."""
    return ", ".join(f"{'/'.join(v.words[:3])} as {v.label}" for v in prompt.verbalisers)


def _chances(scores: Scores, ids: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """(examples, words) probabilities over the word list; rows sum to 1."""
    table = np.array([[max(scores[i][w], _LEAST) for w in words] for i in ids])
    table = np.exp(table - table.max(axis=1, keepdims=True))
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _given(words: Sequence[str], labels: Sequence[str], start: Sequence[Verbaliser]) -> np.ndarray:
    """Each word's label as the verbalisers have it."""
    where = {word: labels.index(v.label) for v in start if v.label in labels for word in v.words}
    return np.array([where.get(word, _NOBODY) for word in words])


def _likeliest(chances: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """Each word at the label in whose examples its mean chance is highest, if that is distinctive
    and the word is the likeliest for some example."""
    means = _means(chances, answers, count)
    share = means.max(axis=0) / np.maximum(means.sum(axis=0), 1e-12)
    said = np.isin(np.arange(chances.shape[1]), chances.argmax(axis=1))
    distinctive = said & (share >= (1 + 0.2 * (count - 1)) / count)
    return np.where(distinctive, means.argmax(axis=0), _NOBODY)


def _filled(chances: np.ndarray, answers: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """With the word of most lift for each label that has none."""
    owner, means = owner.copy(), _means(chances, answers, count)
    for place in range(count):
        if not (owner == place).any():
            lift = means[place] / np.maximum(means.sum(axis=0), 1e-12)
            owner[int(np.argmax(np.where(owner == _NOBODY, lift, -1.0)))] = place
    return owner


def _means(chances: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
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
