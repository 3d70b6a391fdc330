"""Majority vote: what always answering the commonest label scores. A baseline of its own, because a
prompt may beat a bad seed prompt and still know less than that."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..core.interfaces import Metric
from ..core.results import Evaluation, MajorityVote, Outcome
from ..core.task import Example, Task
from .statistics import compare, interval, is_mean

DRAWS = 1000


def majority_vote(
    task: Task, examples: Sequence[Example], winner: Evaluation, metric: Metric
) -> MajorityVote | None:
    """The majority vote on the examples that the winner was scored on; None where the answers are
    no labels. The label is the commonest in the training split, the first of equals."""
    if not task.labels:
        return None
    counts = Counter(example.answer for example in task.train)
    label = max(task.labels, key=lambda one: counts[one])
    by_id = {example.id: example for example in examples}
    votes = [_voted(label, by_id[one.example_id], one, metric) for one in winner.outcomes]
    return MajorityVote(
        label,
        metric.aggregate(votes),
        interval(votes, metric),
        len(votes),
        _better(winner.outcomes, votes, metric),
    )


def _voted(label: str, example: Example, outcome: Outcome, metric: Metric) -> Outcome:
    right = label in example.answers
    return replace(
        outcome,
        gold=label if right else example.answer,
        predicted=label,
        score=metric.grade(label, example.answers),
        margin=0.0,
        probabilities={},
        reply=label,
    )


def _better(ours: Sequence[Outcome], votes: Sequence[Outcome], metric: Metric) -> bool:
    """Whether the winner is reliably better: by the exact paired test where the metric is a mean of
    grades, else where 97.5 % of paired bootstrap draws (Efron 1979) say so."""
    if metric.aggregate(ours) <= metric.aggregate(votes):
        return False
    if is_mean(ours, metric) and is_mean(votes, metric):
        return compare(votes, ours).reliable
    rng, places = random.Random(0), range(len(ours))
    better = 0
    for _ in range(DRAWS):
        drawn = rng.choices(places, k=len(ours))
        gain = metric.aggregate([ours[i] for i in drawn]) - metric.aggregate(
            [votes[i] for i in drawn]
        )
        better += gain > 0
    return better >= 0.975 * DRAWS
