"""What a resumed search must have in common with the run that it continues."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Strategy
from ..priors import Beliefs
from ..storage.journal import Journal
from ..storage.records import PriorsUsed
from .policies import Policy


def starting_beliefs(journal: Journal, beliefs: Beliefs) -> Beliefs:
    """The beliefs that this run started with: the priors may have changed since it was
    interrupted."""
    kept = journal.records(PriorsUsed)
    if not kept:
        kept = [PriorsUsed(beliefs.to_record())]
        journal.append(kept)
    return Beliefs.from_record(kept[0].table)


def check_journal(journal: Journal, policy: Policy, strategies: Sequence[Strategy]) -> None:
    """A resumed run must use the policy and the strategies that it started with."""
    journal.agree("policy", type(policy).__name__, "use the same --policy")
    journal.agree("strategies", ", ".join(s.name for s in strategies), "use the same --strategy")
