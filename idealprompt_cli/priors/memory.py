"""The memory of which strategies paid: what earlier runs won, as numbers.

A *lesson* is one use of a strategy in a finished run: the share of what its parent prompt lacked
that its best draft won, in [0, 1], by paired scores on the same examples. The memory keeps counts
and sums of lessons per (model, family, task kind, parent strategy, strategy) and per box that
learnt them, so that merging two files adds boxes up and merging one file twice changes nothing.
Nothing else is kept: no prompt, label, file name or picture. Files: `store.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import PriorsError
from ..core.requests import ModelInfo
from ..core.results import RunResult, Trial
from ..core.task import Task
from ..evaluation.statistics import paired_gain

ANY = "*"
# What a lesson counts for each thing that is different: kind of task, family, model, parent.
FARTHER = 0.5
# Fewer lessons than these beyond the first about a strategy do not show how much they differ.
LEAST_REPEATS = 5
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,40}\Z")
_MAX_LESSONS = 1e9


@dataclass(frozen=True, order=True)
class Key:
    """What a lesson is about. `model` is the head of the weights' fingerprint, not a file name."""

    model: str
    family: str
    kind: str
    parent: str
    strategy: str


@dataclass(frozen=True)
class Tally:
    """`n` lessons; the sum of what they won and of its squares."""

    n: float = 0
    won: float = 0.0
    squares: float = 0.0

    def times(self, share: float) -> Tally:
        """The lessons, each counting as this share of one."""
        return Tally(self.n * share, self.won * share, self.squares * share)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.n + other.n, self.won + other.won, self.squares + other.squares)

    @property
    def mean(self) -> float:
        return self.won / self.n if self.n else 0.0


@dataclass(frozen=True)
class Belief:
    """A posterior mean as a function of what is believed without any memory:
    `keep * base + share`; `n` lessons, those from farther away counting less."""

    keep: float = 1.0
    share: float = 0.0
    n: int = 0

    def mean(self, base: float) -> float:
        return self.keep * base + self.share


