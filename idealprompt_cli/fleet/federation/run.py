"""A run over a federation: search, the comparison at the end, the artifact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ... import metrics, strategies
from ...artifact import Artifact, StoredBox, dump, from_run, scores_of
from ...core.errors import ArtifactError, UsageError
from ...core.events import Announced, Finished, SilentObserver
from ...core.interfaces import Metric
from ...core.prompt import Prompt
from ...core.results import (
    Comparison,
    Evaluation,
    MajorityVote,
    Outcome,
    RunResult,
    SplitScores,
    Trial,
)
from ...core.task import Example, Task
from ...evaluation.budget import Budget
from ...evaluation.context import RunContext
from ...evaluation.cross_fitting import fold_places
from ...evaluation.metered_engine import MeteredEngine
from ...evaluation.statistics import interval, recommended, sign_test, verdict
from ...io.files import PRIVATE, write_text
from ...runs.config import RunConfig
from ...runs.folder import ARTIFACT, check_fresh
from ...runs.run import Run, beliefs_of
from ...search.drafting import Drafter
from ...search.policies import POLICIES
from ...search.tree_search import SearchSettings, TreeSearch
from ...storage.journal import Journal, header_for
from .drafting import BoxEvidence, FederatedStrategy
from .evaluator import FederatedEngine, FederatedEvaluator, GroupId, task_of
from .federation import BoxesLost, Federation

if TYPE_CHECKING:
    from ...core.interfaces import Observer
    from ...core.results import StopReason

PER_GROUP, LEAST = 40, 300
"""The default budget: evaluations for each group, and the least in all."""
FIRST = ("the seed prompt",)
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
"""Metrics that follow from counts."""


def run_federation(
    federation: Federation,
    members: Sequence[str],
    config: RunConfig,
    observer: Observer | None = None,
) -> Run:
    """Search for the prompt that is best over all boxes. A box that is lost is left out and the run
    repeated from its journal, which costs nothing that was paid before. Raises like
    `runs.run.run_search`."""
    listener = observer or SilentObserver()
    first = federation.first
    if first.metric not in METRICS:
        raise UsageError(
            f"metric {first.metric} does not follow from counts: a federation takes "
            f"{', '.join(METRICS)}"
        )
    task = task_of(federation, members)
    with _journal(task, federation, config, listener) as journal:
        journal.agree("federation", ", ".join(sorted(members)), "use the same members")
        while True:
            try:
                return _attempt(federation, members, config, journal, listener)
            except BoxesLost:
                listener.notify(Announced("The search is repeated with the boxes that are left."))


def _journal(task: Task, federation: Federation, config: RunConfig, listener: Observer) -> Journal:
    if config.run_dir is None:
        return Journal.memory()
    header = header_for(task, federation.first.model, config.seed)
    if config.resume:
        return Journal.resume(config.run_dir, header, lambda line: listener.notify(Announced(line)))
    check_fresh(config.run_dir)
    return Journal.create(config.run_dir, header)


def _attempt(
    federation: Federation,
    members: Sequence[str],
    config: RunConfig,
    journal: Journal,
    listener: Observer,
) -> Run:
    """The search with the boxes that are there. Raises `BoxesLost`."""
    task = task_of(federation, members)
    metric = metrics.get(task.metric)
    engine = FederatedEngine(federation)
    metered = MeteredEngine(engine, journal, budget_of(config, task), at_once=1 << 30)
    evaluator = FederatedEvaluator.on(federation, task, metric, metered)
    context = RunContext(evaluator, journal, listener, config.seed)
    pool = [
        FederatedStrategy(one, federation, metered, config.seed)
        for one in strategies.select(config.strategies, task.answer)
        if not one.needs_proposer
    ]
    beliefs = beliefs_of(config, task, engine.info())
    settings = SearchSettings(pool, POLICIES[config.policy], beliefs, None, config.prefer)
    search = FederatedSearch(context, settings, federation)
    with context.running(FIRST):
        stop = search.run()
    held_back = sum(one.held_back for one in pool)
    listener.notify(Finished(_summary(search, stop, held_back)))
    return _finished(federation, search, stop, config)


def budget_of(config: RunConfig, task: Task) -> Budget:
    """The budget given, or the default: one evaluation is one prompt on one group."""
    if config.budget:
        budget = Budget.parse(config.budget)
        if budget.evaluations is None:
            raise UsageError(
                f"--budget {config.budget}: give evaluations: one is a prompt on a group"
            )
        return budget
    return Budget(evaluations=max(LEAST, PER_GROUP * len(task.train)))


def _summary(search: TreeSearch, stop: StopReason, held_back: int) -> str:
    text = search.summary(stop)
    if held_back:
        drafts = "1 draft" if held_back == 1 else f"{held_back} drafts"
        text += f" The boxes held back {drafts} that quoted their examples."
    return text


class FederatedSearch(TreeSearch):
    """The tree search with a fold for each box."""

    def __init__(
        self, context: RunContext, settings: SearchSettings, federation: Federation
    ) -> None:
        super().__init__(context, settings)
        by_box: dict[str, list[str]] = {}
        for example in context.task.train:
            by_box.setdefault(example.answer, []).append(example.id)
        folds = tuple(frozenset(ids) for ids in by_box.values())
        self.fold_of = fold_places(folds, context.task.train)
        evidence = BoxEvidence(federation)
        self.drafter = Drafter(context, evidence, folds)  # type: ignore[arg-type]
        self.tree.outlook = self.drafter.outlook


# --- the end --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _End:
    """What the final figures are made of."""

    federation: Federation
    evaluator: FederatedEvaluator
    baseline: Callable[[str], Prompt]
    winner: Callable[[str], Prompt]

    def split(self, examples: Sequence[Example], tried: int, label: str) -> SplitScores:
        """Both prompts on a split, as if single examples had been counted here."""
        before, after = (self.scored(examples, version) for version in (self.baseline, self.winner))
        better, worse = self._pairs(examples, self.baseline)
        comparison = _comparison(better, worse, tried)
        return SplitScores(before, after, comparison, self._vote(examples, label))

    def scored(self, examples: Sequence[Example], version: Callable[[str], Prompt]) -> Evaluation:
        groups = {example.id: version(example.answer) for example in examples}
        outcomes = tuple(self.evaluator.counted(groups))
        return _evaluation(outcomes, self.evaluator, list(groups))

    def _pairs(
        self, examples: Sequence[Example], first: Callable[[str], Prompt] | str
    ) -> tuple[int, int]:
        """On how many examples the winner is right and the other wrong, and the other way round."""
        from ...prompts.serialisation import to_dict

        split = GroupId.of(examples[0].id).split
        questions = {
            box: {
                "first": first if isinstance(first, str) else to_dict(first(box)),
                "second": to_dict(self.winner(box)),
                "split": split,
            }
            for box in dict.fromkeys(example.answer for example in examples)
        }
        found = self.federation.ask("compare", questions).values()
        return (sum(max(0, one[0]) for one in found), sum(max(0, one[1]) for one in found))

    def _vote(self, examples: Sequence[Example], label: str) -> MajorityVote:
        """What always answering one label scores."""
        gold = self.evaluator.gold([example.id for example in examples])
        metric = self.evaluator.metric
        votes = [
            Outcome(str(place), own, label, float(own == label))
            for place, own in enumerate(Counter(gold).elements())
        ]
        better, worse = self._pairs(examples, label)
        beaten = sign_test(better, worse) <= 0.05 and better > worse
        return MajorityVote(
            label, metric.aggregate(votes), interval(votes, metric), len(votes), beaten
        )


def _comparison(better: int, worse: int, tried: int) -> Comparison:
    """As `statistics.compare`, from counts: exact McNemar, corrected for the prompts tried."""
    p_value = min(1.0, sign_test(better, worse) * tried)
    return Comparison(better, worse, p_value, p_value <= 0.05 and better > worse)


def _evaluation(
    outcomes: tuple[Outcome, ...], evaluator: FederatedEvaluator, groups: Sequence[str]
) -> Evaluation:
    metric: Metric = evaluator.metric
    found = interval(outcomes, metric)
    if any(evaluator.sigma[group] for group in groups):
        found = evaluator._interval(metric.aggregate(outcomes), len(outcomes), groups)
    margin = sum(o.margin for o in outcomes) / len(outcomes) if outcomes else 0.0
    return Evaluation(metric.name, metric.aggregate(outcomes), found, outcomes, margin)


def _finished(
    federation: Federation, search: FederatedSearch, stop: StopReason, config: RunConfig
) -> Run:
    """The result with figures over single examples, the scores of every box, and the artifact."""
    evaluator = search.context.evaluator
    assert isinstance(evaluator, FederatedEvaluator)
    result = search.result(stop)
    ending = MeteredEngine(evaluator.engine.inner, search.context.journal, at_once=1 << 30)
    evaluator = replace(evaluator, engine=ending)
    task = result.task
    trial = _trial_of(result, result.winner)
    versions = dict(trial.variants)
    fold = {example.answer: search.fold_of[example.id] for example in task.train}
    tuned = _End(
        federation,
        evaluator,
        lambda box: result.baseline,
        lambda box: versions.get(fold[box], result.winner),
    )
    whole = replace(tuned, winner=lambda box: result.winner)
    gold = evaluator.gold([example.id for example in task.train])
    label = max(task.labels, key=lambda one: gold[one])
    tried = max(1, sum(one.evaluation is not None for one in result.trials) - 1)
    selection = tuned.split(task.train, tried, label)
    tested = config.held_out_test and bool(task.test)
    test = whole.split(task.test, 1, label) if tested else None
    shown = test or selection
    where = "held-out" if test else "training"
    unchanged = result.winner == result.baseline
    text = verdict(shown, where, task.labels, result.baseline_name, unchanged) + _caveat(federation)
    cost = result.cost + ending.account.spent
    result = replace(
        result, selection=selection, test=test, verdict=text, recommended=recommended(shown),
        cost=cost,
    )  # fmt: skip
    artifact = replace(from_run(result), boxes=_boxes(federation, selection, test))
    return Run(result, artifact, _keep(config.run_dir, artifact))


def _trial_of(result: RunResult, prompt: Prompt) -> Trial:
    own = [one for one in result.trials if one.prompt == prompt and one.state == "complete"]
    return own[-1]


def _caveat(federation: Federation) -> str:
    noisy = sum(box.sigma > 0 for box in federation.boxes.values())
    if not noisy:
        return ""
    return (
        f" {noisy} of {len(federation.boxes)} boxes add noise to their sums, so the intervals are "
        "wide and the p-value is approximate."
    )


def _boxes(
    federation: Federation, selection: SplitScores, test: SplitScores | None
) -> tuple[StoredBox, ...]:
    """The scores of both prompts on each box."""

    def of(box: str, evaluation: Evaluation | None) -> Evaluation | None:
        if evaluation is None:
            return None
        own = tuple(o for o in evaluation.outcomes if o.example_id.split("/")[0] == box)
        if not own:
            return None
        metric = metrics.get(evaluation.metric)
        return Evaluation(evaluation.metric, metric.aggregate(own), interval(own, metric), own)

    made = []
    for name, facts in federation.boxes.items():
        before, after = of(name, selection.baseline), of(name, selection.winner)
        assert before is not None
        assert after is not None
        tests = (of(name, test.baseline), of(name, test.winner)) if test else (None, None)
        made.append(
            StoredBox(name, facts.policy, scores_of(before, tests[0]), scores_of(after, tests[1]))
        )
    return tuple(made)


def _keep(folder: Path | None, artifact: Artifact) -> Path | None:
    if folder is None:
        return None
    kept = folder / ARTIFACT
    write_text(kept, dump(artifact), ArtifactError, PRIVATE)
    return kept
