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

from .connection import Line, Wire

T = TypeVar("T")
Group = tuple[Hashable, Sequence[int]]


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
        groups: Sequence[Group],
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

        active = queue.deal(self._lanes)
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
    """Groups that wait. Each lane begins with one of its own, if it can with the picture that it
    holds; what is left goes to whoever is free."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups, self._lock = groups, threading.Lock()
        self._first: dict[int, Group] = {}
        self.ended = False

    def deal(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Give lanes their first groups -> the lanes that got one."""
        for fits in (lambda group, lane: group[0] == lane.holds, lambda group, lane: True):
            for lane in lanes:
                found = next((i for i, group in enumerate(self._groups) if fits(group, lane)), None)
                if lane.number not in self._first and found is not None:
                    self._first[lane.number] = self._groups.pop(found)
        return [lane for lane in lanes if lane.number in self._first]

    def take(self, lane: Lane) -> Group | None:
        """The lane's next group; None when all is done or has ended."""
        with self._lock:
            if self.ended:
                return None
            own = self._first.pop(lane.number, None)
            return own or (self._groups.pop(0) if self._groups else None)

    def end(self) -> None:
        with self._lock:
            self.ended = True
