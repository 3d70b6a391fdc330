"""Search and reflection in one budget (layer above both).

The search goes first. As soon as no better prompt has come for a while, reflection works on the
best few; what it accepts joins the search's tree, and what it leaves unspent goes back to the
search, which goes on from there. Each new best prompt is reflected on once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..core.interfaces import Engine, Metric, Observer, Proposer, Strategy
from ..core.results import Prefer, RunResult, StopReason
from ..core.task import Task
from ..evaluation.budget import Budget
from ..evaluation.metered_engine import MeteredEngine
from ..priors import Beliefs
from ..reflection import Reflection, Settings, Start
from ..reflection.events import Tell
from ..search.policies import Policy, Puct
from ..search.run import begin, going, stopped
from ..search.tree_search import TreeSearch
from ..storage.journal import Journal

# The search has settled when its best prompt has stood for so many scorings of all training
# pictures, and for this share of the budget.
SCORINGS = 5
SHARE = 0.15
# A merit that is higher by less is no news.
NEWS = 0.005


@dataclass
class Settled:
    """Whether the search may be interrupted: nothing better for a while, and the best prompt is one
    that was not reflected on (`done`: trial ids)."""

    walk: TreeSearch
    done: set[int] = field(default_factory=set)
    merit: float = -1.0
    since: int = 0

    def __call__(self) -> bool:
        best, ledger = self.walk.tree.best(), self.walk.ledger
        if best.merit > self.merit + NEWS:
            self.merit, self.since = best.merit, ledger.spent.evaluations
        wait = max(SCORINGS * len(self.walk.examples), SHARE * (ledger.budget.evaluations or 0))
        return best.trial.id not in self.done and ledger.spent.evaluations - self.since >= wait


def run_both(
    task: Task,
    engine: Engine,
    metric: Metric,
    strategies: Sequence[Strategy],
    budget: Budget,
    *,
    observer: Observer,
    settings: Settings,
    journal: Journal | None = None,
    seed: int = 0,
    proposer: Callable[[Engine], Proposer | None] | None = None,
    policy: Callable[[Beliefs], Policy] = Puct,
    beliefs: Beliefs | None = None,
    prefer: Prefer = "score",
    tell: Tell | None = None,
) -> RunResult:
    """Like `search.run`, with reflection under the `settings` (whose proposer and beliefs are
    those of the run). `tell` gets reflection's events."""
    journal = journal or Journal.memory()
    ledger = engine if isinstance(engine, MeteredEngine) else MeteredEngine(engine, journal, budget)
    walk = begin(
        task, ledger, metric, strategies, budget, observer=observer, journal=journal, seed=seed,
        proposer=proposer, policy=policy, beliefs=beliefs, prefer=prefer,
    )  # fmt: skip
    turns = _Turns(walk, metric, settings, tell)
    stop = going(walk, turns.go)
    observer.finished(f"{stopped(walk, stop)} {turns.told()}")
    return walk.result(stop)


@dataclass
class _Turns:
    walk: TreeSearch
    metric: Metric
    settings: Settings
    tell: Tell | None
    session: Reflection | None = None
    reflected: int = 0
    kept: int = 0

    def told(self) -> str:
        """What reflection had its hands on, for the end of the run."""
        if self.session is None:
            return "Reflection was not needed: nothing was left wrong."
        prompts = "1 prompt" if self.reflected == 1 else f"{self.reflected} prompts"
        edits = "1 edit" if self.kept == 1 else f"{self.kept or 'no'} edits"
        return f"Reflection worked on {prompts} and kept {edits}."

    def go(self) -> StopReason:
        """Search and reflect by turns until the budget is spent or neither finds anything new."""
        settled = Settled(self.walk)
        while True:
            stop = self.walk.go(settled)
            best = self.walk.tree.best()
            if best.trial.id in settled.done or stop == "perfect":
                return stop
            settled.done |= {best.trial.id, *self._reflect()}
            if stop not in ("settled", "exhausted"):
                return stop

    def _reflect(self) -> set[int]:
        """One reflection on the best prompt; the ids of what it accepted."""
        walk = self.walk
        if self.session is None:
            self.session = self._session()
        root, best = walk.tree.nodes[0].trial, walk.tree.best().trial
        made = self.session.on(Start(root.prompt, best.prompt, tuple(walk.trials)))
        walk.adopt(made.trials[len(walk.trials) :], made.accepted)
        self.reflected, self.kept = self.reflected + 1, self.kept + len(made.accepted)
        return {walk.tree.best().trial.id, *made.accepted}

    def _session(self) -> Reflection:
        walk = self.walk
        beliefs = Beliefs.from_record(walk.journal.records("beliefs")[0]["table"])
        settings = replace(self.settings, proposer=walk.drafter.proposer, beliefs=beliefs)
        return Reflection(
            walk.task, walk.ledger, self.metric, walk.observer, settings, walk.journal, walk.seed,
            self.tell, walk.drafter.evidence,
        )  # fmt: skip
