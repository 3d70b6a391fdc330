"""One walk over the tree of strategies: nodes, moves, races, until a reason to stop.

The loop knows no concrete strategy, policy, metric or engine, and never sees the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from ..core.errors import UsageError
from ..core.interfaces import Engine, Observer, Proposer, Strategy
from ..core.prompt import Prompt
from ..core.results import (
    Evaluation,
    Outcome,
    Prefer,
    RunResult,
    SplitScores,
    StopReason,
    Trial,
    TrialState,
)
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Candidate, deal, shuffled
from ..evaluation.evaluator import REASONING_TOKENS, Evaluator
from ..evaluation.racing import LEAST, Finish, Race, Rules, bought, race
from ..evaluation.statistics import (
    cautious_gain,
    compare,
    merit,
    paired_gain,
    recommended,
    soft_value,
    verdict,
    within_one_error,
)
from ..fitting.evidence import ModelEvidence
from ..prompts.rendering import length, render
from ..storage.journal import Journal
from .drafting import Drafter, Elsewhere
from .policies import Fresh, Move, Node, Policy, Tree

# A prompt that is always right and this sure of it leaves nothing to find with these examples.
SURE = 0.97

# The rules of a race where the budget bears fewer than so many prompts in full.
HARD_BELOW = 10.0
HARD = Rules(first_block=6, level=0.9, leader_level=0.75)

Child = tuple[Move, Fresh]


@dataclass
class TreeSearch:
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

    def __post_init__(self) -> None:
        self.task, self.ledger = self.evaluator.task, self.evaluator.ledger
        self.examples = shuffled(self.task.train, self.seed)
        folds = deal(self.examples)
        self.fold_of = {i: place for place, fold in enumerate(folds) for i in fold}
        evidence = ModelEvidence(self.ledger, self.task.labels, self.examples)
        self.drafter = Drafter(self.task, self.ledger, evidence, folds, self.seed, self.observer)
        self.tree.outlook = self.drafter.outlook

    # --- the loop ---------------------------------------------------------------------------------

    def go(self, enough: Callable[[], bool] | None = None) -> StopReason:
        """TreeSearch until the budget, the moves or the room for improvement are used up, or until
        `enough` holds between two steps ("settled"). Called again it goes on where it stopped."""
        if not self.tree.nodes:
            self._plant()
            self.strategies = self.drafter.ready(self.strategies, self.make_proposer)
        while not self._perfect():
            if enough is not None and enough():
                return "settled"
            self.tree.room = self.ledger.affordable() / len(self.examples)
            moves = self.policy.choose(self.tree, self.strategies)
            if not moves:
                return "exhausted"
            try:
                self._step(moves)
            except OutOfBudget as stop:
                # Something cheaper may still fit, as long as a first block can be scored.
                if self.ledger.room() < HARD.first_block:
                    return stop.reason
        return "perfect"

    def _plant(self) -> None:
        """Score the seed prompt."""
        root = Candidate(Prompt(question=self.task.question))
        self.drafter.seen.add(root.key())
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
        room, n = self.ledger.room(), len(self.examples)
        if self.ledger.budget.evaluations is None and self.ledger.spent.evaluations:
            pace = f"At the seed prompt's pace the budget bears {room} evaluations more, of which"
            self.observer.message(
                f"{pace} the descriptions take {n}: {bought(max(0, room - n), n)}"
            )

    def _step(self, moves: Sequence[Move]) -> None:
        """Apply strategies to nodes and score all their drafts together."""
        children: list[Child] = []
        spent: OutOfBudget | None = None
        for move in moves:
            self.observer.trying(f"{move.strategy.name} on #{move.node.trial.id}")
            drafts, stop = self.drafter.drafts(move)
            children += [(move, fresh) for fresh in drafts]
            spent = stop or spent
        spent = self._score(children) or spent
        if spent is not None:
            raise spent

    def _score(self, children: Sequence[Child]) -> OutOfBudget | None:
        """Race the children; what ended the race, if the budget did."""
        if not children:
            return None
        names = ", ".join(dict.fromkeys(move.strategy.name for move, _ in children))
        self.observer.trying(names if len(children) == 1 else f"{len(children)} prompts ({names})")
        best = self._outcomes(self.tree.best())
        candidates = [candidate for _, (_, candidate) in children]
        run = Race(self.evaluator, candidates, best, self.examples, self.fold_of, self._rules())
        by_key = {finish.candidate.key(): finish for finish in run.run()}
        for move, (draft, candidate) in children:
            finish = by_key[candidate.key()]
            if finish.evaluation is None and finish.state != "failed":
                continue  # the budget did not reach it
            value = self._tell(finish, move.node, move.strategy.name, draft.note, draft.agreement)
            share = (value - move.node.merit) / max(1e-9, 1.0 - move.node.merit)
            self.tree.won(move.node, move.strategy.name, share)
        return run.spent

    def _rules(self) -> Rules:
        """With little left a race is harder: every evaluation for those who may win."""
        return HARD if self.tree.room < HARD_BELOW else Rules()

    def _tell(
        self,
        finish: Finish,
        parent: Node | None,
        strategy: str,
        note: str,
        agreement: float | None = None,
    ) -> float:
        """Record a finished candidate as a trial, and as a node if it is complete; its merit."""
        finish, value = self._settled(finish)
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
        if agreement is None:
            agreement = parent.agreement if parent else 1.0
        self._grow(finish, trial, parent, value, agreement)
        budget, spent = self.ledger.budget, self.ledger.spent
        best = self.tree.best().trial
        self.observer.trial(trial, best, budget.spent(spent), budget.fraction(spent))
        return value if finish.state == "complete" else 0.0

    def _settled(self, finish: Finish) -> tuple[Finish, float]:
        """A finish with its merit. What the budget cut short counts as far as it can be counted
        on: as the best prompt's merit and its own cautious gain over that, or not at all."""
        if finish.evaluation is None:
            return finish, 0.0
        outcomes = finish.evaluation.outcomes
        if not finish.cut:
            return finish, merit(finish.evaluation.value, outcomes)
        best = self.tree.best()
        gain = cautious_gain(self._outcomes(best), outcomes, len(self.examples))
        state: TrialState = "complete" if gain > 0.0 and len(outcomes) > LEAST else "pruned"
        return replace(finish, state=state), best.merit + gain

    def _grow(
        self,
        finish: Finish,
        trial: Trial,
        parent: Node | None,
        value: float,
        agreement: float = 1.0,
    ) -> None:
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
        node = Node(trial, finish.candidate, value, size, parent, gain, tokens, agreement)
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
            self.drafter.seen.add(candidate.key())
            finish = Finish(candidate, trial.state, evaluation)
            self._grow(finish, trial, parent, merit(evaluation.value, evaluation.outcomes))
            nodes[trial.id] = self.tree.nodes[-1]

    # --- the end ----------------------------------------------------------------------------------

    def result(self, stop: StopReason) -> RunResult:
        winner = self._winner()
        before, after = self._evaluation(self.tree.nodes[0]), self._evaluation(winner)
        tried = max(1, sum(trial.evaluation is not None for trial in self.trials) - 1)
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
