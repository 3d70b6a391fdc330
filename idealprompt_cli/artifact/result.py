"""What the artifact keeps of a `RunResult`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..answers import plain_field
from ..core.answer_schema import AnswerSchema
from ..core.requests import ModelInfo
from ..core.results import (
    CommitteeResult,
    Cost,
    Evaluation,
    MajorityVote,
    Probe,
    ProbeScore,
    RunResult,
    SplitScores,
    StopReason,
    Trial,
)
from ..prompts.rendering import whole_chat, words_for
from .content import (
    SCHEMA,
    Artifact,
    MajorityScores,
    ModelSummary,
    RunCost,
    Score,
    ScorePair,
    Scores,
    Step,
    StoredCommittee,
    StoredMember,
    StoredPoint,
    TaskSummary,
)


def from_run(result: RunResult) -> Artifact:
    """What is kept of a run."""
    task, model = result.task, result.model
    images = len(task.train[0].images)
    selection, test = result.selection, result.test
    return Artifact(
        schema=SCHEMA,
        task=TaskSummary(
            name=task.name,
            question=task.question,
            answer=task.answer,
            metric=task.metric,
            language=task.language,
            images=images,
            fingerprint=task.fingerprint,
            **schema_data(task.answer_schema),
        ),
        model=model_summary(model),
        prompt=result.winner,
        baseline_prompt=result.baseline,
        messages=whole_chat(result.winner, task.labels, images),
        labels=task.labels,
        verbalisers={label: words_for(result.winner, label) for label in task.labels},
        scores=ScorePair(
            scores_of(selection.baseline, test.baseline if test else None),
            scores_of(selection.winner, test.winner if test else None),
            _majority(selection, test),
            _probe(result.probe, selection.winner.metric),
        ),
        verdict=result.verdict,
        recommended=result.recommended,
        cost=_cost(result.cost, result.stop),
        seed=result.seed,
        trail=_trail(result),
        baseline_name=result.baseline_name,
        committee=_committee(result.committee) if result.committee else None,
        front=_front(result),
    )


def schema_data(schema: AnswerSchema) -> dict[str, Any]:
    """The fields of `TaskSummary` that describe written answers."""
    return {
        "options": schema.options,
        "fields": {field.name: plain_field(field) for field in schema.fields},
        "max_tokens": schema.max_tokens,
    }


def model_summary(model: ModelInfo) -> ModelSummary:
    """What is kept of the engine's account of its model: file names, not the places of the files,
    which say something of the machine and its user."""
    info = {name: getattr(model, name) for name in ModelSummary.__dataclass_fields__}
    if model.engine != "http":
        info |= {"path": Path(model.path).name, "mmproj": Path(model.mmproj).name}
    return ModelSummary(**info)


def _cost(cost: Cost, stopped: StopReason) -> RunCost:
    return RunCost(cost.evaluations, cost.tokens, round(cost.seconds, 2), stopped)


def _score(metric: str, scored: Evaluation | MajorityVote | ProbeScore) -> Score:
    low, high = scored.interval.low, scored.interval.high
    return Score(metric, round(scored.value, 6), round(low, 6), round(high, 6), scored.n)


def scores_of(selection: Evaluation, test: Evaluation | None) -> Scores:
    """What is kept of a prompt's scores on both splits."""
    return Scores(_score(selection.metric, selection), _score(test.metric, test) if test else None)


def _majority(selection: SplitScores, test: SplitScores | None) -> MajorityScores | None:
    first = selection.majority
    if first is None:
        return None
    metric, held_out = selection.winner.metric, test.majority if test else None
    scores = [_score(metric, vote) for vote in (first, held_out) if vote is not None]
    return MajorityScores(first.label, scores[0], scores[1] if held_out else None)


def _probe(probe: Probe | None, metric: str) -> Scores | None:
    if probe is None:
        return None
    first, *rest = (_score(metric, one) for one in (probe.selection, probe.test) if one is not None)
    return Scores(first, *rest)


def _committee(made: CommitteeResult) -> StoredCommittee:
    committee = made.committee
    return StoredCommittee(
        tuple(StoredMember(one.prompt, one.words, one.weights) for one in committee.members),
        committee.biases,
        scores_of(made.selection, made.test),
        len(committee.members),
        made.tokens,
    )


def _front(result: RunResult) -> tuple[StoredPoint, ...]:
    """The points whose time was measured."""
    trials = {trial.id: trial for trial in result.trials}
    found = []
    for point in result.front:
        trial = trials[point.trial]
        if point.seconds is not None and trial.evaluation is not None:
            score = _score(trial.evaluation.metric, trial.evaluation)
            tokens = (point.tokens, point.image_tokens, point.seconds)
            found.append(StoredPoint(trial.prompt, score, *tokens))
    return tuple(found)


def _trail(result: RunResult) -> tuple[Step, ...]:
    """From the root to the winner's trial; empty if no trial is the winner's."""
    by_id = {trial.id: trial for trial in result.trials}
    own = [trial for trial in result.trials if trial.prompt == result.winner]
    trial = max(own, key=lambda one: one.state == "complete", default=None)
    steps: list[Step] = []
    while trial is not None:
        steps.append(_step(trial))
        trial = by_id.get(trial.parent) if trial.parent is not None else None
    return tuple(reversed(steps))


def _step(trial: Trial) -> Step:
    evaluation = trial.evaluation
    return Step(
        strategy=trial.strategy,
        note=trial.note,
        state=trial.state,
        value=round(evaluation.value, 6) if evaluation else None,
        n=evaluation.n if evaluation else 0,
        prompt_tokens=trial.prompt_tokens,
        edit=trial.edit,
    )
