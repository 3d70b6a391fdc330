"""Drafts for the moves of a search, made when they are wanted and as far as they can be paid for.

It puts strategies, evidence and cross-fitting together; which moves are made, and what the drafts
are worth, others decide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..core.errors import ContextError
from ..core.interfaces import (
    Draft,
    Engine,
    Observer,
    Proposer,
    Strategy,
    StrategyContext,
)
from ..core.prompt import Prompt
from ..core.task import Task
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Fold, derive
from ..evaluation.metered_engine import MeteredEngine
from ..fitting.evidence import ModelEvidence
from ..prompts.rendering import render
from ..prompts.serialisation import fingerprint
from .policies import Arm, Fresh, Move, Node


@dataclass
class Drafter:
    """Makes the drafts of one run; `seen` has the key of every candidate that was ever made."""

    task: Task
    ledger: MeteredEngine
    evidence: ModelEvidence
    folds: Sequence[Fold]
    seed: int
    observer: Observer
    proposer: Proposer | None = None
    seen: set[str] = field(default_factory=set)

    def ready(
        self, strategies: Sequence[Strategy], make: Callable[[Engine], Proposer | None] | None
    ) -> Sequence[Strategy]:
        """Meet the proposer and have the pictures described; the strategies that can be used."""
        needing = [s for s in strategies if s.needs_proposer]
        if needing and make is not None:
            try:
                self.proposer = make(self.ledger)
            except OutOfBudget:
                self.proposer = None
        usable = [s for s in strategies if self.proposer is not None or s not in needing]
        self._look(usable)
        return usable

    def _look(self, strategies: Sequence[Strategy]) -> None:
        """Have the pictures described, where that leaves enough to score a prompt: most strategies
        read the descriptions, and they tell which of those are worth a try."""
        wanted = any(strategy.reads_descriptions for strategy in strategies)
        plenty = self.ledger.affordable() >= 2 * len(self.evidence.examples)
        if wanted and plenty and len(self.task.labels) > 1:
            try:
                self.evidence.descriptions()
            except OutOfBudget:
                return

    def drafts(self, move: Move) -> tuple[list[Fresh], OutOfBudget | None]:
        """The next drafts of a move, as many as it wants and its evidence can be paid for."""
        arm = move.node.arms.get(move.strategy.name)
        if arm is None:
            arm = move.node.arms[move.strategy.name] = Arm(more=self._proposed(move))
        now, arm.waiting = arm.waiting[: move.drafts], arm.waiting[move.drafts :]
        while arm.more is not None and len(now) < move.drafts:
            try:
                fresh = self._next(move, arm.more)
            except OutOfBudget as stop:
                arm.more = None
                return now, stop
            if fresh is None:
                arm.more = None
            else:
                now.append(fresh)
        return now, None

    def _next(self, move: Move, more: Iterator[Fresh]) -> Fresh | None:
        try:
            return next(more, None)
        except ContextError as error:
            self.observer.message(f"{move.strategy.name} left out: {error}")
            return None

    def _proposed(self, move: Move) -> Iterator[Fresh]:
        """What a strategy makes of a node, without what was proposed before; made as it is wanted,
        because the evidence for a draft costs budget."""
        context = self._context(move.node, move.strategy)
        if not move.strategy.applies(move.node.trial.prompt, context):
            return
        for draft in move.strategy.propose(move.node.trial.prompt, context):
            candidate = derive(move.node.candidate, draft, self.evidence, self.folds)
            if candidate.key() not in self.seen:
                self.seen.add(candidate.key())
                yield draft, candidate

    def outlook(self, node: Node, strategy: Strategy) -> float | None:
        """What the evidence at hand lets expect of a strategy; asks the model nothing."""
        if len(self.task.labels) < 2:
            return None
        return strategy.outlook(node.trial.prompt, self._context(node, strategy))

    def _context(self, node: Node, strategy: Strategy) -> StrategyContext:
        name = f"{self.seed} {fingerprint(node.trial.prompt)} {strategy.name}"
        return StrategyContext(
            self.task,
            self.evidence,
            random.Random(name),
            node.trial.evaluation,
            self.proposer,
            len({render(p, self.task.labels) for p in node.candidate.variants.values()}) or 1,
        )


@dataclass
class Elsewhere(Strategy):
    """Stands for what made a prompt outside the walk, so that its arm can be gone down."""

    name: str
    summary: str = "made outside the search"
    source: str = ""

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return False

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        return []
