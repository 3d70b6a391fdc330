"""The search for a better prompt: a walk over the tree of strategies within a budget.

`run` owns the loop: ask the policy for a move, the strategy for drafts, the race for their scores.
It is given engine, metric, strategies and budget, and knows no concrete one. `final_test` reads the
locked test split, once, for the baseline and the winner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ..core.errors import Interrupted, UsageError
from ..core.interfaces import Engine, Metric, Observer, Proposer, Strategy
from ..core.results import Prefer, RunResult, SplitScores, StopReason
from ..core.task import Task
from ..evaluation.budget import Budget
from ..evaluation.evaluator import Evaluator
from ..evaluation.metered_engine import MeteredEngine
from ..evaluation.racing import bought
from ..evaluation.statistics import compare, recommended, verdict
from ..priors import Beliefs
from ..storage.journal import Journal
from .policies import Policy, Puct
from .tree_search import TreeSearch

T = TypeVar("T")

_STOP_TEXT: dict[StopReason, str] = {
    "evaluations": "the budget of evaluations is spent",
    "seconds": "the time is up",
    "tokens": "the budget of tokens is spent",
    "exhausted": "every strategy has been tried on every prompt",
    "perfect": "a prompt answers every training picture right, and surely",
    "interrupted": "interrupted",
    "settled": "no better prompt came for a while",
}


def run(
    task: Task,
    engine: Engine,
    metric: Metric,
    strategies: Sequence[Strategy],
    budget: Budget,
    *,
    observer: Observer,
    journal: Journal | None = None,
    seed: int = 0,
    proposer: Callable[[Engine], Proposer | None] | None = None,
    policy: Callable[[Beliefs], Policy] = Puct,
    beliefs: Beliefs | None = None,
    prefer: Prefer = "score",
) -> RunResult:
    """Search from the task's question; the result's `test` is None (see `final_test`).

    `policy` makes the rule for moves from what the memory of earlier runs believes (`beliefs`);
    `proposer` makes the writer for strategies that need one, from the run's own ledger;
    `prefer="short"` takes the cheapest prompt that is not clearly worse than the best.
    Same arguments, engine answers and journal give the same result, broken and resumed or not.
    Raises UsageError when the budget does not cover the seed prompt on the training pictures, and
    Interrupted on Ctrl-C, with all that was computed in the journal.
    """
    walk = begin(
        task, engine, metric, strategies, budget, observer=observer, journal=journal, seed=seed,
        proposer=proposer, policy=policy, beliefs=beliefs, prefer=prefer,
    )  # fmt: skip
    stop = going(walk, walk.go)
    observer.finished(stopped(walk, stop))
    return walk.result(stop)


def begin(
    task: Task,
    engine: Engine,
    metric: Metric,
    strategies: Sequence[Strategy],
    budget: Budget,
    *,
    observer: Observer,
    journal: Journal | None = None,
    seed: int = 0,
    proposer: Callable[[Engine], Proposer | None] | None = None,
    policy: Callable[[Beliefs], Policy] = Puct,
    beliefs: Beliefs | None = None,
    prefer: Prefer = "score",
) -> TreeSearch:
    """The walk of `run` before its first step, announced to the observer."""
    if not task.train:
        raise UsageError(f"task {task.name}: no training pictures to search with")
    journal = journal or Journal.memory()
    ledger = engine if isinstance(engine, MeteredEngine) else MeteredEngine(engine, journal, budget)
    evaluator = Evaluator(ledger, task, metric)
    observer.started(task, engine.info(), plan(task, budget))
    rule = policy(snapshot(journal, beliefs))
    journal.agree("policy", type(rule).__name__, "take the same --policy")
    journal.agree("pool", ", ".join(s.name for s in strategies), "take the same --strategy")
    return TreeSearch(evaluator, strategies, rule, observer, journal, seed, proposer, prefer)


def going(walk: TreeSearch, part: Callable[[], T]) -> T:
    """The value of a part of a run; Ctrl-C within it is told, and raised as Interrupted."""
    try:
        return part()
    except KeyboardInterrupt as error:
        spent = walk.ledger.budget.spent(walk.ledger.spent)
        walk.observer.finished(f"Interrupted after {spent}.")
        raise Interrupted(f"interrupted after {spent}; what was computed is kept") from error


def stopped(walk: TreeSearch, stop: StopReason) -> str:
    """Why and after how much a run stopped, as a sentence."""
    spent = walk.ledger.budget.spent(walk.ledger.spent)
    if walk.ledger.found:
        spent += f", {walk.ledger.found} more known from earlier runs"
    return f"Stopped: {_STOP_TEXT[stop]} ({len(walk.trials)} prompts tried, {spent})."


def snapshot(journal: Journal, beliefs: Beliefs | None) -> Beliefs:
    """The beliefs that this run started with: the memory may have grown since it was broken."""
    kept = journal.records("beliefs")
    if not kept:
        kept = [{"kind": "beliefs", "table": (beliefs or Beliefs()).to_record()}]
        journal.append(kept)
    return Beliefs.from_record(kept[0]["table"])


def final_test(
    result: RunResult, engine: Engine, metric: Metric, *, journal: Journal | None = None
) -> RunResult:
    """Read the test split for baseline and winner, and say whether the gain is reliable.

    Not part of the search's budget; what it cost is added to the result's. Without a test split
    the verdict rests on the selection scores, corrected for the prompts that were tried.
    """
    if not result.task.test:
        split, where = result.selection, "training"
        text = verdict(split, where) + " There is no test split: this is a cross-fitted estimate."
        return replace(result, verdict=text, recommended=recommended(split))
    evaluator = Evaluator(engine, result.task, metric, journal)
    before = evaluator.evaluate(result.baseline, result.task.test)
    after = evaluator.evaluate(result.winner, result.task.test)
    split = SplitScores(before, after, compare(before.outcomes, after.outcomes))
    return replace(
        result,
        test=split,
        verdict=verdict(split),
        recommended=recommended(split),
        cost=result.cost + before.cost + after.cost,
    )


def plan(task: Task, budget: Budget) -> str:
    """What the budget buys, in a sentence, before anything is spent."""
    n = len(task.train)
    text = f"{n} training pictures; budget: {budget.describe()}"
    if budget.evaluations is None:
        return (
            f"{text}. What it buys is told as soon as the seed prompt ({n} evaluations) shows the "
            "model's pace."
        )
    room = max(0, budget.evaluations - 2 * n)
    return (
        f"{text}. After the seed prompt ({n}) and the model's descriptions ({n}) this buys "
        f"{bought(room, n)}"
    )
