"""A bounded number of connections that work in parallel, each on one picture at a time.

A worker keeps a picture until all requests about it are done, and gets it again in a later call: a
server with a prefix cache then finds the picture's part of the prompt in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from .connection import Connection, Endpoint

T = TypeVar("T")
Group = tuple[Hashable, Sequence[int]]


@dataclass
class Worker:
    """One connection. `number` counts from 0; `last_key` is the picture of its last requests."""

    number: int
    connection: Connection
    last_key: Hashable = None


class ConnectionPool:
    """`count` workers for one server. The first one's connection also serves the caller."""

    def __init__(self, endpoint: Endpoint, count: int, first: Connection) -> None:
        connections = [first, *(Connection(endpoint) for _ in range(count - 1))]
        self._workers = [
            Worker(number, connection) for number, connection in enumerate(connections)
        ]

    def run(
        self,
        groups: Sequence[Group],
        work: Callable[[Worker, int], T],
        count: int,
    ) -> list[T]:
        """`work(worker, index)` for all indices of all groups -> `count` results by index. A group
        is done by one worker, in order. The first error stops all workers and is raised."""
        queue = _Queue(list(groups))
        results: dict[int, T] = {}

        def serve(worker: Worker) -> None:
            while (group := queue.take(worker)) is not None:
                worker.last_key = group[0]
                for index in group[1]:
                    if queue.ended:
                        return
                    results[index] = work(worker, index)

        active = queue.assign(self._workers)
        for worker in active:
            worker.connection.resume()
        if len(active) == 1:
            serve(active[0])
        elif active:
            self._in_parallel(active, serve, queue)
        return [results[index] for index in range(count)]

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()

    def _in_parallel(
        self, workers: list[Worker], serve: Callable[[Worker], None], queue: _Queue
    ) -> None:
        with ThreadPoolExecutor(len(workers), "idealprompt-http") as threads:
            try:
                futures = [threads.submit(serve, worker) for worker in workers]
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                faults = [fault for future in done if (fault := future.exception())]
                if faults:
                    raise faults[0]
            except BaseException:
                queue.end()
                for worker in workers:
                    worker.connection.abort()
                raise


class _Queue:
    """Waiting groups. Each worker starts with a group of its own, about its last picture where
    there is one; the rest go to whichever worker is free."""

    def __init__(self, groups: list[Group]) -> None:
        self._groups, self._lock = groups, threading.Lock()
        self._first: dict[int, Group] = {}
        self.ended = False

    def assign(self, workers: Sequence[Worker]) -> list[Worker]:
        """Give workers their first groups -> the workers that got one."""
        for fits in (lambda group, worker: group[0] == worker.last_key, lambda group, worker: True):
            for worker in workers:
                found = next(
                    (i for i, group in enumerate(self._groups) if fits(group, worker)), None
                )
                if worker.number not in self._first and found is not None:
                    self._first[worker.number] = self._groups.pop(found)
        return [worker for worker in workers if worker.number in self._first]

    def take(self, worker: Worker) -> Group | None:
        """The worker's next group; None when all is done or has ended."""
        with self._lock:
            if self.ended:
                return None
            own = self._first.pop(worker.number, None)
            return own or (self._groups.pop(0) if self._groups else None)

    def end(self) -> None:
        with self._lock:
            self.ended = True
