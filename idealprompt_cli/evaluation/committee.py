"""What a committee adds to a run: its held-out test, its part of the verdict, the recommendation.

How one is chosen is in `fitting.committee`.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.results import CommitteeResult, Evaluation, Recommended, RunResult, SplitScores
from .evaluator import Evaluator
from .majority import majority_vote
from .statistics import compare, p_text, percent, recommended


def tested(result: RunResult, evaluator: Evaluator, winner: Evaluation) -> CommitteeResult | None:
    """The committee with its score on the test split, compared with the winner's."""
    made = result.committee
    if made is None:
        return None
    test = evaluator.evaluate(made.committee, result.task.test)
    return replace(made, test=test, comparison=compare(winner.outcomes, test.outcomes))


def recommendation(result: RunResult, split: SplitScores, evaluator: Evaluator) -> Recommended:
    """The committee only where it is reliably better than the winner, than the baseline and than
    the majority vote; else what the single prompts' figures support."""
    made = result.committee
    if made is None or not made.comparison.reliable:
        return recommended(split)
    scored, task = made.test or made.selection, result.task
    examples = task.test if made.test else task.selection
    vote = majority_vote(task, examples, scored, evaluator.metric)
    before = compare(split.baseline.outcomes, scored.outcomes)
    highest = scored.value > max(split.baseline.value, split.winner.value)
    reliable = highest and before.reliable and (vote is None or vote.beaten)
    return "committee" if reliable else recommended(split)


def beside_committee(result: RunResult) -> str:
    """A sentence on what the committee that was asked for adds to the winner, and its price, or
    ""."""
    made = result.committee
    if made is None:
        none = f" No committee of up to {result.most_members} prompts is as good as the winner"
        return f"{none} on the training examples." if result.most_members else ""
    scored, test, count = made.test or made.selection, made.comparison, len(made.committee.members)
    single = next((t.prompt_tokens for t in result.trials if t.prompt == result.winner), 0)
    gain = "a reliable gain" if test.reliable else "no reliable gain"
    return (
        f" A committee of {count} prompts scores {percent(scored)}, {gain} over the single winner "
        f"(p = {p_text(test.p_value)}), for {count} evaluations and {made.tokens} prompt tokens an "
        f"example instead of 1 and {single}."
    )
