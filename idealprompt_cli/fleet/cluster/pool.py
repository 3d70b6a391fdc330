"""The workers of a cluster: opening them, asking them, doing without those that fail.

A worker that died, froze, raised an error of its own machine (a full disk, no memory) or took far
longer than the others is left out and its share asked of the others. A worker that comes back under
the same name (Dask's nanny starts a dead one again) replaces it. Each such step is stated.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.errors import IdealPromptError, ModelError
from ...core.interfaces import Notice
from ...io.files import reason
from ..account import BoxAccount
from .agreement import check_same
from .model_files import WantedModel
from .wire import Question, Reply, packed, unpacked
from .worker import Holding, Opened, WantedTask, WorkerEngine

if TYPE_CHECKING:
    from distributed import Client

LABEL = "idealprompt"
"""Dask's resource label: where any worker has it, only such workers are used."""
_POLL, _LONGEST_POLL, _OPENING_POLL = 0.001, 0.02, 0.1
_HEALTH_EVERY = 1.0
_SECONDS_TO_CLOSE = 2.0
_SILENT = 30.0
"""A worker that was silent for so many seconds is not opened."""
_SECONDS_TO_OPEN = 120.0
"""For a worker process to start and to import this package; opening the model is not limited."""
_SLOWER = 2.0
"""A worker is slow after the patience and so many times what the slowest other one took."""


@dataclass
class Worker:
    """A worker that has the model open."""

    name: str
    address: str
    actor: Any
    opened: Opened
    holding: Holding
    account: BoxAccount
    sent_files: set[str] = field(default_factory=set)


@dataclass
class _Opening:
    """A worker that is being opened: the future of its actor, then that of its answers."""

    name: str
    address: str
    actor: Any = None
    future: Any = None


