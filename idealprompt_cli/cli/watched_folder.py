"""The images of a watched folder: those that are there, and those that come."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import ImageError, TaskError
from ..core.interfaces import Notice

UNFINISHED = {".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart"}
State = tuple[int, int]
_MOST_SKIPPED = 1000


@dataclass
class Watch:
    """The images in a folder and its sub-folders, each once.

    A file that is still being written is not taken yet: it is taken when it has not changed for
    `settle` seconds and can be opened, or when it has not changed for `patience` seconds, whatever
    it is. A file that is rewritten is taken again. Files that left the folder are forgotten, so
    that memory is bounded by the folder. `done` are names to skip. The wall clock is compared with
    the files' modification times.
    """

    folder: Path
    done: Collection[str] = ()
    every: float = 0.5
    settle: float = 1.0
    patience: float = 30.0
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    say: Notice = lambda text: None
    _taken: dict[str, State] = field(default_factory=dict)
    _skipped: set[Path] = field(default_factory=set)
    _seen: dict[str, tuple[State, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise TaskError(f"{self.folder}: no such folder: name the folder to watch")

    def names(self) -> Iterator[str]:
        """Names as they become ready, without end."""
        while True:
            yield from self.ready()
            self.sleep(self.every)

    def ready(self) -> list[str]:
        """Names that can be asked about now, the oldest first."""
        present = dict(self._present())
        for memory in (self._taken, self._seen):
            for gone in memory.keys() - present.keys():
                del memory[gone]
        fresh = [name for name, state in present.items() if self._is_ready(name, state)]
        for name in fresh:
            self._taken[name] = present[name]
            self._seen.pop(name, None)
        return sorted(fresh, key=lambda name: (present[name][1], name))

    def _is_ready(self, name: str, state: State) -> bool:
        if self._taken.get(name) == state or name in self.done:
            return False
        now = self.clock()
        if now - state[1] / 1e9 > self.patience:
            return True
        before, since = self._seen.setdefault(name, (state, now))
        if before != state:
            self._seen[name] = (state, now)
            return False
        if now < since:  # the clock was set back
            self._seen[name] = (state, now)
        quiet = now - since
        return quiet >= self.patience or (quiet >= self.settle and _opens(Path(name)))

    def _present(self) -> Iterator[tuple[str, State]]:
        from ..task.examples import is_picture_name

        for place, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in files:
                path = Path(place) / name
                if is_picture_name(name) and path.suffix.lower() not in UNFINISHED:
                    try:
                        status = path.stat()
                    except OSError:
                        continue  # moved away in between
                    if not stat.S_ISREG(status.st_mode):
                        self._skip(path)  # a pipe or device would block
                        continue
                    yield str(path), (status.st_size, status.st_mtime_ns)

    def _skip(self, path: Path) -> None:
        if path not in self._skipped and len(self._skipped) < _MOST_SKIPPED:
            self._skipped.add(path)
            self.say(f"{path}: is a pipe or device, not an image: skipped.")


def _opens(path: Path) -> bool:
    from ..io.images import open_rgb

    try:
        open_rgb(path)
    except ImageError:
        return False
    return True
