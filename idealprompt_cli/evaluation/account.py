"""What a run has spent of its budget.

Answers of other runs (the response cache) cost no budget, and yet must not change a run's course.
So there are two sums: `uncached` counts them as if they had been computed, `spent` does not. Plans
are made by `uncached` (`affordable`): a run that finds its answers takes the course of one that
computes them, until that one's budget would be used up, and then uses what it has saved. Only
`spent` ends a run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.results import Cost, StopReason
from .budget import Budget, OutOfBudget


@dataclass
class Account:
    """Budget and costs of one run. `in_flight` was computed by the call that is being answered,
    and is not charged yet. `held_back` evaluations are kept for the end of the run."""

    budget: Budget = field(default_factory=Budget)
    held_back: int = 0
    spent: Cost = field(default_factory=Cost)
    uncached: Cost = field(default_factory=Cost)
    in_flight: Cost = field(default_factory=Cost)

    def charge(self, cost: Cost, cached: bool) -> Cost:
        """Book the cost of an answer at its first use; what of it costs budget."""
        self.uncached = self.uncached + cost
        if cached:
            return Cost()
        self.spent = self.spent + cost
        return cost

    def require(self, evaluations: int) -> None:
        """Raise OutOfBudget where so many evaluations cannot be paid."""
        if evaluations and self.remaining() < evaluations:
            raise OutOfBudget(self.tightest())

    def affordable(self) -> int:
        """Evaluations to plan with: what the budget would still allow if nothing had come from the
        cache, and when that is used up, what it does allow."""
        return max(0, self.budget.affordable(self.uncached) - self.held_back) or self.remaining()

    def remaining(self) -> int:
        """Evaluations that the budget still allows."""
        return max(0, self.budget.affordable(self.spent) - self.held_back)

    @property
    def cached_evaluations(self) -> int:
        """Evaluations that earlier runs had made, and that cost nothing."""
        return self.uncached.evaluations - self.spent.evaluations

    def tightest(self) -> StopReason:
        """The limit of which the largest share is used."""
        return self.budget.tightest(self.spent)

    def describe(self) -> str:
        """What is spent, in words, with what the present call has computed."""
        return self.budget.spent(self.spent + self.in_flight)

    def fraction(self) -> float:
        """The same as a share of the budget, in [0, 1]."""
        return self.budget.fraction(self.spent + self.in_flight)
