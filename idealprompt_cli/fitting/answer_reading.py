"""How a question's answers are read: the words for each label, and offsets of the labels.

With enough examples words are fitted by likelihood (`verbalisers`), as they are and with each
word's bias taken off; with few by the labels' mean log-probabilities.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.interfaces import Evidence
from ..core.prompt import Prompt, Verbaliser
from ..evaluation.calibration import mean_offsets
from .verbalisers import (
    HEARD,
    LEAST,
    Scores,
    fit_verbalisers,
    label_means,
    likelihood,
    word_chances,
)

# What offsets must add to the summed log-likelihood for each label.
OFFSET_PRICE = 1.0
# Fewer examples than these, or than so many for a label, are read by their means; a log-probability
# in them is at least `FLOOR`.
FEW, FEW_EACH, FLOOR = 7, 1.5, -30.0


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

    To few examples, words fitted so follow chance: then each label gets the one word whose
    mean log-probability among its examples is farthest above the other labels', and offsets make
    the words equally likely on average. A label without an example is never answered.
    """
    ids = [example for example in scores if example in gold]
    if len(ids) < max(FEW, FEW_EACH * len(labels)):
        return _mean_reading(scores, gold, labels, foreign)
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


def _mean_reading(
    scores: Scores, gold: Mapping[str, str], labels: Sequence[str], foreign: Collection[str]
) -> Reading | None:
    ids = [example for example in scores if example in gold]
    present = [label for label in labels if label in {gold[i] for i in ids}]
    if len(present) < 2:
        return None
    answers = np.array([present.index(gold[example]) for example in ids])
    words = list(scores[ids[0]])
    logs = np.array([[max(scores[i][w], FLOOR) for w in words] for i in ids])
    bias = logs.mean(axis=0)
    means = label_means(logs - bias, answers, len(present))
    others = np.stack(
        [np.delete(means, place, axis=0).max(axis=0) for place in range(len(present))]
    )
    lift = np.where([word in foreign for word in words], 0.5, 1.0) * (means - others)
    heard = word_chances(scores, ids, words).max(axis=0) >= HEARD
    if heard.sum() >= len(present):
        lift[:, ~heard] = -np.inf
    best = np.full(len(present), -1)
    while (best < 0).any() and np.isfinite(lift).any():
        place, word = np.unravel_index(int(lift.argmax()), lift.shape)
        best[place], lift[place], lift[:, word] = word, -np.inf, -np.inf
    if (best < 0).any():
        return None
    level = bias[best].mean()
    offsets = {x: round(level - bias[w], 3) for x, w in zip(present, best, strict=True)}
    return Reading(
        tuple(Verbaliser(x, (words[w],)) for x, w in zip(present, best, strict=True)),
        tuple((x, offsets.get(x, FLOOR)) for x in labels),
    )


def centred(scores: Scores, ids: Sequence[str]) -> Scores:
    """The scores less each word's mean over the examples `ids`."""
    words = list(scores[ids[0]]) if ids else []
    means = {w: sum(max(scores[i][w], LEAST) for i in ids) / len(ids) for w in words}
    return {i: {w: max(row[w], LEAST) - means[w] for w in words} for i, row in scores.items()}


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