class WorkerPool:
    """All workers by name. Made by `open`."""

    def __init__(
        self,
        client: Client,
        model: WantedModel,
        task: WantedTask,
        patience: float,
        say: Notice,
        local: bool = False,
    ) -> None:
        self.workers: dict[str, Worker] = {}
        self.accounts: dict[str, BoxAccount] = {}
        self._client = client
        self._model, self._task = model, task
        self._patience, self._say, self._local = patience, say, local
        self._opening: dict[str, _Opening] = {}
        self._refused: set[str] = set()
        self._lost = False

    def open(self) -> None:
        """Open every worker of the cluster. Raises `ModelError` where none can be used."""
        problems = []
        found = self._seen()
        if not found:
            raise ModelError("the cluster has no workers: start one with dask worker")
        starting = [self._start(name, address) for name, address in found.items()]
        for one in starting:
            problem = self._finish(one)
            if problem:
                problems.append(problem)
        if not self.workers:
            raise ModelError(f"no worker can be used: {problems[0]}")
        for problem in problems:
            self._say(f"{problem}: left out.")

    def refresh(self) -> None:
        """Take in workers that came back, as far as they are ready."""
        if not self._lost:
            return
        for name, address in self._seen().items():
            if name not in self.workers and name not in self._opening:
                self._opening[name] = self._start(name, address)
        for name, one in list(self._opening.items()):
            if one.future is None or one.future.done():
                del self._opening[name]
                problem = self._finish(one)
                self._say(f"{problem}: left out." if problem else f"Worker {name} was replaced.")
        self._lost = len(self.workers) < len(self.accounts)

    def run(self, questions: Mapping[str, Question]) -> dict[str, Reply]:
        """Ask workers, each one question; the replies of those that answered. Raises the error of
        a reply that any machine would give."""
        started = time.monotonic()
        pending = {name: self._send(name, question) for name, question in questions.items()}
        replies: dict[str, Reply] = {}
        longest, pause, checked = 0.0, _POLL, started
        while pending:
            for name in [name for name, future in pending.items() if future.done()]:
                reply = self._received(name, pending.pop(name))
                if reply is not None:
                    replies[name], pause = reply, _POLL
                    longest = time.monotonic() - started
            now = time.monotonic()
            if pending and now - checked >= _HEALTH_EVERY:
                checked = now
                late = bool(replies) and now - started > self._patience + _SLOWER * longest
                for name in self._unwell(list(pending), late):
                    del pending[name]
            if pending:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_POLL)
        for reply in replies.values():
            if reply.error is not None:
                raise reply.error
        return replies

    def ask(self, operation: str, *arguments: Any) -> Any:
        """The answer of one worker, whichever is there. Raises `ModelError` where none is left."""
        while True:
            self.need_one()
            name = next(iter(self.workers))
            replies = self.run({name: Question(operation, arguments)})
            if name in replies:
                return replies[name].value

    def ask_all(self, operation: str, *arguments: Any) -> dict[str, Any]:
        """The answer of every worker by name."""
        questions = {name: Question(operation, arguments) for name in self.workers}
        return {name: reply.value for name, reply in self.run(questions).items()}

    def delay(self, name: str) -> float:
        """Seconds until a worker answers a question that needs no work, the best of three."""
        delays = []
        for _ in range(3):
            started = time.monotonic()
            self.run({name: Question("info", ())})
            delays.append(time.monotonic() - started)
        return min(delays)

    def need_one(self) -> None:
        """Wait for a worker that comes back where none is left. Raises `ModelError` where none
        does."""
        end = time.monotonic() + _SECONDS_TO_OPEN
        while not self.workers:
            if time.monotonic() > end or not self._lost:
                raise ModelError(
                    "no worker is left: what was computed is kept: start workers and use --resume"
                )
            self.refresh()
            time.sleep(_LONGEST_POLL)

    def close(self) -> None:
        """Free the models of all workers; one that does not answer is left to Dask."""
        closing = []
        for worker in self.workers.values():
            with contextlib.suppress(Exception):
                closing.append(worker.actor.ask(packed(Question("close", ()))))
        self.workers.clear()
        end = time.monotonic() + _SECONDS_TO_CLOSE
        while time.monotonic() < end and not all(future.done() for future in closing):
            time.sleep(_LONGEST_POLL)

    # --- opening ----------------------------------------------------------------------------------

    def _listed(self) -> dict[str, Any]:
        """Address -> what the scheduler knows of a worker. The client's own `scheduler_info` may
        give a cached answer without workers."""
        scheduler: Any = self._client.scheduler
        found: dict[str, Any] = self._client.sync(scheduler.identity, n_workers=-1)["workers"]
        return found

    def _seen(self) -> dict[str, str]:
        """Name -> address of the workers that Dask knows and that were not refused."""
        found = self._listed()
        labelled = any(LABEL in one["resources"] for one in found.values())
        return {
            str(one["name"]): address
            for address, one in sorted(found.items(), key=lambda item: str(item[1]["name"]))
            if (not labelled or LABEL in one["resources"])
            and address not in self._refused
            and time.time() - one["last_seen"] < max(_SILENT, self._patience)
        }

    def _start(self, name: str, address: str) -> _Opening:
        made = self._client.submit(
            WorkerEngine, name, actor=True, workers=[address], allow_other_workers=False, pure=False
        )
        return _Opening(name, address, made)

    def _finish(self, one: _Opening) -> str:
        """Open the model of a worker; what is wrong with it, or ""."""
        account = self.accounts.setdefault(one.name, BoxAccount(one.name))
        try:
            actor = self._made(one)
            opened = self._opened(actor, Question("open", (self._model,)))
            holding = self._opened(actor, Question("look", (self._task,)))
            check_same(one.name, opened, [worker.opened for worker in self.workers.values()])
        except IdealPromptError as error:
            self._refused.add(one.address)
            account.state = "refused"
            return str(error)
        except Exception as error:
            self._refused.add(one.address)
            account.state = "refused"
            return f"worker {one.name} cannot be opened ({_why(error)})"
        account.state = "ready"
        self.workers[one.name] = Worker(one.name, one.address, actor, opened, holding, account)
        return ""

    def _made(self, one: _Opening) -> Any:
        """The actor, once the worker has imported this package. Raises `OSError` where the worker
        goes away meanwhile; a new one of that name may come."""
        end = time.monotonic() + _SECONDS_TO_OPEN
        while not one.actor.done():
            time.sleep(_OPENING_POLL)
            known = self._listed()
            if time.monotonic() > end or one.address not in known:
                self._lost = True
                raise OSError("it went away")
        return one.actor.result()

    def _opened(self, actor: Any, question: Question) -> Any:
        reply: Reply = unpacked(actor.ask(packed(question)).result())
        if reply.error is not None:
            raise reply.error
        return reply.value

    # --- asking -----------------------------------------------------------------------------------

    def _send(self, name: str, question: Question) -> Any:
        data = packed(question)
        self.workers[name].account.sent += len(data)
        return self.workers[name].actor.ask(data)

    def _received(self, name: str, future: Any) -> Reply | None:
        """The reply; None, and the worker is left out, where it failed."""
        try:
            data = future.result()
        except Exception as error:
            self._leave_out(name, f"failed ({_why(error)})")
            return None
        reply: Reply = unpacked(data)
        account = self.workers[name].account
        account.received += len(data)
        account.seconds += reply.seconds
        return reply

    def _unwell(self, names: Sequence[str], late: bool) -> list[str]:
        """Those of the workers that will not answer, which are left out."""
        found = self._listed()
        left = []
        for name in names:
            seen = found.get(self.workers[name].address)
            silent = time.time() - seen["last_seen"] if seen else 0.0
            if seen is None:
                self._leave_out(name, "is gone")
            elif silent > self._patience:
                self._leave_out(name, f"gave no sign of life for {silent:.0f} seconds")
            elif late:
                self._leave_out(name, "takes much longer than the others")
            else:
                continue
            left.append(name)
        return left

    def _leave_out(self, name: str, why: str) -> None:
        worker = self.workers.pop(name)
        worker.account.state = "left out"
        self._lost = True
        self._refused.add(worker.address)  # not this process again; a new one has a new address
        rest = len(self.workers)
        others = "1 worker continues" if rest == 1 else f"{rest} workers continue"
        self._say(f"Worker {name} {why}: left out, {others}.")
        threading.Thread(target=self._restart, args=(worker,), daemon=True).start()

    def _restart(self, worker: Worker) -> None:
        """Have Dask's nanny start the worker again, if it has one: it does so when a process of
        ours dies; of another machine's it is asked to."""
        with contextlib.suppress(Exception):
            if self._local:
                os.kill(worker.opened.pid, signal.SIGKILL)
            else:
                self._client.restart_workers(
                    [worker.address], timeout=_SECONDS_TO_OPEN, raise_for_error=False
                )


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return reason(error)
    return " ".join(str(error).split())[:120] or type(error).__name__