@dataclass(frozen=True)
class Beliefs:
    """What the memory says for one model and task kind: parent strategy (or "*" for any) ->
    strategy -> Belief. A frozen snapshot: the journal keeps it, so a resumed run is the same."""

    table: Mapping[str, Mapping[str, Belief]] = field(default_factory=dict)

    def of(self, parent: str, strategy: str) -> Belief:
        row = self.table.get(parent, {})
        return row.get(strategy) or self.table.get(ANY, {}).get(strategy) or Belief()

    def to_record(self) -> dict[str, Any]:
        """Plain data; floats keep every bit through JSON."""
        return {
            parent: {name: [b.keep, b.share, b.n] for name, b in row.items()}
            for parent, row in self.table.items()
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Beliefs:
        """What `to_record` gave."""
        return Beliefs(
            {
                parent: {name: Belief(*values) for name, values in row.items()}
                for parent, row in record.items()
            }
        )


Tallies = Mapping[Key, Tally]
Usual = Callable[[str], float | None]
"""What is believed of a strategy without any memory; None for what is no strategy."""


@dataclass(frozen=True)
class Priors:
    """The memory: box -> key -> tally."""

    boxes: Mapping[str, Tallies] = field(default_factory=dict)

    def total(self) -> Tallies:
        """All boxes added up."""
        sums: dict[Key, Tally] = {}
        for tallies in self.boxes.values():
            for key, tally in tallies.items():
                sums[key] = sums.get(key, Tally()) + tally
        return sums

    def merged(self, other: Priors) -> Priors:
        """Both memories. A box that both know counts once, as the fuller of the two knows it:
        a box only ever adds lessons, so the fuller one holds the other."""
        boxes = {box: dict(tallies) for box, tallies in self.boxes.items()}
        for box, tallies in other.boxes.items():
            own = boxes.setdefault(box, {})
            for key, tally in tallies.items():
                if tally.n > own.get(key, Tally()).n:
                    own[key] = tally
        return Priors(boxes)

    def learnt(self, box: str, lessons: Iterable[tuple[Key, float]]) -> Priors:
        """With the lessons of a run added to a box's."""
        own = dict(self.boxes.get(box, {}))
        for key, won in lessons:
            own[key] = own.get(key, Tally()) + Tally(1, won, won * won)
        return Priors({**self.boxes, box: own})

    def beliefs(self, model: ModelInfo, kind: str, usual: Usual) -> Beliefs:
        """The snapshot for a run on this model and this kind of task; `usual` is what is believed
        of a strategy without any memory (None: lessons about it are left out)."""
        near: dict[tuple[str, str], Tally] = {}
        for key, tally in self.total().items():
            if usual(key.strategy) is not None:
                place, share = (key.parent, key.strategy), _nearness(key, model, kind)
                near[place] = near.get(place, Tally()) + tally.times(share)
        trust = _trust(near, usual)
        table: dict[str, dict[str, Belief]] = {}
        anywhere: dict[str, Tally] = {}
        for (parent, strategy), tally in sorted(near.items()):
            table.setdefault(parent, {})[strategy] = trust.belief(tally)
            anywhere[strategy] = anywhere.get(strategy, Tally()) + tally.times(FARTHER)
        table[ANY] = {strategy: trust.belief(tally) for strategy, tally in anywhere.items()}
        return Beliefs(table)


def _nearness(key: Key, model: ModelInfo, kind: str) -> float:
    """How much a lesson counts: less for another kind of task, family or model."""
    differs = (key.kind != kind, key.family != _family(model), key.model != _model_name(model))
    return float(FARTHER ** sum(differs))


@dataclass(frozen=True)
class _Trust:
    """How far lessons are believed: as much as `against` lessons weigh what is believed without
    them, `scale` times as high on these tasks. Infinite `against`: not at all."""

    against: float = math.inf
    scale: float = 1.0

    def belief(self, tally: Tally) -> Belief:
        weight = tally.n / (tally.n + self.against)
        return Belief(1.0 - self.scale * weight, weight * tally.mean, round(tally.n))


def _trust(near: Mapping[tuple[str, str], Tally], usual: Usual) -> _Trust:
    """Empirical Bayes (DerSimonian & Laird 1986): lessons are believed as far as strategies differ
    from what is usual by more than the lessons about one strategy differ among themselves. Where
    they do not, or too few were repeated to show it, the lessons have no weight."""
    cells = [(tally, usual(strategy) or 0.0) for (_, strategy), tally in near.items() if tally.n]
    total, repeats = sum(t.n for t, _ in cells), sum(max(0.0, t.n - 1) for t, _ in cells)
    power = sum(t.n * base * base for t, base in cells)
    if repeats < LEAST_REPEATS or not power:
        return _Trust()
    scale = sum(t.won * base for t, base in cells) / power
    inside = sum(t.squares - t.n * t.mean**2 for t, _ in cells) / repeats
    between = sum(t.n * (t.mean - scale * base) ** 2 for t, base in cells)
    spread = between - (len(cells) - 1) * inside
    size = total - sum(t.n**2 for t, _ in cells) / total
    return _Trust(inside * size / spread, scale) if spread > 0.0 and size > 0.0 else _Trust()


# --- from a run -----------------------------------------------------------------------------------


def kind_of(task: Task) -> str:
    """The kind of a task, coarse enough that kinds recur: "label-2", "label-few" (3 to 5),
    "label-many" or the kind of a written answer, with "-pair" for several pictures per example."""
    several = "-pair" if task.train and len(task.train[0].images) > 1 else ""
    if task.answer != "label":
        return f"{task.answer}{several}"
    size = "2" if len(task.labels) == 2 else "few" if len(task.labels) <= 5 else "many"
    return f"label-{size}{several}"


def lessons(result: RunResult) -> list[tuple[Key, float]]:
    """One lesson for every (parent prompt, strategy) that was scored. Failed trials teach
    nothing: that a prompt does not fit the context is no news of its worth."""
    trials = {trial.id: trial for trial in result.trials}
    groups: dict[tuple[int, str], list[float]] = {}
    for trial in result.trials:
        if trial.parent is not None and trial.state != "failed":
            parent = trials[trial.parent]
            groups.setdefault((parent.id, trial.strategy), []).append(_won(parent, trial))
    model, family = _model_name(result.model), _family(result.model)
    kind = kind_of(result.task)
    return [
        (Key(model, family, kind, _safe(trials[parent].strategy), _safe(strategy)), max(won))
        for (parent, strategy), won in groups.items()
    ]


def _won(parent: Trial, trial: Trial) -> float:
    """Share of what the parent lacked that the trial won, at least 0; nothing for an edit that
    reflection rejected, which may have seen its parent's bad examples only."""
    if parent.evaluation is None or trial.evaluation is None:
        return 0.0
    if trial.edit is not None and trial.edit.p_value > trial.edit.level:
        return 0.0
    gain, room = paired_gain(parent.evaluation.outcomes, trial.evaluation.outcomes)
    return min(1.0, max(0.0, gain / room)) if room > 1e-9 else 0.0


def _model_name(model: ModelInfo) -> str:
    return _safe(model.fingerprint[:12])


def _family(model: ModelInfo) -> str:
    return _safe(model.family or model.architecture)


def _safe(name: str) -> str:
    """A plain identifier, or "other": free text never gets into the memory."""
    name = name.replace(" ", "-")
    return name if _NAME.match(name) else "other"


# --- plain data -----------------------------------------------------------------------------------


def to_dict(priors: Priors) -> dict[str, Any]:
    """box -> list of rows [model, family, kind, parent, strategy, n, won, squares]."""
    return {
        box: [
            [k.model, k.family, k.kind, k.parent, k.strategy, t.n, round(t.won, 6),
             round(t.squares, 6)]
            for k, t in sorted(tallies.items())
        ]
        for box, tallies in sorted(priors.boxes.items())
    }  # fmt: skip


def from_dict(data: object, where: str) -> Priors:
    """The memory that `to_dict` wrote. Raises PriorsError naming the box and the row."""
    if not isinstance(data, Mapping):
        raise PriorsError(f"{where}: 'boxes' is not a mapping: this is not a priors file")
    boxes: dict[str, dict[Key, Tally]] = {}
    for box, rows in data.items():
        if not isinstance(box, str) or not _NAME.match(box) or not isinstance(rows, list):
            raise PriorsError(f"{where}: box {box!r} is damaged: restore the file or reset it")
        parsed = [_row(row, f"{where}: box {box}, row {i}") for i, row in enumerate(rows, 1)]
        boxes[box] = dict(parsed)
    return Priors(boxes)


def _row(row: object, where: str) -> tuple[Key, Tally]:
    if isinstance(row, list) and len(row) == 8:
        names, (n, *sums) = row[:5], row[5:]
        named = all(isinstance(name, str) and _NAME.match(name) for name in names)
        counted = type(n) is int and 0 < n < _MAX_LESSONS
        if named and counted and all(_is_sum(value, n) for value in sums):
            return Key(*names), Tally(n, float(sums[0]), float(sums[1]))
    raise PriorsError(f"{where}: {row!r} is no lesson: restore the file or reset it")


def _is_sum(value: object, n: int) -> bool:
    """A sum of n numbers in [0, 1]."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0.0 <= value <= n + 1e-3  # type: ignore[operator]
