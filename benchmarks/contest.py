"""One run of one method on one task, for `compare.py`.

Every method gets the same engine, training images, seed and budget of evaluations. Scoring its
prompt on the held-out images does not count in the budget. A method that plans with the given
budget (all that use the package's pool do, because the pool collects its evidence accordingly) runs
once per budget; the others run once and report their best prompt at every budget on the way.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.committee import Asked, prompts_of
from idealprompt_cli.core.interfaces import Engine, Strategy
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import RunContext, open_context
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.evaluation.racing import Race
from idealprompt_cli.priors import Beliefs, Priors, kind_of, load
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.runs.run import usual_shares
from idealprompt_cli.search.policies import BestFirst, Policy, Puct
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.task.sampling import sensible_share

from . import peers
from .allocation import FixedBlocks, TopTwoRace
from .memo import MemoEngine

Record = dict[str, Any]
Make = Callable[[int], Callable[[Beliefs], Policy]]

POLICIES: Mapping[str, Make] = {
    "random": lambda seed: lambda _: peers.RandomSearch(seed),
    "best-of-n": lambda seed: lambda _: peers.BestOfN(seed),
    "hill-climbing": lambda seed: lambda _: peers.HillClimbing(seed),
    "beam": lambda seed: lambda _: peers.Beam(seed),
    "best-first": lambda _: BestFirst,
    "thompson": lambda seed: lambda _: peers.Thompson(seed),
    "top-two": lambda _: Puct,
    "fixed-blocks": lambda _: Puct,
    "puct": lambda _: Puct,
    "puct+priors": lambda _: Puct,
    "puct+box": lambda _: Puct,
}
# What `python -m benchmarks.priors` has learned on tasks that no comparison uses.
LEARNED = Path(__file__).resolve().parent / "results" / "priors.json"
RACES: Mapping[str, type[Race]] = {"top-two": TopTwoRace, "fixed-blocks": FixedBlocks}
# Policies that know what searches on other tasks taught.
LEARNING = ("puct+priors", "puct+box")
ANYTIME = ("seed", "gepa", "gepa+writer", "gepa+pool", "mipro")
METHODS = ("seed", *POLICIES, "gepa", "gepa+pool", "mipro")


@dataclass(frozen=True)
class Found:
    """The prompt (or committee) that a method returns after so many evaluations."""

    budget: int
    evaluations: int
    prompt: Asked
    selection: float
    trials: int = 0


def contest(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budgets: Sequence[int],
    shuffled: bool = False,
    writer: Engine | None = None,
    learnt: Priors | None = None,
) -> list[Record]:
    """The records of a method on a task with one seed: one per budget, smallest first. `writer` is
    the second model of the method "gepa+writer", `learnt` what methods in `LEARNING` know of
    other tasks (None: `LEARNED`)."""
    if method in ANYTIME:
        return finished(
            method, engine, task, seed, lambda: _peer(method, engine, task, seed, budgets, writer)
        )
    records = []
    for budget in budgets:

        def searched(amount: int = budget) -> list[Found]:
            return [_search(method, engine, task, seed, amount, shuffled, learnt)]

        records += finished(method, engine, task, seed, searched)
    return records


def finished(
    method: str, engine: MemoEngine, task: Task, seed: int, go: Callable[[], list[Found]]
) -> list[Record]:
    """Run `go` and score what it found on the held-out images, with the time it took."""
    before, inside, start = engine.seconds, engine.inside, time.perf_counter()
    found = go()
    own = time.perf_counter() - start - (engine.inside - inside)
    seconds = engine.seconds - before
    return [_record(method, engine, task, seed, one, seconds, own) for one in found]


def _record(
    method: str, engine: MemoEngine, task: Task, seed: int, found: Found, seconds: float, own: float
) -> Record:
    """A found prompt with its score on the held-out images."""
    tested = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric)).evaluate(
        found.prompt, task.test
    )
    return {
        "method": method, "task": task.name, "fingerprint": task.fingerprint, "seed": seed,
        "budget": found.budget, "evaluations": found.evaluations,
        "selection": round(found.selection, 4), "test": round(tested.value, 4),
        "prompt_tokens": sum(
            engine.count_tokens(render(prompt, task.labels)) for prompt in prompts_of(found.prompt)
        ),
        "seconds": round(seconds, 2), "own_seconds": round(own, 2), "trials": found.trials,
    }  # fmt: skip


def context_for(task: Task, engine: Engine, seed: int, budget: int) -> RunContext:
    """The surroundings of a search on the examples that suit its budget."""
    return open_context(
        sensible_share(task, seed, budget).task, engine, metrics.get(task.metric),
        Budget(evaluations=budget), seed=seed,
    )  # fmt: skip


def pool_for(seed: int, shuffled: bool) -> list[Strategy]:
    """The package's pool of strategies, in random order if `shuffled`."""
    pool = list(strategies.select(None))
    if shuffled:
        random.Random(f"pool {seed}").shuffle(pool)
    return pool


def searched(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budget: int,
    shuffled: bool = False,
    learnt: Priors | None = None,
) -> RunResult:
    """One run of a policy inside the package's own search, on the examples that suit the budget."""
    beliefs = Beliefs()
    if method in LEARNING:
        known = load(LEARNED).priors if learnt is None else learnt
        usual = usual_shares(pool_for(seed, shuffled))
        beliefs = known.beliefs(engine.info(), kind_of(task), usual)
    context = context_for(task, engine, seed, budget)
    pool, policy = pool_for(seed, shuffled), POLICIES[method](seed)
    return search(context, SearchSettings(pool, policy, beliefs, race=RACES.get(method, Race)))


def _search(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budget: int,
    shuffled: bool,
    learnt: Priors | None,
) -> Found:
    result = searched(method, engine, task, seed, budget, shuffled, learnt)
    value, spent = result.selection.winner.value, result.cost.evaluations
    return Found(budget, spent, result.winner, value, len(result.trials))


def _peer(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budgets: Sequence[int],
    writer: Engine | None,
) -> list[Found]:
    """A method that does not plan with its budget: its best prompt at each budget."""
    metered = MeteredEngine(engine, None, Budget(evaluations=max(budgets)))
    evaluator = Evaluator(metered, task, metrics.get(task.metric))
    if method == "seed":
        prompt = Prompt(task.question)
        value = evaluator.evaluate(prompt, task.train).value
        return [Found(b, metered.account.spent.evaluations, prompt, value) for b in budgets]
    if method == "mipro":
        from .mipro_peer import optimise as optimise_mipro

        steps = optimise_mipro(evaluator, seed)
    else:
        from .gepa_peer import optimise

        writers = {"gepa": metered, "gepa+writer": writer}
        steps = optimise(evaluator, pool_for(seed, False), seed, writers.get(method))
    return [at(steps, budget) for budget in budgets]


Step = tuple[int, Prompt, float]


def at(steps: Sequence[Step], budget: int) -> Found:
    """The best prompt of a run at a budget, among those scored in full by then; the earlier of
    equals. `steps` holds (evaluations spent, prompt, score) in order; the first is the seed prompt,
    which counts at any budget."""
    known = [step for step in steps[1:] if step[0] <= budget]
    best = max([steps[0], *known], key=lambda step: step[2])
    spent = max((step[0] for step in (steps[0], *known)), default=0)
    return Found(budget, min(budget, spent), best[1], best[2], 1 + len(known))
