"""What every stage of a run is given: evaluator (task, engine, metric), journal, observer, seed.

Also what stages do alike: announcing a run, saying what the budget buys, and ending on Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..core.errors import Interrupted
from ..core.events import Event, Finished, Progress, SilentObserver, Started
from ..core.interfaces import Engine, Metric, Observer
from ..core.task import Task
from ..storage.journal import Journal
from ..storage.response_cache import ResponseCache
from .account import Account
from .budget import Budget
from .evaluator import Evaluator
from .metered_engine import MeteredEngine
from .racing import bought


@dataclass(frozen=True)
class RunContext:
    """The surroundings of one run. Made by `open_context`."""

    evaluator: Evaluator
    journal: Journal = field(default_factory=Journal.memory)
    observer: Observer = field(default_factory=SilentObserver)
    seed: int = 0

    @property
    def task(self) -> Task:
        return self.evaluator.task

    @property
    def engine(self) -> MeteredEngine:
        return self.evaluator.engine

    @property
    def account(self) -> Account:
        return self.engine.account

    def notify(self, event: Event) -> None:
        """Send an event to the observer."""
        self.observer.notify(event)

    @contextmanager
    def running(self, first: Sequence[str]) -> Iterator[None]:
        """A run from its announcement to its end; Ctrl-C is reported, and raised as Interrupted.
        `first` names what is asked about every example before any edit (see `plan`)."""
        text = plan(self.task, self.account.budget, first)
        self.notify(Started(self.task, self.engine.info(), text))
        try:
            yield
        except KeyboardInterrupt as error:
            spent = self.account.describe()
            self.notify(Finished(f"Interrupted after {spent}."))
            raise Interrupted(f"interrupted after {spent}; what was computed is kept") from error


def open_context(
    task: Task,
    engine: Engine,
    metric: Metric,
    budget: Budget | None = None,
    *,
    journal: Journal | None = None,
    cache: ResponseCache | None = None,
    observer: Observer | None = None,
    seed: int = 0,
) -> RunContext:
    """A context with a memory and an account around the engine; the observer hears of answers as
    they come. Without a journal nothing is kept on the disk."""
    kept, listener = journal or Journal.memory(), observer or SilentObserver()
    metered = MeteredEngine(engine, kept, budget, cache=cache)

    def report(count: int) -> None:
        del count
        listener.notify(Progress(metered.account.describe(), metered.account.fraction()))

    metered.on_answers = report
    return RunContext(Evaluator(metered, task, metric), kept, listener, seed)


def described(task: Task) -> int:
    """Training examples that the model has to describe: those with a picture."""
    return sum(bool(example.images) for example in task.train)


def plan(task: Task, budget: Budget, first: Sequence[str]) -> str:
    """What the budget buys, in a sentence, before anything is spent. `first` names what costs
    evaluations before the first edit is scored: the first prompt, and perhaps descriptions."""
    n = len(task.selection)
    kind = "validation" if task.validation else "training"
    text = f"{n} {kind} examples; budget: {budget.describe()}."
    if budget.evaluations is None:
        return (
            f"{text} What it buys is shown as soon as {first[0]} ({n} evaluations) shows the "
            "model's pace."
        )
    costs = {name: n if name == first[0] else described(task) for name in first}
    room = max(0, budget.evaluations - sum(costs.values()))
    names = " and ".join(f"{name} ({cost})" for name, cost in costs.items() if cost)
    return f"{text} After {names} this buys {bought(room, n)}"
