"""Which pictures are asked about: names from the command line and stdin, and a watched folder."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import ArtifactError, ImageError, TaskError
from ..io.files import read_text

BATCH = 16
UNFINISHED = {".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart"}
_END = None


def batches(names: Iterable[str]) -> Iterator[list[str]]:
    """Names in groups: all that are at hand, up to `BATCH`; one that comes alone is not kept
    waiting."""
    waiting: queue.Queue[str | None] = queue.Queue(maxsize=4 * BATCH)
    threading.Thread(target=_feed, args=(names, waiting), daemon=True).start()
    ended = False
    while not ended:
        batch: list[str] = []
        name = waiting.get()
        while name is not _END:
            batch.append(name)
            if len(batch) == BATCH:
                break
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                break
        ended = name is _END
        if batch:
            yield batch


def given(images: Iterable[str]) -> Iterator[str]:
    """The names of the command line, with those of stdin where one is "-"."""
    for name in images:
        if name == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield name


def _feed(names: Iterable[str], waiting: queue.Queue[str | None]) -> None:
    try:
        for name in names:
            waiting.put(name)
    finally:
        waiting.put(_END)


def answered(target: str) -> frozenset[str]:
    """The pictures that a file of answers has already; those with an error are not among them."""
    if not target or not Path(target).is_file():
        return frozenset()
    found = set()
    for line in read_text(Path(target), ArtifactError, 1 << 30).splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was broken
        if isinstance(data, dict) and "error" not in data:
            found.add(str(data.get("image")))
    return frozenset(found)


# --- a watched folder ----------------------------------------------------------------------------

State = tuple[int, int]


@dataclass
class Watch:
    """The pictures in a folder and below it, each once: those that are there and those that come.

    One that is still being written is waited for: it is taken when it has not changed for `settle`
    seconds and can be opened, or when it has not changed for `patience` seconds whatever it is. One
    that is written anew is taken again. What left the folder is forgotten, so the memory holds no
    more than the folder. `done` are names that are not asked about. The wall clock is compared with
    the files' times.
    """

    folder: Path
    done: Collection[str] = ()
    every: float = 0.5
    settle: float = 1.0
    patience: float = 30.0
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _taken: dict[str, State] = field(default_factory=dict)
    _seen: dict[str, tuple[State, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise TaskError(f"{self.folder}: no such folder: name the one to watch")

    def names(self) -> Iterator[str]:
        """Without end."""
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
                        told = path.stat()
                    except OSError:
                        continue  # moved away in between
                    yield str(path), (told.st_size, told.st_mtime_ns)


def _opens(path: Path) -> bool:
    from ..io.images import open_rgb

    try:
        open_rgb(path)
    except ImageError:
        return False
    return True
