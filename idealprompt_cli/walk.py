"""One walk over the tree of strategies: nodes, moves, races, until a reason to stop.

The loop knows no concrete strategy, policy, metric or engine, and never sees the test split.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from .budget import OutOfBudget
from .crossfit import Candidate, deal, derive, shuffled
from .errors import ContextError, UsageError
from .evaluate import Evaluator
from .evidence import ModelEvidence
from .interfaces import Draft, Observer, Proposer, Strategy, StrategyContext
from .journal import Journal
from .policy import Move, Node, Policy, Tree
from .prompts import fingerprint, length, render
from .racing import Finish, race
from .statistics import compare, merit, recommended, soft_value, verdict
from .types import Evaluation, Outcome, Prompt, RunResult, SplitScores, StopReason, Trial

# A prompt that is always right and this sure of it leaves nothing to find with these examples.
SURE = 0.97


@dataclass
class Walk:
    """The state of one run; `go` walks, `result` sums up."""

    evaluator: Evaluator
    strategies: Sequence[Strategy]
    policy: Policy
    observer: Observer
    journal: Journal
    seed: int
    proposer: Proposer | None = None
    tree: Tree = field(default_factory=Tree)
    trials: list[Trial] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.task, self.ledger = self.evaluator.task, self.evaluator.ledger
        self.examples = shuffled(self.task.train, self.seed)
        self.evidence = ModelEvidence(self.ledger, self.task.labels, self.examples)
        self.folds = deal(self.examples)
        self.fold_of = {i: place for place, fold in enumerate(self.folds) for i in fold}

    # --- the loop ---------------------------------------------------------------------------------

    def go(self) -> StopReason:
        """Walk until the budget, the moves or the room for improvement are used up."""
        self._plant()
        while not self._perfect():
            move = self.policy.choose(self.tree, self.strategies)
            if move is None:
                return "exhausted"
            move.node.tried.add(move.strategy.name)
            try:
                self._expand(move)
            except OutOfBudget as stop:
                # Something cheaper may still fit, as long as one prompt can be scored in full.
                if self.ledger.affordable() < len(self.examples):
                    return stop.reason
        return "perfect"

    def _plant(self) -> None:
        """Score the seed prompt."""
        root = Candidate(Prompt(question=self.task.question))
        self.seen.add(root.key())
        try:
            finish = race(self.evaluator, [root], None, self.examples, self.fold_of)[0]
        except OutOfBudget as stop:
            raise UsageError(
                f"a budget of {self.ledger.budget.describe()} does not cover the seed prompt on "
                f"{len(self.examples)} training pictures; give more"
            ) from stop
        if finish.evaluation is None or finish.state != "complete":
            raise UsageError(f"the seed prompt cannot be scored: {finish.note}")
        self._tell(finish, None, "seed", "the seed prompt")

    def _expand(self, move: Move) -> None:
        """Apply a strategy to a node and score its drafts."""
        context = self._context(move)
        if not move.strategy.applies(move.node.trial.prompt, context):
            return
        try:
            drafts = move.strategy.propose(move.node.trial.prompt, context)
        except ContextError as error:
            self.observer.message(f"{move.strategy.name} left out: {error}")
            return
        pairs = [(d, derive(move.node.candidate, d, self.evidence, self.folds)) for d in drafts]
        fresh: dict[str, tuple[Draft, Candidate]] = {}
        for draft, candidate in pairs:
            if candidate.key() not in self.seen:
                fresh.setdefault(candidate.key(), (draft, candidate))
        self.seen.update(fresh)
        self._score(move, list(fresh.values()))

    def _context(self, move: Move) -> StrategyContext:
        node = move.node
        name = f"{self.seed} {fingerprint(node.trial.prompt)} {move.strategy.name}"
        return StrategyContext(
            self.task,
            self.evidence,
            random.Random(name),
            node.trial.evaluation,
            self.proposer,
            len({render(p, self.task.labels) for p in node.candidate.variants.values()}) or 1,
        )

    def _score(self, move: Move, fresh: Sequence[tuple[Draft, Candidate]]) -> None:
        """Race the children; where the budget does not bear all of them, one after another."""
        if not fresh:
            return
        best = self._outcomes(self.tree.best())
        candidates = [candidate for _, candidate in fresh]
        spent: OutOfBudget | None = None
        try:
            finishes = race(self.evaluator, candidates, best, self.examples, self.fold_of)
        except OutOfBudget as stop:
            spent, finishes = stop, self._one_by_one(candidates, best)
        notes = {candidate.key(): draft.note for draft, candidate in fresh}
        merits = [
            self._tell(finish, move.node, move.strategy.name, notes[finish.candidate.key()])
            for finish in finishes
        ]
        if finishes:
            won = (max(merits) - move.node.merit) / max(1e-9, 1.0 - move.node.merit)
            self.tree.gains.setdefault(move.strategy.name, []).append(max(0.0, won))
        if spent is not None:
            raise spent

    def _one_by_one(self, candidates: Sequence[Candidate], best: Sequence[Outcome]) -> list[Finish]:
        finishes: list[Finish] = []
        for candidate in candidates:
            try:
                finishes += race(self.evaluator, [candidate], best, self.examples, self.fold_of)
            except OutOfBudget:
                continue
        return finishes

    def _tell(self, finish: Finish, parent: Node | None, strategy: str, note: str) -> float:
        """Record a finished candidate as a trial, and as a node if it is complete; its merit."""
        prompt, evaluation = finish.candidate.prompt, finish.evaluation
        trial = Trial(
            id=len(self.trials),
            parent=parent.trial.id if parent else None,
            strategy=strategy,
            prompt=prompt,
            state=finish.state,
            evaluation=evaluation,
            prompt_tokens=self.ledger.count_tokens(render(prompt, self.task.labels)),
            note="; ".join(text for text in (note, finish.note) if text),
        )
        self.trials.append(trial)
        self.journal.append_trial(trial)
        value = merit(evaluation.value, evaluation.outcomes) if evaluation else 0.0
        if finish.state == "complete":
            size = length(prompt, self.task.labels)
            self.tree.nodes.append(Node(trial, finish.candidate, value, size))
        budget, spent = self.ledger.budget, self.ledger.spent
        best = self.tree.best().trial
        self.observer.trial(trial, best, budget.spent(spent), budget.fraction(spent))
        return value if finish.state == "complete" else 0.0

    def _perfect(self) -> bool:
        outcomes = self._outcomes(self.tree.best())
        evaluation = self.tree.best().trial.evaluation
        return evaluation is not None and evaluation.value == 1.0 and soft_value(outcomes) >= SURE

    @staticmethod
    def _outcomes(node: Node) -> Sequence[Outcome]:
        return node.trial.evaluation.outcomes if node.trial.evaluation else ()

    # --- the end ----------------------------------------------------------------------------------

    def result(self, stop: StopReason) -> RunResult:
        before, after = self._evaluation(self.tree.nodes[0]), self._evaluation(self.tree.best())
        tried = max(1, len(self.tree.nodes) - 1)
        split = SplitScores(before, after, compare(before.outcomes, after.outcomes, tried))
        return RunResult(
            task=self.task,
            model=self.ledger.info(),
            baseline=self.tree.nodes[0].trial.prompt,
            winner=self.tree.best().trial.prompt,
            selection=split,
            test=None,
            trials=tuple(self.trials),
            cost=self.ledger.spent,
            stop=stop,
            seed=self.seed,
            verdict=verdict(split, "training"),
            recommended=recommended(split),
        )

    @staticmethod
    def _evaluation(node: Node) -> Evaluation:
        assert node.trial.evaluation is not None, "nodes are complete trials"
        return node.trial.evaluation
