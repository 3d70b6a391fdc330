"""What is shown of a run while it works: a bar on terminals, a line every few seconds elsewhere.

Built from the run's events alone. The time that is left is estimated from the speed of the last
minutes; nothing is full before it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.events import (
    Announced,
    EditJudged,
    Event,
    Finished,
    Progress,
    Started,
    TrialDone,
    Trying,
)
from ..core.requests import ModelInfo
from ..core.results import Trial
from ..core.task import Task
from ..io.terminal import one_line
from .pace import SECONDS_BETWEEN_LINES, Beat, Clock, Pace, Sink, duration, printed
from .reflection_view import Stage, progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class State:
    """What is known of a run: how many prompts were tried, the best, the budget, the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start()

    def _start(self) -> None:
        self._pace = Pace(self._clock)
        self._started = self._clock()
        self.count = 0
        self.fraction = 0.0
        self._best = self._spent = ""
        self._trying = "the seed prompt"

    def heard(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case Started():
                self._start()
            case Trying():
                self._trying = one_line(event.what)
            case Progress():
                self._answered(event.spent, event.fraction)
            case TrialDone():
                self.count += 1
                self._best, self._trying = score(event.best), ""
                self._answered(event.spent, event.fraction)

    def _answered(self, spent: str, fraction: float) -> None:
        self._spent, self.fraction = spent, fraction
        if self.count:  # before, every picture is new, which says nothing of the rest
            self._pace.note(fraction)

    @property
    def best(self) -> str:
        return f"best {self._best}" if self._best else ""

    def line(self) -> str:
        """All of it. The search may end before its budget, so the time left is a bound."""
        if not self.count:
            spent = f", {self._spent}" if self._spent else ""
            since = duration(self._clock() - self._started)
            return f"scoring {self._trying} for {since}{spent}"
        prompts = "1 prompt" if self.count == 1 else f"{self.count} prompts"
        return f"{prompts} tried, {self._spent}, {self.best}{self.what()}"

    def what(self) -> str:
        """What is tried now, and the time left."""
        trying = f", now {self._trying}" if self._trying else ""
        return trying + self._pace.left("up to about")

    def bar(self) -> str:
        """The text after a bar."""
        if not self.count:
            return self._trying + (f", {self._spent}" if self._spent else "")
        return f"{self.count} tried, {self._spent}{self.what()}"


class LineObserver:
    """Plain lines: one every few seconds while work is done, trial or not; with -v one per trial
    as well."""

    def __init__(self, console: Sink, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._last = clock()
        self._state = State(clock)
        self._stage = Stage()
        self._beat = Beat(self.tick)

    def notify(self, event: Event) -> None:
        """Write what is worth a line."""
        self._state.heard(event)
        match event:
            case Started():
                self._write(opening(event.task, event.model), event.plan)
                self._beat.start()
            case TrialDone():
                if self._console.level > 0:
                    self._write(f"  {describe(event.trial)}")
                self.tick()
            case Announced():
                self._console.write(event.text)
            case Finished():
                self.stop()
                self._console.write(event.summary)
            case _:
                if line := self._stage.heard(event):
                    self._write(line)

    def tick(self) -> None:
        """Write a line if none came for a while."""
        if self._clock() - self._last >= SECONDS_BETWEEN_LINES and not self._beat.stopped:
            self._write(f"  {self._state.line()}")

    def _write(self, *lines: str) -> None:
        self._last = self._clock()
        for line in lines:
            self._console.write(line)

    def stop(self) -> None:
        """No lines from now on."""
        self._beat.stop()


class BarObserver:
    """A bar with the best score so far and what is being tried."""

    def __init__(self, console: Sink, clock: Clock) -> None:
        self._console = console
        self._state = State(clock)
        self._stage = Stage()
        self._progress: Bar | None = None
        self._row: TaskID | None = None

    def print_above(self, text: str) -> bool:
        """Whether the text was printed by the bar's own console."""
        return printed(self._progress, text)

    def notify(self, event: Event) -> None:
        """Bring the bar up to date; notices and accepted edits are shown above it."""
        self._state.heard(event)
        match event:
            case Started():
                self._console.write(opening(event.task, event.model))
                self._console.write(event.plan)
                self._start()
            case Announced():
                self._console.write(event.text)
            case Finished():
                self.stop()
                self._console.write(event.summary)
            case Trying() | Progress() | TrialDone():
                self._show()
            case _:
                line = self._stage.heard(event)
                if isinstance(event, EditJudged) and event.state == "accepted":
                    self._console.write(line.strip())
                if self._progress is not None:
                    self._progress.refresh()

    def _start(self) -> None:
        self._progress = progress(self._stage, self._console.stream)
        self._row = self._progress.add_task("", total=1.0, what=self._state.bar(), best="")
        self._progress.start()

    def _show(self) -> None:
        if self._progress is None or self._row is None:
            return
        state = self._state
        done = min(state.fraction, 0.99)  # it is full when it is done
        self._progress.update(self._row, completed=done, best=state.best, what=state.bar())

    def stop(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def opening(task: Task, model: ModelInfo) -> str:
    """What is about to happen, in a line."""
    count = f"{len(task.train)} training and {len(task.test)} held-out examples"
    kind = answers_of(task)
    form = ", ".join(part for part in (model.architecture, model.quantisation) if part)
    return f"Task {task.name}: {kind}, {count}. Model {model.name} ({form})."


def answers_of(task: Task) -> str:
    """What is answered, in a word or two."""
    if task.answer == "label":
        return f"{len(task.labels)} labels"
    several, fields = len(task.answer_schema.options), len(task.answer_schema.fields)
    return {
        "labels": f"any of {several} labels",
        "json": f"JSON with {fields} fields" if fields > 1 else "JSON with one field",
        "number": "numbers",
        "text": "free text",
        "box": "boxes",
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
