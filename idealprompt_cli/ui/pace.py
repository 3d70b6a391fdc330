"""Speed, remaining time and progress of work.

Used by everything that shows progress; knows neither searches nor models.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from .reflection_view import Stage, progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Clock = Callable[[], float]

SECONDS_BETWEEN_LINES = 10.0
# Speed is measured over this long: pictures that are new are slower than the same ones again.
WINDOW = 120.0


class Sink(Protocol):
    """Where lines go; `level` 1 prints a line for every trial."""

    level: int

    @property
    def stream(self) -> TextIO: ...

    def write(self, text: str) -> None: ...


class Pace:
    """The time that is left at the speed of the last minutes. A resumed run replays its beginning
    in no time, so speed is measured from what is noted first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._notes: deque[tuple[float, float]] = deque()

    def note(self, fraction: float) -> None:
        """A share of the work, in [0, 1], is done now."""
        now = self._clock()
        self._notes.append((now, fraction))
        while len(self._notes) > 2 and now - self._notes[1][0] > WINDOW:
            self._notes.popleft()

    def left(self, how: str = "about") -> str:
        """ ", about 3 min left", or "" as long as nothing can be said."""
        if not self._notes:
            return ""
        since, start = self._notes[0]
        fraction = self._notes[-1][1]
        passed, done = self._clock() - since, fraction - start
        if passed < 2.0 or done <= 0.0:
            return ""
        return f", {how} {duration(passed * (1.0 - fraction) / done)} left"


def duration(seconds: float) -> str:
    """About how long, in the unit that people would use."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Beat:
    """Calls something every second until it is stopped."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            self._tick()

    def stop(self) -> None:
        self._ended.set()

    @property
    def stopped(self) -> bool:
        return self._ended.is_set()


class Counter:
    """Answers of a known number, such as those on the held-out pictures. `drawn` shows a bar;
    otherwise there is a line every few seconds."""

    def __init__(self, console: Sink, what: str, total: int, drawn: bool, clock: Clock) -> None:
        self._console = console
        self._what, self._total, self._done = what, total, 0
        self._clock = clock
        self._last = clock()
        self._pace = Pace(clock)
        self._pace.note(0.0)
        self._beat = Beat(self.tick)
        self._progress = progress(Stage(), console.stream) if drawn else None
        self._row: TaskID | None = None

    def start(self) -> None:
        if self._progress is not None:
            self._row = self._progress.add_task("", total=1.0, what=self.line(), best="")
            self._progress.start()
        else:
            self._beat.start()

    def print_above(self, text: str) -> bool:
        """Whether the text was printed by the bar's own console."""
        return printed(self._progress, text)

    def add(self, count: int) -> None:
        """So many more are there."""
        self._done += count
        fraction = min(1.0, self._done / max(1, self._total))
        self._pace.note(fraction)
        if self._progress is not None and self._row is not None:
            self._progress.update(self._row, completed=min(fraction, 0.99), what=self.line())

    def line(self) -> str:
        return f"{self._what}: {self._done} of {self._total} answers{self._pace.left()}"

    def tick(self) -> None:
        """Write a line if none came for a while."""
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES and not self._beat.stopped:
            self._last = now
            self._console.write(f"  {self.line()}")

    def stop(self) -> None:
        self._beat.stop()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def printed(shown: Progress | None, text: str) -> bool:
    """Print a line above a bar; whether there was one."""
    if shown is None:
        return False
    shown.console.print(text, markup=False, highlight=False, soft_wrap=True)
    return True
