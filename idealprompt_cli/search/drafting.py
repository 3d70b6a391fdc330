"""Drafts for the moves of a search, made on demand and as far as the budget pays for them.

It puts strategies, evidence and cross-fitting together; which moves are made, and how good the
drafts are, is decided elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..core.errors import ContextError
from ..core.events import Announced
from ..core.interfaces import (
    Draft,
    Engine,
    Proposer,
    Strategy,
    StrategyContext,
)
from ..core.prompt import Prompt
from ..evaluation.budget import OutOfBudget
from ..evaluation.context import RunContext
from ..evaluation.cross_fitting import Fold, derive
from ..fitting.evidence import ModelEvidence
from ..prompts.rendering import render
from ..prompts.serialisation import fingerprint
from .policies import Arm, Fresh, Move, Node

# Budgets, in prompts scored in full, from which on describing every picture first pays: below that
# a few questions are asked instead.
DESCRIBING_PAYS = 4


@dataclass
class Drafter:
    """Makes the drafts of one run; `seen` has the key of every candidate that was ever made."""

    context: RunContext
    evidence: ModelEvidence
    folds: Sequence[Fold]
    proposer: Proposer | None = None
    seen: set[str] = field(default_factory=set)

    def ready(
        self, strategies: Sequence[Strategy], make: Callable[[Engine], Proposer | None] | None
    ) -> Sequence[Strategy]:
        """Make the proposer and have the pictures described; the strategies that can be used."""
        needing = [s for s in strategies if s.needs_proposer]
        if needing and make is not None:
            try:
                self.proposer = make(self.context.engine)
            except OutOfBudget:
                self.proposer = None
        usable = [
            s
            for s in strategies
            if (self.proposer is not None or s not in needing)
            and (self.context.task.pictured or not s.needs_images)
            and s.possible(self.evidence)
        ]
        self._describe_images(usable)
        return usable

    def _describe_images(self, strategies: Sequence[Strategy]) -> None:
        """Have the pictures described, where that leaves enough to score a prompt: most strategies
        read the descriptions, which also say which of them are worth a try."""
        read = any(strategy.reads_descriptions for strategy in strategies)
        plenty = self.context.account.affordable() >= DESCRIBING_PAYS * len(self.evidence.examples)
        if read and plenty and len(self.context.task.labels) > 1:
            try:
                self.evidence.descriptions()
            except OutOfBudget:
                return

    def drafts(self, move: Move) -> tuple[list[Fresh], OutOfBudget | None]:
        """The next drafts of a move, as many as it asks for and its evidence can be paid for."""
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
            self.context.notify(Announced(f"{move.strategy.name} left out: {error}"))
            return None

    def _proposed(self, move: Move) -> Iterator[Fresh]:
        """What a strategy makes of a node, without what was proposed before; made on demand,
        because the evidence for a draft costs budget."""
        context = self._context(move.node, move.strategy)
        parent = move.node.candidate.uncalibrated()
        if not move.strategy.applies(parent.prompt, context):
            return
        for draft in move.strategy.propose(parent.prompt, context):
            candidate = derive(parent, draft, self.evidence, self.folds)
            if candidate.key() not in self.seen:
                self.seen.add(candidate.key())
                yield draft, candidate

    def image_tokens(self, prompt: Prompt) -> int:
        """Tokens of an example's images on average, 0 where that is not known."""
        images = len(self.context.task.train[0].images)
        return round(images * self.evidence.image_tokens(prompt.image_tokens))

    def outlook(self, node: Node, strategy: Strategy) -> float | None:
        """What the evidence at hand lets expect of a strategy; asks the model nothing."""
        if len(self.context.task.labels) < 2:
            return None
        return strategy.outlook(node.trial.prompt, self._context(node, strategy))

    def _context(self, node: Node, strategy: Strategy) -> StrategyContext:
        name = f"{self.context.seed} {fingerprint(node.trial.prompt)} {strategy.name}"
        task = self.context.task
        return StrategyContext(
            task,
            self.evidence,
            random.Random(name),
            None if task.validation else node.trial.evaluation,
            self.proposer,
            len({render(p, task.labels) for p in node.candidate.variants.values()}) or 1,
        )


@dataclass
class ExternalStrategy(Strategy):
    """Stands for what made a prompt outside the search, so that the tree has an arm for it."""

    name: str
    summary: str = "made outside the search"
    source: str = ""

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return False

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        return []
