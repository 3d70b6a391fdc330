"""The search for a better prompt: a tree of strategies applied to prompts, within a budget.

`TreeSearch` owns the loop: ask the policy for moves, the strategies for drafts, the race for their
scores. It knows no concrete strategy, policy, metric or engine, and never sees the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.errors import UsageError
from ..core.events import Announced, Finished, Trying
from ..core.interfaces import Engine, Proposer, Strategy
from ..core.prompt import Prompt
from ..core.results import Outcome, Prefer, RunResult, StopReason, Trial
from ..evaluation.budget import OutOfBudget
from ..evaluation.context import RunContext, described
from ..evaluation.cross_fitting import Candidate, deal, fold_places, shuffled
from ..evaluation.evaluator import REASONING_TOKENS
from ..evaluation.racing import Finish, Race, Rules, bought, race
from ..evaluation.statistics import (
    merit,
    paired_gain,
    soft_value,
    within_one_error,
)
from ..fitting.committee import with_committee
from ..fitting.evidence import ModelEvidence
from ..priors import Beliefs
from ..prompts.readability import readability
from ..prompts.rendering import length
from .cheaper import front, hold_back, score_cheaper
from .drafting import Drafter, ExternalStrategy
from .policies import Fresh, Move, Node, Policy, Puct, Tree
from .resuming import check_journal, starting_beliefs
from .trial_recorder import TrialRecorder

FIRST = ("the seed prompt", "the model's descriptions")
"""What a search asks about every example before its first edit."""

CALIBRATION = "calibration"
"""The name under which the seed prompt with corrected label bias is recorded."""

_STOP_TEXT: Mapping[StopReason, str] = {
    "evaluations": "the budget of evaluations is spent",
    "seconds": "the time is up",
    "tokens": "the budget of tokens is spent",
    "exhausted": "every strategy has been tried on every prompt",
    "perfect": "a prompt answers every example right, with high confidence",
    "interrupted": "interrupted",
    "settled": "no better prompt was found for a while",
}

# A prompt that is always right and this sure of it leaves nothing to find with these examples.
SURE = 0.97

# The rules of a race where the budget covers fewer than so many prompts in full.
HARD_BELOW = 10.0
HARD = Rules(first_block=6, level=0.9, leader_level=0.75, calibrate=True)
USUAL = Rules(calibrate=True)

Child = tuple[Move, Fresh]


@dataclass(frozen=True)
class SearchSettings:
    """How a search goes about it. `policy` makes the rule for moves from the beliefs of earlier
    runs; `proposer` makes the writer for strategies that need one, from the run's own engine;
    `prefer="short"` takes the cheapest prompt that is not clearly worse than the best; up to
    `committee` prompts may answer together (None: one, where the task allows it); `race` scores the
    drafts of a step."""

    strategies: Sequence[Strategy]
    policy: Callable[[Beliefs], Policy] = Puct
    beliefs: Beliefs = field(default_factory=Beliefs)
    proposer: Callable[[Engine], Proposer | None] | None = None
    prefer: Prefer = "score"
    committee: int | None = None
    race: type[Race] = Race


def search(context: RunContext, settings: SearchSettings) -> RunResult:
    """Search from the task's question; the result's `test` is None (see `held_out_test`).

    Same context, engine answers and journal give the same result, interrupted and resumed or not.
    Raises UsageError when the budget does not cover the seed prompt on the training pictures, and
    Interrupted on Ctrl-C, with all that was computed in the journal.
    """
    tree_search = TreeSearch(context, settings)
    with context.running(FIRST):
        stop = tree_search.run()
        score_cheaper(tree_search)
    context.notify(Finished(tree_search.summary(stop)))
    return tree_search.result(stop)


class TreeSearch:
    """The state of one search; `run` searches, `result` sums up."""

    def __init__(self, context: RunContext, settings: SearchSettings) -> None:
        if not context.task.train:
            raise UsageError(f"task {context.task.name}: no training examples to search with")
        self.context, self.settings = context, settings
        self.beliefs = starting_beliefs(context.journal, settings.beliefs)
        self.policy = settings.policy(self.beliefs)
        self.strategies = settings.strategies
        check_journal(context.journal, self.policy, settings.strategies)
        task, train = context.task, shuffled(context.task.train, context.seed)
        # A validation split selects prompts as they are; without one, training examples are scored
        # by versions that they did not inspire.
        self.examples = shuffled(task.validation, context.seed) if task.validation else train
        folds = () if task.validation else deal(train, task.labels)
        self.fold_of = fold_places(folds, self.examples)
        evidence = ModelEvidence(context.engine, task.labels, train)
        self.drafter = Drafter(context, evidence, folds)
        self.recorder = TrialRecorder(context)
        self.tree = Tree(outlook=self.drafter.outlook)

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, enough: Callable[[], bool] | None = None) -> StopReason:
        """Search until the budget, the moves or the room for improvement are used up, or until
        `enough` holds between two steps ("settled"). Called again it continues where it stopped."""
        if not self.tree.nodes:
            self._score_seed_prompt()
            self.strategies = self.drafter.ready(self.strategies, self.settings.proposer)
            hold_back(self)
        while not self._perfect():
            if enough is not None and enough():
                return "settled"
            self.tree.room = self.context.account.affordable() / len(self.examples)
            moves = self.policy.choose(self.tree, self.strategies)
            if not moves:
                return "exhausted"
            try:
                self._step(moves)
            except OutOfBudget as stop:
                # Something cheaper may still fit, as long as a first block can be scored.
                if self.context.account.remaining() < HARD.first_block:
                    return stop.reason
        return "perfect"

    def _score_seed_prompt(self) -> None:
        """Score the seed prompt."""
        root, account = Candidate(Prompt(question=self.context.task.question)), self.context.account
        self.drafter.seen.add(root.key())
        n = len(self.examples)
        try:
            finish = race(self.context.evaluator, [root], None, self.examples, self.fold_of)[0]
        except OutOfBudget as stop:
            raise UsageError(
                f"a budget of {account.budget.describe()} does not cover the seed prompt on "
                f"{n} examples; give more"
            ) from stop
        if finish.evaluation is None or finish.state != "complete":
            raise UsageError(f"the seed prompt cannot be scored: {finish.note}")
        self.record(finish, None, "seed", "the seed prompt")
        self._calibrate_seed_prompt(root)
        room = account.remaining()
        if account.budget.evaluations is None and account.spent.evaluations:
            cost = described(self.context.task)
            share = f", of which the descriptions take {cost}" if cost else ""
            pace = f"At the seed prompt's pace the budget covers {room} more evaluations{share}"
            self.context.notify(Announced(f"{pace}: {bought(max(0, room - cost), n)}"))

    def _calibrate_seed_prompt(self, root: Candidate) -> None:
        """The seed prompt with its label bias corrected, where that helps: all answers are known,
        and the seed prompt itself stays as the user wrote it."""
        finish = race(
            self.context.evaluator, [root], None, self.examples, self.fold_of, calibrate=True
        )[0]
        if finish.candidate.prompt != root.prompt:
            self.strategies = [*self.strategies, ExternalStrategy(CALIBRATION)]
            self.record(finish, self.tree.nodes[0], CALIBRATION, "corrects the label bias")

    def _step(self, moves: Sequence[Move]) -> None:
        """Apply strategies to nodes and score all their drafts together."""
        children: list[Child] = []
        spent: OutOfBudget | None = None
        for move in moves:
            self.context.notify(Trying(f"{move.strategy.name} on #{move.node.trial.id}"))
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
        what = names if len(children) == 1 else f"{len(children)} prompts ({names})"
        self.context.notify(Trying(what))
        best = self._outcomes(self.tree.best())
        candidates = [candidate for _, (_, candidate) in children]
        contest = self.settings.race(
            self.context.evaluator, candidates, best, self.examples, self.fold_of, self._rules()
        )
        finishes = zip(candidates, contest.run(), strict=True)
        by_key = {candidate.key(): finish for candidate, finish in finishes}
        for move, (draft, candidate) in children:
            finish = by_key[candidate.key()]
            if finish.evaluation is None and finish.state != "failed":
                continue  # the budget did not reach it
            value = self.record(finish, move.node, move.strategy.name, draft.note, draft.agreement)
            share = (value - move.node.merit) / max(1e-9, 1.0 - move.node.merit)
            self.tree.add_gain(move.node, move.strategy.name, share)
        return contest.spent

    def _rules(self) -> Rules:
        """With little left a race is harder: every evaluation for those who may win."""
        return HARD if self.tree.room < HARD_BELOW else USUAL

    def record(
        self,
        finish: Finish,
        parent: Node | None,
        strategy: str,
        note: str,
        agreement: float | None = None,
    ) -> float:
        """Record a scored candidate as a trial, and as a node if it is complete; its merit."""
        evaluation = finish.evaluation
        value = merit(evaluation.value, evaluation.outcomes) if evaluation else 0.0
        trial = self.recorder.trial(finish, strategy, parent.trial if parent else None, note)
        self.recorder.record(trial)
        if agreement is None:
            agreement = parent.agreement if parent else 1.0
        self._grow(finish, trial, parent, value, agreement)
        self.recorder.report(trial, self.tree.best().trial)
        return value if finish.state == "complete" else 0.0

    def _grow(
        self,
        finish: Finish,
        trial: Trial,
        parent: Node | None,
        value: float,
        agreement: float = 1.0,
    ) -> None:
        """Credit the gain to the arms above, and add a node if the trial is complete. A failed
        trial says nothing about its strategy, and credits nothing."""
        gain = 0.0
        if parent is not None and finish.evaluation is not None and finish.state != "failed":
            gain, _ = paired_gain(self._outcomes(parent), finish.evaluation.outcomes)
            self.tree.back_up(parent, trial.strategy, gain)
        if finish.state != "complete":
            return
        size = length(trial.prompt, self.context.task.labels)
        written = REASONING_TOKENS if trial.prompt.reasoning != "none" else 0
        tokens = trial.prompt_tokens + written + self.drafter.image_tokens(trial.prompt)
        node = Node(trial, finish.candidate, value, size, parent, gain, tokens, agreement)
        node.readability = readability(trial.prompt, self.context.task.labels).score
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
        nodes, from which the search continues."""
        nodes = {node.trial.id: node for node in self.tree.nodes}
        for trial in trials:
            self.recorder.trials.append(trial)
            parent, evaluation = nodes.get(trial.parent or 0), trial.evaluation
            if trial.id not in kept or parent is None or evaluation is None:
                continue
            if trial.strategy not in {strategy.name for strategy in self.strategies}:
                self.strategies = [*self.strategies, ExternalStrategy(trial.strategy)]
            candidate = Candidate(trial.prompt, dict(trial.variants))
            self.drafter.seen.add(candidate.key())
            finish = Finish(candidate, trial.state, evaluation)
            self._grow(finish, trial, parent, merit(evaluation.value, evaluation.outcomes))
            nodes[trial.id] = self.tree.nodes[-1]

    # --- the end ----------------------------------------------------------------------------------

    def summary(self, stop: StopReason) -> str:
        """Why and after how much the search stopped, as a sentence."""
        account = self.context.account
        spent = account.describe()
        if account.cached_evaluations:
            spent += f", {account.cached_evaluations} more known from earlier runs"
        return f"Stopped: {_STOP_TEXT[stop]} ({len(self.recorder.trials)} prompts tried, {spent})."

    def result(self, stop: StopReason) -> RunResult:
        """What was found; the result's `test` is None."""
        seed, best, prefer = self.tree.nodes[0].trial, self._winner().trial, self.settings.prefer
        found = self.recorder.result(seed, best, stop, prefer, front(self))
        most = self.settings.committee
        return with_committee(self.context, found, self.drafter.evidence, most)

    def _winner(self) -> Node:
        """The best prompt, of equals the most readable; with `prefer="short"` the cheapest that is
        not clearly worse."""
        best = self.tree.best()
        if self.settings.prefer == "score":
            return self.tree.most_readable(best)
        good = (
            node
            for node in self.tree.front()
            if within_one_error(self._outcomes(best), self._outcomes(node))
        )
        return next(good, best)
