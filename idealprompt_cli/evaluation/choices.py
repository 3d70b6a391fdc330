"""From the log-probabilities of words to the label that is chosen, by one prompt or several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..core.committee import Committee
from ..core.prompt import Prompt
from ..core.results import Outcome
from ..core.task import Example
from ..prompts.rendering import ordered_labels, words_for

FLOOR = -1e4
"""The least log-probability that is distinguished."""


def option_words(prompt: Prompt, labels: Sequence[str]) -> tuple[str, ...]:
    """Every word that stands for a label, in the prompt's order; a word that two labels claim
    belongs to the first."""
    order = ordered_labels(prompt, labels)
    return tuple(dict.fromkeys(word for label in order for word in words_for(prompt, label)))


def chosen(
    prompt: Prompt,
    example: Example,
    labels: Sequence[str],
    logprobs: Sequence[float],
    thought: str,
) -> Outcome:
    """The ungraded outcome of a label task; `logprobs` are those of `option_words`, in order."""
    words = option_words(prompt, labels)
    scores = {w: max(FLOOR, s) for w, s in zip(words, logprobs, strict=True)}
    claimed: set[str] = set()
    by_label, best_word, offsets = {}, {}, dict(prompt.calibration)
    for label in ordered_labels(prompt, labels):
        own = [word for word in words_for(prompt, label) if word not in claimed]
        claimed.update(own)
        by_label[label] = _logsumexp([scores[word] for word in own]) + offsets.get(label, 0.0)
        best_word[label] = max(own, key=lambda word: scores[word], default=label)
    return decided(example, by_label, best_word, thought)


def joined(committee: Committee, example: Example, logs: Sequence[Sequence[float]]) -> Outcome:
    """The ungraded outcome of a committee from the log-probabilities of its members' words; the
    reply is what each of them says."""
    scores = committee.scores(logs)
    best = [
        member.words[max(range(len(own)), key=lambda place: own[place])]
        for member, own in zip(committee.members, logs, strict=True)
    ]
    return decided(example, scores, dict.fromkeys(scores, " | ".join(best)), "")


def decided(
    example: Example, by_label: Mapping[str, float], words: Mapping[str, str], thought: str
) -> Outcome:
    """The outcome that label scores (log-probabilities, not normalised) lead to, ungraded; `words`
    has the word by which the model says each label."""
    total = _logsumexp(list(by_label.values()))
    chosen = max(by_label, key=lambda label: by_label[label])
    right = [score for label, score in by_label.items() if label in example.answers]
    others = [score for label, score in by_label.items() if label not in example.answers]
    margin = max(right) - max(others) if right and others else 0
    return Outcome(
        example_id=example.id,
        gold=example.answer,
        predicted=chosen,
        score=0.0,
        margin=float(max(-60.0, min(60.0, margin))),
        probabilities={label: math.exp(score - total) for label, score in by_label.items()},
        reply=words[chosen],
        reasoning=thought,
    )


def _logsumexp(values: Sequence[float]) -> float:
    """log of the sum of exponentials; the floor for none, so that a label without words loses."""
    if not values:
        return FLOOR
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
