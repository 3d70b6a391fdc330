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
        if result.most_members == 1:
            none = "One prompt with weighted answer words is not as good as the winner"
        else:
            none = f"No committee of up to {result.most_members} prompts is as good as the winner"
        return f" {none} on the training examples." if result.most_members else ""
    scored, test, count = made.test or made.selection, made.comparison, len(made.committee.members)
    single = next((t.prompt_tokens for t in result.trials if t.prompt == result.winner), 0)
    gain = "a reliable gain" if test.reliable else "no reliable gain"
    who = (
        f"A committee of {count} prompts" if count > 1 else "One prompt with weighted answer words"
    )
    cost = f"{count} evaluations" if count > 1 else "1 evaluation"
    return (
        f" {who} scores {percent(scored)}, {gain} over the single winner (p = "
        f"{p_text(test.p_value)}), for {cost} and {made.tokens} prompt tokens an example instead "
        f"of 1 and {single}."
    )
