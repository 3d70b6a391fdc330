"""The held-out test: baseline, winner and committee on the test split, which is read once."""

from __future__ import annotations

from dataclasses import replace

from ..core.interfaces import Embeds
from ..core.results import RunResult, SplitScores
from .committee import beside_committee, recommendation, tested
from .evaluator import Evaluator
from .majority import majority_vote
from .probe import fit_probe
from .statistics import beside_probe, compare, verdict


def held_out_test(
    result: RunResult, evaluator: Evaluator, embeds: Embeds | None = None
) -> RunResult:
    """The result with the test scores of baseline and winner, and whether the gain is reliable.

    Not part of the run's budget; what it cost is added to the result's. Without a test split the
    verdict rests on the selection scores, corrected for the prompts that were tried. With `embeds`
    a linear probe on the same pictures is reported beside them. A committee is scored too.
    """
    task, unchanged = result.task, result.winner == result.baseline
    probe = fit_probe(task, evaluator.metric, embeds) if embeds else None
    if not task.test:
        split = result.selection
        text = verdict(split, "training", task.labels, result.baseline_name, unchanged)
        text += " There is no test split: this is a cross-fitted estimate."
        text += beside_committee(result) + beside_probe(probe, split.winner)
        chosen = recommendation(result, split, evaluator)
        return replace(result, verdict=text, recommended=chosen, probe=probe)
    before = evaluator.evaluate(result.baseline, task.test)
    after = evaluator.evaluate(result.winner, task.test)
    vote = majority_vote(task, task.test, after, evaluator.metric)
    split = SplitScores(before, after, compare(before.outcomes, after.outcomes), vote)
    cost = result.cost + before.cost + after.cost
    result = replace(result, committee=tested(result, evaluator, after))
    if result.committee is not None and result.committee.test is not None:
        cost += result.committee.test.cost
    return replace(
        result,
        test=split,
        verdict=verdict(split, "held-out", task.labels, result.baseline_name, unchanged)
        + beside_committee(result)
        + beside_probe(probe, after),
        probe=probe,
        recommended=recommendation(result, split, evaluator),
        cost=cost,
    )
