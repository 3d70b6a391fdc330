"""Messages and progress on stderr (layer 3).

Three observers of a run: a bar for terminals, a line every few seconds elsewhere, and silence.
Knows nothing of how a search goes on, only what it is told. The bar itself is drawn in `live`.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from .formats.base import Screen
from .interfaces import Observer
from .live import Stage, progress
from .types import ModelInfo, Task, Trial

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 10.0


class Console:
    """Where messages go. `level` is -1 (quiet: errors only), 0, or 1 (every trial)."""

    def __init__(self, level: int = 0, stream: TextIO | None = None) -> None:
        self.level = level
        self._stream = stream
        self._bar: BarObserver | None = None
        self._lines: LineObserver | None = None

    @property
    def stream(self) -> TextIO:
        return self._stream or sys.stderr

    def say(self, text: str) -> None:
        """A notice, unless the user wants quiet."""
        if self.level >= 0:
            self.write(text)

    def detail(self, text: str) -> None:
        """Something that only -v shows."""
        if self.level > 0:
            self.write(text)

    def write(self, text: str) -> None:
        """A line, above the bar if there is one."""
        if self._bar is None or not self._bar.print_above(text):
            print(text, file=self.stream, flush=True)

    def observer(self, clock: Callable[[], float] = time.monotonic, bar: bool = True) -> Observer:
        """The listener that suits the stream and the level; `bar` False where a person types."""
        if self.level < 0:
            return SilentObserver()
        if bar and self.level == 0 and is_terminal(self.stream):
            self._bar = BarObserver(self, clock)
            return self._bar
        self._lines = LineObserver(self, clock)
        return self._lines

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event of reflection, for whoever listens."""
        for shown in (self._bar, self._lines):
            if shown is not None:
                shown.event(kind, data)

    def close(self) -> None:
        """Take the bar away, whatever happened."""
        for shown in (self._bar, self._lines):
            if shown is not None:
                shown.stop()


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is likely to watch the stream as it comes."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def screen_of(stream: TextIO) -> Screen:
    """Columns and colour for text that is printed on a stream."""
    if not is_terminal(stream):
        return Screen()
    width = min(shutil.get_terminal_size().columns, 120)
    return Screen(width=width, colour="NO_COLOR" not in os.environ)


class SilentObserver:
    """For --quiet."""

    def started(self, task: Task, model: ModelInfo, plan: str) -> None: ...

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None: ...

    def message(self, text: str) -> None: ...

    def finished(self, stop: str) -> None: ...


class Pace:
    """The time that is left at the speed measured so far. A resumed run replays its beginning in no
    time, so speed is measured from the first trial that was seen."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._fraction = 0.0

    def note(self, fraction: float) -> None:
        """A share of the budget, in [0, 1], is spent now."""
        self._first = self._first or (self._clock(), fraction)
        self._fraction = fraction

    def left(self) -> str:
        """ ", about 3 min left", or "" as long as nothing can be said. The search may end earlier,
        so this is what the budget allows."""
        if self._first is None:
            return ""
        since, start = self._first
        passed, done = self._clock() - since, self._fraction - start
        if passed < 2.0 or done <= 0.0:
            return ""
        seconds = passed * (1.0 - self._fraction) / done
        return f", at most {duration(seconds)} left"


def duration(seconds: float) -> str:
    """About how long, in the unit that people would use."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class LineObserver:
    """Plain lines: one every few seconds while work goes on, trial or not; with -v one per trial
    as well."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._start = self._last = clock()
        self._pace = Pace(clock)
        self._count = 0
        self._state = ""
        self._stage = Stage()
        self._ended = threading.Event()

    def started(self, task: Task, model: ModelInfo, plan: str) -> None:
        self._console.write(opening(task, model))
        self._console.write(plan)
        self._start = self._last = self._clock()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._ended.wait(1.0):
            self.tick()

    def tick(self) -> None:
        """Write a line if none came for a while."""
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN_LINES or self._ended.is_set():
            return
        self._last = now
        if self._count:
            self._console.write(f"  {self._state}{self._pace.left()}")
        else:
            self._console.write(f"  at work on the seed prompt for {duration(now - self._start)}")

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None:
        self._count += 1
        self._pace.note(fraction)
        prompts = "1 prompt" if self._count == 1 else f"{self._count} prompts"
        self._state = f"{prompts} tried, {spent}, best {score(best)}"
        if self._console.level > 0:
            self._last = self._clock()
            self._console.write(f"  {describe(trial)}")
        self.tick()

    def message(self, text: str) -> None:
        self._console.write(text)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something that reflection tells, as a line if it is worth one."""
        if said := self._stage.heard(kind, data):
            self._last = self._clock()
            self._console.write(said)

    def finished(self, stop: str) -> None:
        self.stop()
        self._console.write(stop)

    def stop(self) -> None:
        """No lines from now on."""
        self._ended.set()


class BarObserver:
    """A bar with the best score so far and what is being tried."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._pace = Pace(clock)
        self._stage = Stage()
        self._progress: Progress | None = None
        self._row: TaskID | None = None
        self._count = 0

    def print_above(self, text: str) -> bool:
        """Whether the text was printed by the bar's own console."""
        if self._progress is None:
            return False
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        return True

    def started(self, task: Task, model: ModelInfo, plan: str) -> None:
        self._console.write(opening(task, model))
        self._console.write(plan)
        self._progress = progress(self._stage, self._console.stream)
        self._row = self._progress.add_task("", total=1.0, what="the seed prompt", best="")
        self._progress.start()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something that reflection tells: shown above the bar."""
        said = self._stage.heard(kind, data)
        if kind == "edit" and data["state"] == "accepted":
            self._console.write(said.strip())
        if self._progress is not None:
            self._progress.refresh()

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None:
        self._count += 1
        if self._progress is None or self._row is None:
            return
        self._pace.note(fraction)
        self._progress.update(
            self._row,
            completed=min(fraction, 0.99),  # it is full when it is done
            best=f"best {score(best)}",
            what=f"{self._count} tried, {spent}{self._pace.left()}, last: {trial.strategy}",
        )

    def message(self, text: str) -> None:
        self._console.write(text)

    def finished(self, stop: str) -> None:
        self.stop()
        self._console.write(stop)

    def stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def opening(task: Task, model: ModelInfo) -> str:
    """What is about to happen, in a line."""
    count = f"{len(task.train)} training and {len(task.test)} held-out pictures"
    kind = answers_of(task)
    form = ", ".join(part for part in (model.architecture, model.quantisation) if part)
    return f"Task {task.name}: {kind}, {count}. Model {model.name} ({form})."


def answers_of(task: Task) -> str:
    """What is answered, in a word or two."""
    if task.answer == "label":
        return f"{len(task.labels)} labels"
    several, fields = len(task.form.options), len(task.form.fields)
    return {
        "labels": f"any of {several} labels",
        "json": f"JSON with {fields} fields" if fields > 1 else "JSON with one field",
        "number": "numbers",
        "text": "free text",
    }[task.answer]


def score(trial: Trial) -> str:
    """A trial's score for people."""
    evaluation = trial.evaluation
    return "none yet" if evaluation is None else f"{100 * evaluation.value:.1f} %"


def describe(trial: Trial) -> str:
    """A trial in a line, for -v."""
    state = "" if trial.state == "complete" else f" ({trial.state})"
    note = f": {trial.note}" if trial.note else ""
    return f"#{trial.id} {trial.strategy} {score(trial)}{state}{note}"
