"""Messages and progress on stderr, and which way of showing progress suits the stream. What is
shown of a run is in `progress`, how a bar is drawn in `reflection_view`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from ..core.events import Event, HeldOutFinished, HeldOutProgress, HeldOutStarted, SilentObserver
from ..core.interfaces import Observer
from ..io.terminal import printable
from .formats.base import Screen
from .pace import Counter
from .progress import BarObserver, LineObserver


class Console:
    """Where messages are written. `level` is -1 (quiet: errors only), 0, or 1 (every trial)."""

    def __init__(self, level: int = 0, stream: TextIO | None = None) -> None:
        self.level = level
        self._stream = stream
        self._bar: BarObserver | None = None
        self._lines: LineObserver | None = None
        self._counter: Counter | None = None

    @property
    def stream(self) -> TextIO:
        return self._stream or sys.stderr

    def say(self, text: str) -> None:
        """A notice, unless the user asks for quiet."""
        if self.level >= 0:
            self.write(text)

    def detail(self, text: str) -> None:
        """Something that only -v shows."""
        if self.level > 0:
            self.write(text)

    def write(self, text: str) -> None:
        """A line, above the bar if there is one."""
        text = printable(text)
        shown = (self._bar, self._counter)
        if not any(bar is not None and bar.print_above(text) for bar in shown):
            print(text, file=self.stream, flush=True)

    def observer(self, clock: Callable[[], float] = time.monotonic, bar: bool = True) -> Observer:
        """The listener that suits the stream and the level; `bar` False where a person types."""
        if self.level < 0:
            return SilentObserver()
        if bar and self.level == 0 and is_terminal(self.stream):
            self._bar = BarObserver(self, clock)
            return _RunObserver(self, self._bar)
        self._lines = LineObserver(self, clock)
        return _RunObserver(self, self._lines)

    @contextmanager
    def counting(
        self, what: str, total: int, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[Callable[[int], None]]:
        """Shows how many of `total` answers are there; gives what adds to them."""
        if self.level < 0:
            yield lambda count: None
            return
        self._counter = Counter(self, what, total, is_terminal(self.stream), clock)
        self._counter.start()
        try:
            yield self._counter.add
        finally:
            self._counter.stop()

    def close(self) -> None:
        """Take the bar away, whatever happened."""
        for shown in (self._bar, self._lines, self._counter):
            if shown is not None:
                shown.stop()


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is likely to watch the stream as it comes."""
    return _has_columns(stream) and os.environ.get("TERM") != "dumb"


def _has_columns(stream: TextIO) -> bool:
    """Whether the stream ends on a screen, be it one that cannot move its cursor."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def screen_of(stream: TextIO) -> Screen:
    """Columns and colour for text that is printed on a stream."""
    if not _has_columns(stream):
        return Screen()
    width = min(shutil.get_terminal_size().columns, 120)
    return Screen(width=width, colour=is_terminal(stream) and "NO_COLOR" not in os.environ)


class _RunObserver:
    """Shows a run by a bar or lines, and its held-out test by a counter."""

    def __init__(self, console: Console, shown: BarObserver | LineObserver) -> None:
        self._console, self._shown = console, shown
        self._test: ExitStack | None = None
        self._add: Callable[[int], None] | None = None

    def notify(self, event: Event) -> None:
        match event:
            case HeldOutStarted():
                self._console.say(f"Now both prompts on the {event.examples} held-out examples.")
                self._test = ExitStack()
                counting = self._console.counting("held-out examples", event.answers)
                self._add = self._test.enter_context(counting)
            case HeldOutProgress():
                if self._add is not None:
                    self._add(event.answers)
            case HeldOutFinished():
                if self._test is not None:
                    self._test.close()
            case _:
                self._shown.notify(event)
