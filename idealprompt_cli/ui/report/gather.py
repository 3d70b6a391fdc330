"""A run's folder or a single artifact -> what a report shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...artifact import Artifact, read_artifact, to_data
from ...core.edits import EditReport
from ...core.errors import ArtifactError
from ...core.prompt import Prompt
from ...core.results import Outcome
from ...core.task import Split
from ...storage import predictions as outcomes
from ...storage.journal import FILE_NAME as JOURNAL
from ...storage.journal import current_trials, read_records
from ...storage.predictions import Kept, Which
from ...storage.records import Record, ScoreAnswer, TextAnswer, TrialRecord
from .reflection_work import Worked, worked

ARTIFACT = "prompt.yaml"
ALL = sys.maxsize


@dataclass(frozen=True)
class Node:
    """A prompt that was tried. `spent` is the number of evaluations when its score was known."""

    id: int
    parent: int | None
    strategy: str
    state: str
    note: str
    value: float | None
    n: int
    spent: int
    prompt: Prompt


@dataclass(frozen=True)
class Point:
    """The best complete score so far, after `spent` evaluations."""

    spent: int
    best: float


@dataclass(frozen=True)
class Report:
    """All that is known of a run; `nodes`, `kept` and `work` are empty where only the artifact
    is."""

    artifact: Artifact
    source: str
    nodes: tuple[Node, ...] = ()
    kept: tuple[Kept, ...] = ()
    work: tuple[Worked, ...] = ()

    def path(self) -> tuple[int, ...]:
        """Ids from the seed to the winner, () where no trial is the winner's."""
        by_id = {node.id: node for node in self.nodes}
        own = [node for node in self.nodes if node.prompt == self.artifact.prompt]
        node = max(own, key=lambda one: one.state == "complete", default=None)
        found: list[int] = []
        while node is not None and node.id not in found:
            found.append(node.id)
            node = by_id.get(node.parent) if node.parent is not None else None
        return tuple(reversed(found))

    def curve(self) -> tuple[Point, ...]:
        """One point per complete trial."""
        points: list[Point] = []
        for node in self.nodes:
            if node.state == "complete" and node.value is not None:
                best = max([node.value, *(point.best for point in points[-1:])])
                points.append(Point(node.spent, best))
        return tuple(points)

    def split(self) -> Split | None:
        """The part that examples are shown of: test where it was read."""
        there = {kept.split for kept in self.kept}
        return "test" if "test" in there else "train" if there else None

    def outcomes(self, which: Which) -> tuple[Outcome, ...]:
        """One prompt's answers on that part."""
        part = self.split()
        return tuple(k.outcome for k in self.kept if k.split == part and k.which == which)

    def worst(self, limit: int) -> tuple[Kept, ...]:
        """The winner's wrong answers, the most confident first."""
        part = self.split()
        wrong = [
            kept
            for kept in self.kept
            if kept.split == part and kept.which == "winner" and kept.outcome.score < 1.0
        ]
        ranked = sorted(wrong, key=lambda kept: (kept.outcome.margin, kept.outcome.score))
        return tuple(ranked[:limit])


def data(report: Report) -> dict[str, Any]:
    """The report for programs: the artifact, the trials, and the winner's wrong answers."""
    return {
        **to_data(report.artifact),
        "trials": [
            {key: value for key, value in vars(node).items() if key != "prompt"}
            for node in report.nodes
        ],
        "part": report.split(),
        "wrong": [
            {**outcomes.data_of(kept.outcome), "fields": dict(kept.fields)}
            for kept in report.worst(ALL)
        ],
    }


def without_examples(report: Report) -> Report:
    """The same report with nothing of single examples but their labels: no file names, texts or
    written answers, so that it can be shared. The prompts, with their labels, stay."""
    names: dict[str, str] = {}

    def name(example: str) -> str:
        return names.setdefault(example, f"example {len(names) + 1}")

    def hidden(outcome: Outcome) -> Outcome:
        shown = bool(report.artifact.labels)
        return replace(
            outcome,
            example_id=name(outcome.example_id),
            gold=outcome.gold if shown else "",
            predicted=outcome.predicted if shown else "(a written answer)",
            reply="",
            reasoning="",
        )

    kept = tuple(
        replace(one, outcome=hidden(one.outcome), images=(), fields={}) for one in report.kept
    )
    work = tuple(
        replace(
            one,
            cases=tuple(replace(case, id=name(case.id), reason="") for case in one.cases),
            edits=tuple(replace(edit, why="") for edit in one.edits),
        )
        for one in report.work
    )
    steps = tuple(
        replace(step, note="", edit=_without_examples(step.edit)) for step in report.artifact.trail
    )
    nodes = tuple(replace(node, note="") for node in report.nodes)
    artifact = replace(report.artifact, trail=steps)
    return replace(report, artifact=artifact, kept=kept, work=work, nodes=nodes, source="")


def _without_examples(edit: EditReport | None) -> EditReport | None:
    if edit is None:
        return None
    return replace(
        edit,
        why="",
        inspired_by=tuple("" for _ in edit.inspired_by),
        fixed=tuple("" for _ in edit.fixed),
        broke=tuple("" for _ in edit.broke),
    )


def gather(source: str) -> Report:
    """What there is about a run's folder, or about an artifact (with its folder, where that is a
    run's). Raises `ArtifactError` or `JournalError`."""
    path = Path(source)
    if not path.is_dir():
        folder = path.parent
        artifact = read_artifact(source)
        if source == "-" or path.name != ARTIFACT or not (folder / JOURNAL).is_file():
            return Report(artifact, source)
        return _of_run(artifact, source, folder)
    if not (path / ARTIFACT).is_file():
        there = (path / JOURNAL).is_file()
        why = (
            "the run did not end: resume it with search --resume"
            if there
            else "not the folder of a run"
        )
        raise ArtifactError(f"{path}: holds no {ARTIFACT}: {why}")
    return _of_run(read_artifact(str(path / ARTIFACT)), source, path)


def _of_run(artifact: Artifact, source: str, folder: Path) -> Report:
    records = read_records(folder) if (folder / JOURNAL).is_file() else []
    kept = tuple(outcomes.load(folder))
    return Report(artifact, source, _nodes(records), kept, worked(records))


def _nodes(records: Sequence[Record]) -> tuple[Node, ...]:
    spent = 0
    before: dict[int, int] = {}  # what was spent when a record was written
    for record in records:
        before[id(record)] = spent
        if isinstance(record, (ScoreAnswer, TextAnswer)):
            spent += record.evaluations
    return tuple(_node(trial, before[id(trial)]) for trial in current_trials(records))


def _node(record: TrialRecord, spent: int) -> Node:
    return Node(
        id=record.id,
        parent=record.parent,
        strategy=record.strategy,
        state=record.state,
        note=record.note,
        value=record.value,
        n=record.n,
        spent=spent,
        prompt=record.prompt,
    )
