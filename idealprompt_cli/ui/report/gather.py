"""A run's folder or a single artifact -> what a report shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...artifact import Artifact, read_artifact
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
        """The winner's wrong answers, the surest of them first."""
        part = self.split()
        wrong = [
            kept
            for kept in self.kept
            if kept.split == part and kept.which == "winner" and kept.outcome.score < 1.0
        ]
        ranked = sorted(wrong, key=lambda kept: (kept.outcome.margin, kept.outcome.score))
        return tuple(ranked[:limit])


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
        why = "the run did not end: resume it with search --resume" if there else "no run's folder"
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
