"""Several prompts that answer together: what a committee is, and how its answers are added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .prompt import Prompt

MOST_MEMBERS = 5
REACH = 15.0
"""Log-probabilities that are lower than the best one by more count as lower by this much."""


@dataclass(frozen=True)
class Member:
    """A prompt, the words that are compared as its answer, and for each label what their
    log-probabilities are multiplied by."""

    prompt: Prompt
    words: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]]

    @property
    def own_words(self) -> bool:
        """Whether the words are the model's own, and not the labels."""
        return set(self.words) != set(self.weights)


@dataclass(frozen=True)
class Committee:
    """Prompts of a label task whose answers are combined by a linear layer. `biases` has what is
    added to each label's score."""

    members: tuple[Member, ...]
    biases: Mapping[str, float]

    def scores(self, logs: Sequence[Sequence[float]]) -> dict[str, float]:
        """Each label's score, a log-probability that is not normalised, from the log-probabilities
        of each member's words."""
        scores = dict(self.biases)
        for member, own in zip(self.members, logs, strict=True):
            for label, weights in member.weights.items():
                pairs = zip(weights, within_reach(own), strict=True)
                scores[label] += sum(weight * log for weight, log in pairs)
        return scores


def within_reach(logs: Sequence[float]) -> list[float]:
    """Log-probabilities of words, relative to the best of them, and not lower than `REACH`."""
    best = max(logs)
    return [max(log - best, -REACH) for log in logs]


Asked = Prompt | Committee
"""What can be asked about an example."""


def prompts_of(asked: Asked) -> tuple[Prompt, ...]:
    """The prompts that are sent to the model for one answer."""
    if isinstance(asked, Prompt):
        return (asked,)
    return tuple(member.prompt for member in asked.members)
