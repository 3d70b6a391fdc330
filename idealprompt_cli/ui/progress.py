"""What is shown of a run while it goes on: a bar on terminals, a line every few seconds elsewhere.

Knows nothing of how a search goes on, only what it is told, and writes where it is told to. The
time that is left is reckoned from the speed of the last minutes; nothing is full before it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.requests import ModelInfo
from ..core.results import Trial
from ..core.task import Task
from .pace import SECONDS_BETWEEN_LINES, Beat, Clock, Pace, Sink, duration, printed
from .reflection_view import Stage, progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class State:
    """What is known of a run: how many prompts were tried, the best, the budget, the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pace = Pace(clock)
        self._begun = clock()
        self.count = 0
        self.fraction = 0.0
        self._best = self._spent = ""
        self._trying = "the seed prompt"

    def trying(self, what: str) -> None:
        self._trying = what

    def answered(self, spent: str, fraction: float) -> None:
        self._spent, self.fraction = spent, fraction
        if self.count:  # before, every picture is new, which says nothing of the rest
            self._pace.note(fraction)

    def trial(self, best: Trial, spent: str, fraction: float) -> None:
        self.count += 1
        self._best, self._trying = score(best), ""
        self.answered(spent, fraction)

    @property
    def best(self) -> str:
        return f"best {self._best}" if self._best else ""

    def line(self) -> str:
        """All of it. The search may end before its budget, so the time left is a bound."""
        if not self.count:
            spent = f", {self._spent}" if self._spent else ""
            since = duration(self._clock() - self._begun)
            return f"at work on {self._trying} for {since}{spent}"
        prompts = "1 prompt" if self.count == 1 else f"{self.count} prompts"
        return f"{prompts} tried, {self._spent}, {self.best}{self.what()}"

    def what(self) -> str:
        """What is tried now, and the time left."""
        trying = f", now {self._trying}" if self._trying else ""
        return trying + self._pace.left("up to about")

    def bar(self) -> str:
        """What stands behind a bar, which says the rest."""
        if not self.count:
            return self._trying + (f", {self._spent}" if self._spent else "")
        return f"{self.count} tried, {self._spent}{self.what()}"


class LineObserver:
    """Plain lines: one every few seconds while work goes on, trial or not; with -v one per trial
    as well."""

    def __init__(self, console: Sink, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._last = clock()
        self._state = State(clock)
        self._stage = Stage()
        self._beat = Beat(self.tick)

    def started(self, task: Task, model: ModelInfo, plan: str) -> None:
        self._console.write(opening(task, model))
        self._console.write(plan)
        self._last = self._clock()
        self._state = State(self._clock)
        self._beat.start()

    def tick(self) -> None:
        """Write a line if none came for a while."""
        now = self._clock()
        if now - self._last < SECONDS_BETWEEN_LINES or self._beat.stopped:
            return
        self._last = now
        self._console.write(f"  {self._state.line()}")

    def trying(self, what: str) -> None:
        self._state.trying(what)

    def answered(self, spent: str, fraction: float) -> None:
        self._state.answered(spent, fraction)

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None:
        self._state.trial(best, spent, fraction)
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
        self._beat.stop()


class BarObserver:
    """A bar with the best score so far and what is being tried."""

    def __init__(self, console: Sink, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._state = State(clock)
        self._stage = Stage()
        self._progress: Progress | None = None
        self._row: TaskID | None = None

    def print_above(self, text: str) -> bool:
        """Whether the text was printed by the bar's own console."""
        return printed(self._progress, text)

    def started(self, task: Task, model: ModelInfo, plan: str) -> None:
        self._console.write(opening(task, model))
        self._console.write(plan)
        self._state = State(self._clock)
        self._progress = progress(self._stage, self._console.stream)
        self._row = self._progress.add_task("", total=1.0, what=self._state.bar(), best="")
        self._progress.start()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Something that reflection tells: shown above the bar."""
        said = self._stage.heard(kind, data)
        if kind == "edit" and data["state"] == "accepted":
            self._console.write(said.strip())
        if self._progress is not None:
            self._progress.refresh()

    def trying(self, what: str) -> None:
        self._state.trying(what)
        self._show()

    def answered(self, spent: str, fraction: float) -> None:
        self._state.answered(spent, fraction)
        self._show()

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None:
        del trial
        self._state.trial(best, spent, fraction)
        self._show()

    def _show(self) -> None:
        if self._progress is None or self._row is None:
            return
        state = self._state
        done = min(state.fraction, 0.99)  # it is full when it is done
        self._progress.update(self._row, completed=done, best=state.best, what=state.bar())

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
