"""Fits label -> words from the model's word scores on labelled examples.

A small penalised-likelihood problem: which words stand for which label, so that the label's
probability (the sum over its words) is high on the examples that carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.interfaces import Evidence
from ..core.prompt import Prompt, Verbaliser

Scores = Mapping[str, Mapping[str, float]]

MAX_WORDS = 8
SWEEPS = 3
# Share of every probability that goes to chance, so that one odd picture cannot rule the fit.
NOISE = 0.03
# What a word must add to the summed log-likelihood to be worth its place.
WORD_PRICE = 1.2
_NOBODY = -1
# A word that never gets this chance on any picture cannot be told from noise.
_HEARD = 0.02


def fit_verbalisers(
    scores: Scores,
    gold: Mapping[str, str],
    labels: Sequence[str],
    start: Sequence[Verbaliser] = (),
    limit: int = MAX_WORDS,
) -> tuple[Verbaliser, ...] | None:
    """The verbaliser of every label, at most `limit` words each, the likeliest first; None if a
    label gets no word.

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
    owner = _ascend(chances, answers, _filled(chances, answers, owner, len(labels)), len(labels))
    if set(range(len(labels))) - set(owner.tolist()):
        return None
    means = chances.mean(axis=0)
    fitted = []
    for place, label in enumerate(labels):
        own = sorted(np.flatnonzero(owner == place), key=lambda w: (-means[w], words[w]))
        fitted.append(Verbaliser(label, tuple(words[w] for w in own[:limit])))
    return tuple(fitted)


def likelihood(
    scores: Scores, gold: Mapping[str, str], labels: Sequence[str], fitted: Sequence[Verbaliser]
) -> float:
    """Summed log p(gold) under fitted words: how well a question tells the labels apart."""
    ids = [example for example in scores if example in gold]
    words = list(scores[ids[0]])
    owner, chances = _given(words, labels, fitted), _chances(scores, ids, words)
    own = [chances[i, owner == labels.index(gold[example])].sum() for i, example in enumerate(ids)]
    return _fit(np.array(own), chances[:, owner != _NOBODY].sum(axis=1), len(labels))


def fitted_words(
    prompt: Prompt, words: Sequence[str], labels: Sequence[str], evidence: Evidence
) -> tuple[Verbaliser, ...]:
    """Verbalisers of a prompt fitted on the evidence; () where nothing can be fitted."""

    def fit() -> tuple[Verbaliser, ...]:
        scores = evidence.word_scores([(prompt, words)])[0]
        gold = {example.id: example.answer for example in evidence.examples}
        return fit_verbalisers(scores, gold, labels) or ()

    return evidence.once(f"words {prompt} {words} {labels}", fit)


def refit_words(
    prompt: Prompt, words: Sequence[str], labels: Sequence[str], evidence: Evidence
) -> Prompt | None:
    """`prompt` with verbalisers fitted on the evidence; None where nothing can be fitted."""
    fitted = fitted_words(prompt, tuple(words), tuple(labels), evidence)
    return prompt.with_(verbalisers=fitted) if fitted else None


def reading(prompt: Prompt) -> str:
    """How a verbalised prompt is read, as a clause for notes."""
    return ", ".join(f"{'/'.join(v.words[:3])} as {v.label}" for v in prompt.verbalisers)


def _chances(scores: Scores, ids: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """(examples, words) probabilities over the word list; rows sum to 1."""
    table = np.array([[max(scores[i][w], -1e4) for w in words] for i in ids])
    table = np.exp(table - table.max(axis=1, keepdims=True))
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def _given(words: Sequence[str], labels: Sequence[str], start: Sequence[Verbaliser]) -> np.ndarray:
    """Each word's label as the verbalisers have it."""
    where = {word: labels.index(v.label) for v in start if v.label in labels for word in v.words}
    return np.array([where.get(word, _NOBODY) for word in words])


def _likeliest(chances: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    """Each word at the label in whose examples its mean chance is highest, if that is telling and
    the word is the likeliest for some example."""
    means = _means(chances, answers, count)
    share = means.max(axis=0) / np.maximum(means.sum(axis=0), 1e-12)
    said = np.isin(np.arange(chances.shape[1]), chances.argmax(axis=1))
    telling = said & (share >= (1 + 0.2 * (count - 1)) / count)
    return np.where(telling, means.argmax(axis=0), _NOBODY)


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


def _ascend(chances: np.ndarray, answers: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Moves words one at a time to the label (or to none) where the penalised likelihood is
    highest, in at most `SWEEPS` sweeps."""
    owner, rows = owner.copy(), np.arange(len(answers))
    mass = np.stack([chances[:, owner == place].sum(axis=1) for place in range(count)], axis=1)
    best = _fit(mass[rows, answers], mass.sum(axis=1), count) - WORD_PRICE * (owner >= 0).sum()
    for _ in range(SWEEPS):
        before = best
        for word, column in enumerate(chances.T):
            at = int(owner[word])
            if at >= 0 and (owner == at).sum() == 1:
                continue  # a label must keep a word
            if at >= 0:
                mass[:, at] -= column
            place, value = _best_place(mass, column, answers, rows, count)
            value -= WORD_PRICE * ((owner >= 0).sum() - (at >= 0))
            if value > best + 1e-9:
                owner[word], best, at = place, value, place
            if at >= 0:
                mass[:, at] += column
        if best <= before + 1e-9:
            break
    return owner


def _best_place(
    mass: np.ndarray, column: np.ndarray, answers: np.ndarray, rows: np.ndarray, count: int
) -> tuple[int, float]:
    """The label that a word (its chances are `column`) is best added to, or nobody, with the
    likelihood, less the price of the word."""
    own, total = mass[rows, answers], mass.sum(axis=1)
    values = [_fit(own, total, count)]
    values += [
        _fit(own + column * (answers == place), total + column, count) - WORD_PRICE
        for place in range(count)
    ]
    place = int(np.argmax(values))
    return place - 1, values[place]


def _fit(own: np.ndarray, total: np.ndarray, count: int) -> float:
    """Summed log p(gold label) with noise."""
    share = own / np.maximum(total, 1e-12)
    return float(np.log(NOISE / count + (1 - NOISE) * share).sum())
