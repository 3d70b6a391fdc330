"""A bounded number of connections that work side by side, each on one picture at a time.

A lane keeps to a picture until all requests about it are done, and gets it back in a later call:
a server that remembers what it computed last then finds the picture's part of the prompt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from .wire import Line, Wire

T = TypeVar("T")


@dataclass
class Lane:
    """One connection. `number` counts from 0; `holds` is the picture that it was on last."""

    number: int
    wire: Wire
    holds: Hashable = None


class Lanes:
    """`count` lanes to one server. The first one's wire serves calls of the caller's own thread."""

    def __init__(self, line: Line, count: int, first: Wire) -> None:
        wires = [first, *(Wire(line) for _ in range(count - 1))]
        self._lanes = [Lane(number, wire) for number, wire in enumerate(wires)]

    def run(
        self,
        groups: Sequence[tuple[Hashable, Sequence[int]]],
        work: Callable[[Lane, int], T],
        count: int,
    ) -> list[T]:
        """`work(lane, index)` for all indices of all groups -> `count` results by index. A group
        is done by one lane, in order. The first error ends all lanes and is raised."""
        queue = _Queue(list(groups))
        results: dict[int, T] = {}

        def drive(lane: Lane) -> None:
            while (group := queue.take(lane)) is not None:
                lane.holds = group[0]
                for index in group[1]:
                    if queue.ended:
                        return
                    results[index] = work(lane, index)

        active = queue.suited(self._lanes, min(len(self._lanes), len(groups)))
        for lane in active:
            lane.wire.resume()
        if len(active) == 1:
            drive(active[0])
        elif active:
            self._together(active, drive, queue)
        return [results[index] for index in range(count)]

    def close(self) -> None:
        for lane in self._lanes:
            lane.wire.close()

    def _together(self, lanes: list[Lane], drive: Callable[[Lane], None], queue: _Queue) -> None:
        with ThreadPoolExecutor(len(lanes), "idealprompt-http") as pool:
            try:
                futures = [pool.submit(drive, lane) for lane in lanes]
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                faults = [fault for future in done if (fault := future.exception())]
                if faults:
                    raise faults[0]
            except BaseException:
                queue.end()
                for lane in lanes:
                    lane.wire.abort()
                raise


class _Queue:
    """Groups that wait; each lane gets its own picture first."""

    def __init__(self, groups: list[tuple[Hashable, Sequence[int]]]) -> None:
        self._groups, self._lock = groups, threading.Lock()
        self._wanted = {group[0] for group in groups}
        self._held: set[Hashable] = set()
        self.ended = False

    def suited(self, lanes: Sequence[Lane], count: int) -> list[Lane]:
        """`count` lanes, those that hold a wanted picture first."""
        ranked = sorted(lanes, key=lambda lane: lane.holds not in self._wanted)[:count]
        self._held = {lane.holds for lane in ranked}
        return ranked

    def take(self, lane: Lane) -> tuple[Hashable, Sequence[int]] | None:
        with self._lock:
            if self.ended or not self._groups:
                return None
            own = (i for i, group in enumerate(self._groups) if group[0] == lane.holds)
            free = (i for i, group in enumerate(self._groups) if group[0] not in self._held)
            return self._groups.pop(next(own, next(free, 0)))

    def end(self) -> None:
        with self._lock:
            self.ended = True
