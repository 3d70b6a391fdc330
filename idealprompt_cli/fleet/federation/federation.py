"""The boxes of a federation as the coordinator sees them: asked together, left out when lost."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...core.errors import ModelError, TaskError, UsageError
from ...core.interfaces import Notice
from ...core.requests import ModelInfo
from ..account import BoxAccount
from ..network import TlsFiles
from .box import PROTOCOL, Box
from .comm import BoxAddress, Link, Lost

_SLOWER = 4.0
"""A box is slow after the patience and so many times what the slowest other one took."""


class BoxesLost(Exception):
    """Boxes that were left out while they were asked; the run starts again without them, from what
    is in its journal."""


class Transport(Protocol):
    """Brings questions to boxes."""

    def ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        """The answers, or why there is none, of all boxes that were asked."""


@dataclass(frozen=True)
class InProcess:
    """A transport to boxes in this process, by name: for simulations and tests."""

    boxes: Mapping[str, Box]

    def ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        return {name: self.boxes[name].ask(data) for name, data in questions.items()}


class Network:
    """A transport over Dask's comms, in an event loop of its own. Made by `network`."""

    def __init__(self, addresses: Sequence[BoxAddress], tls: TlsFiles, patience: float) -> None:
        self._patience = patience
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._links = {one.name: Link(one, tls, patience) for one in addresses}

    def ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        return asyncio.run_coroutine_threadsafe(self._ask(questions), self._loop).result()

    async def _ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        started = time.monotonic()
        tasks = {
            name: asyncio.ensure_future(self._links[name].ask(data))
            for name, data in questions.items()
        }
        waiting, longest = set(tasks.values()), 0.0
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
            )
            now = time.monotonic() - started
            longest = now if done else longest
            if waiting and longest and now > self._patience + _SLOWER * longest:
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                break
        return {name: self._result(name, task) for name, task in tasks.items()}

    def _result(self, name: str, task: asyncio.Future[bytes]) -> bytes | Lost:
        if task.cancelled():
            self._links[name].close()
            return Lost("takes much longer than the others")
        error = task.exception()
        if error is None:
            return task.result()
        return error if isinstance(error, Lost) else Lost(str(error) or type(error).__name__)

    def close(self) -> None:
        for link in self._links.values():
            self._loop.call_soon_threadsafe(link.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()


@contextmanager
def network(addresses: Sequence[BoxAddress], tls: TlsFiles, patience: float) -> Iterator[Network]:
    """Connections to boxes, closed at the end."""
    made = Network(addresses, tls, patience)
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class BoxFacts:
    """What a box reports. `sizes` are the examples in each group by split, `sigma` the
    noise on each sum, `data` a name that changes with its examples."""

    name: str
    question: str
    labels: tuple[str, ...]
    metric: str
    language: str
    images: int
    fields: tuple[str, ...]
    model: ModelInfo
    build: str
    sizes: Mapping[str, tuple[int, ...]]
    policy: str
    sigma: float
    drafts: bool
    data: str

    @property
    def common(self) -> dict[str, object]:
        """What must be the same on every box, by what it is called."""
        return {
            "question": self.question,
            "labels": self.labels,
            "metric": self.metric,
            "model": self.model.fingerprint,
            "quantisation": self.model.quantisation,
            "build of llama.cpp": self.build.partition("-")[0],
        }


@dataclass
class Federation:
    """The boxes that take part, by name. Made by `joined`."""

    transport: Transport
    say: Notice
    boxes: dict[str, BoxFacts] = field(default_factory=dict)
    accounts: dict[str, BoxAccount] = field(default_factory=dict)

    @property
    def first(self) -> BoxFacts:
        return next(iter(self.boxes.values()))

    def ask(self, operation: str, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The answers of all boxes that were asked. Raises `BoxesLost`, after the boxes were left
        out, where one gave none, and `ModelError` where no box is left."""
        values, lost = self._asked(operation, questions)
        for name, why in lost.items():
            self._leave_out(name, why)
        if not self.boxes:
            raise ModelError("no box is left: what was computed is kept: resume with --resume")
        if lost:
            raise BoxesLost
        return values

    def _asked(
        self, operation: str, questions: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Values by box, and for the others what is wrong."""
        packed = {
            name: json.dumps({"op": operation, **question}, separators=(",", ":")).encode()
            for name, question in questions.items()
        }
        values: dict[str, Any] = {}
        lost: dict[str, str] = {}
        for name, reply in self.transport.ask(packed).items():
            account = self.accounts.setdefault(name, BoxAccount(name))
            account.sent += len(packed[name])
            if isinstance(reply, Lost):
                lost[name] = str(reply)
                continue
            account.received += len(reply)
            try:
                answer = json.loads(reply)
                account.seconds += float(answer["seconds"])
                if "ok" in answer:
                    values[name] = answer["ok"]
                else:
                    lost[name] = f"refused: {str(answer['error'])[:300]}"
            except (ValueError, KeyError, TypeError):
                lost[name] = "gave an answer that is none"
        return values, lost

    def _leave_out(self, name: str, why: str) -> None:
        self.boxes.pop(name, None)
        self.accounts[name].state = "left out"
        count = len(self.boxes)
        rest = "1 box continues" if count == 1 else f"{count} boxes continue"
        self.say(f"Box {name} {why}: left out, {rest}.")

    def join(self, names: Sequence[str]) -> None:
        """Ask boxes what they are and take in those that agree with the first. Raises `TaskError`
        where fewer than one is left."""
        values, lost = self._asked("describe", {name: {} for name in names})
        for name in names:
            problem = lost.get(name, "")
            if not problem:
                try:
                    facts = _facts(name, values[name])
                    problem = self._problem(facts)
                except (KeyError, TypeError, ValueError, AttributeError):
                    problem = "is of another release: install the same idealprompt"
            if not problem:
                self.boxes[name] = facts
                continue
            self.accounts[name].state = "refused"
            self.say(f"Box {name} {problem}: left out.")
        if not self.boxes:
            raise TaskError("no box can take part: see the lines above")

    def _problem(self, facts: BoxFacts) -> str:
        """What is wrong with a box, or ""."""
        if not facts.sizes["train"]:
            return f"has too few examples for a group ({facts.policy})"
        if self.boxes:
            own, first = facts.common, self.first.common
            for what in first:
                if own[what] != first[what]:
                    return f"has another {what} ({own[what]}, {self.first.name} has {first[what]})"
        return ""


def _facts(name: str, data: Mapping[str, Any]) -> BoxFacts:
    if data["protocol"] != PROTOCOL:
        raise ValueError("another protocol")
    model = dict(data["model"])
    build = str(model.pop("build"))
    known = {key: model[key] for key in ("engine", "name", "fingerprint", "architecture", "family",
                                         "quantisation", "n_ctx", "mode")}  # fmt: skip
    return BoxFacts(
        name=name,
        question=str(data["question"]),
        labels=tuple(map(str, data["labels"])),
        metric=str(data["metric"]),
        language=str(data["language"]),
        images=int(data["images"]),
        fields=tuple(map(str, data["fields"])),
        model=ModelInfo(**known),
        build=build,
        sizes={split: tuple(map(int, own)) for split, own in data["groups"].items()},
        policy=str(data["policy"]),
        sigma=float(data["sigma"]),
        drafts=bool(data["drafts"]),
        data=str(data["data"]),
    )


def check_names(names: Sequence[str]) -> None:
    """Raise `UsageError` for names that are used twice or cannot be part of an id."""
    for name in names:
        if not name or "/" in name or names.count(name) > 1:
            raise UsageError(f"the box name {name!r}: give each box a name of its own without /")
