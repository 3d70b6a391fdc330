"""Search and reflection in one budget.

The search runs first. As soon as it has found no better prompt for a while, reflection works on the
best few; what it accepts joins the search's tree, and what it leaves unspent goes back to the
search, which continues from there. Each new best prompt is reflected on once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..core.events import Finished
from ..core.results import RunResult, StopReason
from ..evaluation.context import RunContext
from ..reflection import Reflection, Settings, Start
from ..search.cheaper import score_cheaper
from ..search.tree_search import FIRST, SearchSettings, TreeSearch

# The search has settled when its best prompt has not changed for so many scorings of all training
# pictures, and for this share of the budget.
SCORINGS = 5
SHARE = 0.15
# A merit that is higher by less is no improvement.
LEAST_GAIN = 0.005


def alternate(
    context: RunContext, search_settings: SearchSettings, reflection: Settings
) -> RunResult:
    """Like `search`, with reflection in between; its proposer and beliefs are the search's."""
    tree_search = TreeSearch(context, search_settings)
    turns = _Turns(tree_search, reflection)
    with context.running(FIRST):
        stop = turns.run()
        score_cheaper(tree_search)
    context.notify(Finished(f"{tree_search.summary(stop)} {turns.summary()}"))
    return tree_search.result(stop)


@dataclass
class _Settled:
    """Whether the search may be interrupted: nothing better for a while, and the best prompt is one
    that was not reflected on (`done`: trial ids)."""

    search: TreeSearch
    done: set[int] = field(default_factory=set)
    merit: float = -1.0
    since: int = 0

    def __call__(self) -> bool:
        best, account = self.search.tree.best(), self.search.context.account
        spent = account.spent.evaluations
        if best.merit > self.merit + LEAST_GAIN:
            self.merit, self.since = best.merit, spent
        examples, limit = len(self.search.examples), account.budget.evaluations or 0
        wait = max(SCORINGS * examples, SHARE * limit)
        return best.trial.id not in self.done and spent - self.since >= wait


@dataclass
class _Turns:
    search: TreeSearch
    settings: Settings
    session: Reflection | None = None
    reflected: int = 0
    kept: int = 0

    def summary(self) -> str:
        """What reflection worked on, for the end of the run."""
        if self.session is None:
            return "Reflection was not needed: nothing was left wrong."
        prompts = "1 prompt" if self.reflected == 1 else f"{self.reflected} prompts"
        edits = "1 edit" if self.kept == 1 else f"{self.kept or 'no'} edits"
        return f"Reflection worked on {prompts} and kept {edits}."

    def run(self) -> StopReason:
        """Alternate search and reflection until the budget is spent or nothing new is found."""
        settled = _Settled(self.search)
        while True:
            stop = self.search.run(settled)
            best = self.search.tree.best()
            if best.trial.id in settled.done or stop == "perfect":
                return stop
            settled.done |= {best.trial.id, *self._reflect()}
            if stop not in ("settled", "exhausted"):
                return stop

    def _reflect(self) -> set[int]:
        """One reflection on the best prompt; the ids of what it accepted."""
        search = self.search
        if self.session is None:
            drafter = search.drafter
            settings = replace(self.settings, proposer=drafter.proposer, beliefs=search.beliefs)
            self.session = Reflection(search.context, settings, drafter.evidence)
        trials = search.recorder.trials
        root, best = search.tree.nodes[0].trial, search.tree.best().trial
        made = self.session.on(Start(root.prompt, best.prompt, tuple(trials)))
        search.adopt(made.trials[len(trials) :], made.accepted)
        self.reflected, self.kept = self.reflected + 1, self.kept + len(made.accepted)
        return {search.tree.best().trial.id, *made.accepted}
