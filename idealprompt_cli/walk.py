"""One walk over the tree of strategies: nodes, moves, races, until a reason to stop.

The loop knows no concrete strategy, policy, metric or engine, and never sees the test split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from .budget import OutOfBudget
from .crossfit import Candidate, deal, derive, shuffled
from .errors import ContextError, UsageError
from .evaluate import REASONING_TOKENS, Evaluator
from .evidence import ModelEvidence
from .interfaces import Draft, Engine, Observer, Proposer, Strategy, StrategyContext
from .journal import Journal
from .policies import Arm, Fresh, Move, Node, Policy, Tree
from .prompts import fingerprint, length, render
from .racing import Finish, race
from .statistics import (
    compare,
    merit,
    paired_gain,
    recommended,
    soft_value,
    verdict,
    within_one_error,
)
from .types import Evaluation, Outcome, Prefer, Prompt, RunResult, SplitScores, StopReason, Trial

# A prompt that is always right and this sure of it leaves nothing to find with these examples.
SURE = 0.97

Child = tuple[Move, Fresh]


@dataclass
class Elsewhere:
    """Stands for what made a prompt outside the walk, so that its arm can be gone down."""

    name: str
    summary: str = "made outside the search"
    source: str = ""

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return False

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        return []


@dataclass
class Walk:
    """The state of one run; `go` walks, `result` sums up."""

    evaluator: Evaluator
    strategies: Sequence[Strategy]
    policy: Policy
    observer: Observer
    journal: Journal
    seed: int
    make_proposer: Callable[[Engine], Proposer | None] | None = None
    prefer: Prefer = "score"
    tree: Tree = field(default_factory=Tree)
    trials: list[Trial] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.task, self.ledger = self.evaluator.task, self.evaluator.ledger
        self.examples = shuffled(self.task.train, self.seed)
        self.evidence = ModelEvidence(self.ledger, self.task.labels, self.examples)
        self.folds = deal(self.examples)
        self.proposer: Proposer | None = None
        self.fold_of = {i: place for place, fold in enumerate(self.folds) for i in fold}

    # --- the loop ---------------------------------------------------------------------------------

    def go(self, enough: Callable[[], bool] | None = None) -> StopReason:
        """Walk until the budget, the moves or the room for improvement are used up, or until
        `enough` holds between two steps ("settled"). Called again it goes on where it stopped."""
        if not self.tree.nodes:
            self._plant()
            self._meet_proposer()
        while not self._perfect():
            if enough is not None and enough():
                return "settled"
            moves = self.policy.choose(self.tree, self.strategies)
            if not moves:
                return "exhausted"
            try:
                self._step(moves)
            except OutOfBudget as stop:
                # Something cheaper may still fit, as long as one prompt can be scored in full.
                if self.ledger.room() < len(self.examples):
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

    def _meet_proposer(self) -> None:
        """Ask for a proposer if some strategy needs one; without one those are left out."""
        needing = [s for s in self.strategies if getattr(s, "needs_proposer", False)]
        if needing and self.make_proposer is not None:
            try:
                self.proposer = self.make_proposer(self.ledger)
            except OutOfBudget:
                self.proposer = None
        if self.proposer is None:
            self.strategies = [s for s in self.strategies if s not in needing]

    def _step(self, moves: Sequence[Move]) -> None:
        """Apply strategies to nodes and score all their drafts together."""
        children: list[Child] = []
        spent: OutOfBudget | None = None
        for move in moves:
            self.observer.trying(f"{move.strategy.name} on #{move.node.trial.id}")
            try:
                children += [(move, fresh) for fresh in self._drafts(move)]
            except OutOfBudget as stop:
                spent = stop
        self._score(children)
        if spent is not None:
            raise spent

    def _drafts(self, move: Move) -> list[Fresh]:
        """The next drafts of a move; those beyond its number wait at the arm."""
        arm = move.node.arms.get(move.strategy.name)
        if arm is None:
            arm = move.node.arms[move.strategy.name] = Arm()
            arm.waiting = self._proposed(move)
        now, arm.waiting = arm.waiting[: move.drafts], arm.waiting[move.drafts :]
        return now

    def _proposed(self, move: Move) -> list[Fresh]:
        """What a strategy makes of a node, without what was proposed before."""
        context = self._context(move)
        if not move.strategy.applies(move.node.trial.prompt, context):
            return []
        try:
            drafts = move.strategy.propose(move.node.trial.prompt, context)
        except ContextError as error:
            self.observer.message(f"{move.strategy.name} left out: {error}")
            return []
        pairs = [(d, derive(move.node.candidate, d, self.evidence, self.folds)) for d in drafts]
        fresh: dict[str, Fresh] = {}
        for draft, candidate in pairs:
            if candidate.key() not in self.seen:
                fresh.setdefault(candidate.key(), (draft, candidate))
        self.seen.update(fresh)
        return list(fresh.values())

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

    def _score(self, children: Sequence[Child]) -> None:
        """Race the children; where the budget does not bear all of them, one after another."""
        if not children:
            return
        names = ", ".join(dict.fromkeys(move.strategy.name for move, _ in children))
        self.observer.trying(names if len(children) == 1 else f"{len(children)} prompts ({names})")
        best = self._outcomes(self.tree.best())
        candidates = [candidate for _, (_, candidate) in children]
        spent: OutOfBudget | None = None
        try:
            finishes = race(self.evaluator, candidates, best, self.examples, self.fold_of)
        except OutOfBudget as stop:
            spent, finishes = stop, self._one_by_one(candidates, best)
        by_key = {finish.candidate.key(): finish for finish in finishes}
        for move, (draft, candidate) in children:
            if candidate.key() in by_key:
                finish = by_key[candidate.key()]
                value = self._tell(finish, move.node, move.strategy.name, draft.note)
                share = (value - move.node.merit) / max(1e-9, 1.0 - move.node.merit)
                self.tree.won(move.node, move.strategy.name, share)
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
            variants=tuple(sorted(finish.candidate.variants.items())),
        )
        self.trials.append(trial)
        self.journal.append_trial(trial)
        value = merit(evaluation.value, evaluation.outcomes) if evaluation else 0.0
        self._grow(finish, trial, parent, value)
        budget, spent = self.ledger.budget, self.ledger.spent
        best = self.tree.best().trial
        self.observer.trial(trial, best, budget.spent(spent), budget.fraction(spent))
        return value if finish.state == "complete" else 0.0

    def _grow(self, finish: Finish, trial: Trial, parent: Node | None, value: float) -> None:
        """Credit the gain to the arms above, and add a node if the trial is complete. A failed
        trial says nothing of its strategy's worth, and credits nothing."""
        gain = 0.0
        if parent is not None and finish.evaluation is not None and finish.state != "failed":
            gain, _ = paired_gain(self._outcomes(parent), finish.evaluation.outcomes)
            self.tree.back_up(parent, trial.strategy, gain)
        if finish.state != "complete":
            return
        size = length(trial.prompt, self.task.labels)
        written = REASONING_TOKENS if trial.prompt.reasoning != "none" else 0
        tokens = trial.prompt_tokens + written
        node = Node(trial, finish.candidate, value, size, parent, gain, tokens)
        self.tree.nodes.append(node)
        if parent is not None:
            parent.arms[trial.strategy].children.append(node)

    def _perfect(self) -> bool:
        outcomes = self._outcomes(self.tree.best())
        evaluation = self.tree.best().trial.evaluation
        return evaluation is not None and evaluation.value == 1.0 and soft_value(outcomes) >= SURE

    @staticmethod
    def _outcomes(node: Node) -> Sequence[Outcome]:
        return node.trial.evaluation.outcomes if node.trial.evaluation else ()

    # --- beside another stage ---------------------------------------------------------------------

    def adopt(self, trials: Sequence[Trial], kept: Collection[int]) -> None:
        """Take over trials that were made elsewhere, numbered on from ours: those in `kept` become
        nodes, from which the walk goes on."""
        nodes = {node.trial.id: node for node in self.tree.nodes}
        for trial in trials:
            self.trials.append(trial)
            parent, evaluation = nodes.get(trial.parent or 0), trial.evaluation
            if trial.id not in kept or parent is None or evaluation is None:
                continue
            if trial.strategy not in {strategy.name for strategy in self.strategies}:
                self.strategies = [*self.strategies, Elsewhere(trial.strategy)]
            candidate = Candidate(trial.prompt, dict(trial.variants))
            self.seen.add(candidate.key())
            finish = Finish(candidate, trial.state, evaluation)
            self._grow(finish, trial, parent, merit(evaluation.value, evaluation.outcomes))
            nodes[trial.id] = self.tree.nodes[-1]

    # --- the end ----------------------------------------------------------------------------------

    def result(self, stop: StopReason) -> RunResult:
        winner = self._winner()
        before, after = self._evaluation(self.tree.nodes[0]), self._evaluation(winner)
        tried = max(1, len(self.tree.nodes) - 1)
        split = SplitScores(before, after, compare(before.outcomes, after.outcomes, tried))
        return RunResult(
            task=self.task,
            model=self.ledger.info(),
            baseline=self.tree.nodes[0].trial.prompt,
            winner=winner.trial.prompt,
            selection=split,
            test=None,
            trials=tuple(self.trials),
            cost=self.ledger.spent,
            stop=stop,
            seed=self.seed,
            verdict=verdict(split, "training"),
            recommended=recommended(split),
            prefer=self.prefer,
            front=tuple(node.trial.id for node in self.tree.front()),
        )

    def _winner(self) -> Node:
        """The best prompt; with `prefer="short"` the cheapest that is not clearly worse."""
        best = self.tree.best()
        if self.prefer == "score":
            return best
        good = (
            node
            for node in self.tree.front()
            if within_one_error(self._outcomes(best), self._outcomes(node))
        )
        return next(good, best)

    @staticmethod
    def _evaluation(node: Node) -> Evaluation:
        assert node.trial.evaluation is not None, "nodes are complete trials"
        return node.trial.evaluation
