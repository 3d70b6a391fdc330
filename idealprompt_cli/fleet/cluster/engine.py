"""An engine whose requests are answered by the workers of a cluster.

An image belongs to one worker for the whole run, so that it is encoded once; the others of a run
(search, racing, budget, journal) know nothing of it. Where a worker is lost, its images are given
to those that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...core.errors import ImageError, ModelError
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ...io.files import read_bytes
from ...io.images import content_hash
from ..account import BoxAccount
from .pool import Worker, WorkerPool
from .wire import Question, SentFile, digested, key_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

R = TypeVar("R", ScoreRequest, GenerateRequest)
Key = tuple[str, ...]
_MOST_BYTES = 1 << 30
"""Bytes of an image."""


class ClusterEngine:
    """An `Engine` on workers. `texts` maps the text fields that workers find in their own folders
    to digests; `sendable`: whether images of the task may travel."""

    def __init__(self, pool: WorkerPool, texts: dict[str, str], sendable: bool) -> None:
        self._pool, self._texts, self._sendable = pool, texts, sendable
        self._home: dict[Key, str] = {}
        self._paths: dict[str, Path] = {}
        self._task_images: frozenset[str] = frozenset()
        self._beginnings: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        self._tokens: dict[tuple[Message, ...], int] = {}
        self._info = next(iter(pool.workers.values())).opened.info
        self._closed = False

    # --- Engine -----------------------------------------------------------------------------------

    def info(self) -> ModelInfo:
        """The workers' model; `n_ctx` is the largest of theirs."""
        if not self._closed and self._pool.workers:
            found = self._pool.ask_all("info").values()
            self._info = max(found, key=lambda info: info.n_ctx, default=self._info)
        return self._info

    def count_tokens(self, messages: Sequence[Message]) -> int:
        key = tuple(messages)
        if key not in self._tokens:
            self._tokens[key] = self._pool.ask("count_tokens", key)
        return self._tokens[key]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return self._answered("score", requests)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        return self._answered("generate", requests)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._pool.close()

    # --- Accountable ------------------------------------------------------------------------------

    def stats(self) -> dict[str, float]:
        """The sums over the workers that are there, and bytes of questions and answers."""
        total: dict[str, float] = {}
        for name, found in self._pool.ask_all("stats").items():
            self._pool.accounts[name].encoded = int(found.get("images_encoded", 0))
            for key, value in found.items():
                total[key] = total.get(key, 0) + value
        total["bytes_sent"] = sum(box.sent for box in self.boxes())
        total["bytes_received"] = sum(box.received for box in self.boxes())
        return total

    def encoded(self, images: Sequence[Path]) -> int:
        """How many of these images a worker has encoded."""
        known = {one for worker in self._pool.workers.values() for one in worker.holding.encoded}
        return sum(content_hash(image) in known for image in images)

    def check(self) -> str:
        """The first reason for which a worker's batched backend is off, or ""."""
        return next((why for why in self._pool.ask_all("check").values() if why), "")

    def reasons(self) -> tuple[str, ...]:
        count = len(self._pool.workers)
        return (f"{count} workers" if count != 1 else "1 worker",)

    def boxes(self) -> tuple[BoxAccount, ...]:
        """Every worker's account, those left out included."""
        return tuple(self._pool.accounts.values())

    # --- further abilities ------------------------------------------------------------------------

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """See `Distinguishes`; asked once for each prefill and options."""
        key = (prefill, options)
        if key not in self._beginnings:
            found = self._pool.ask("beginnings", messages, prefill, options)
            self._beginnings[key] = options if found is None else found
        return self._beginnings[key]

    # --- sharing the work -------------------------------------------------------------------------

    def belongs(self, images: Sequence[Path]) -> None:
        """The images of the task: they travel only if that is allowed."""
        self._task_images = frozenset(content_hash(image) for image in images)

    def _answered(self, operation: str, requests: Sequence[R]) -> list[Any]:
        if self._closed:
            raise ModelError("the cluster is closed; open it again")
        self._pool.refresh()
        for request in requests:
            self._paths |= {content_hash(image): image for image in request.images}
        travelling = [digested(request, self._texts) for request in requests]
        answers: list[Any] = [None] * len(requests)
        waiting = list(range(len(requests)))
        while waiting:
            shares = self._shares(travelling, waiting)
            questions = {
                name: self._share(name, operation, [travelling[i] for i in own])
                for name, own in shares.items()
            }
            for name, reply in self._pool.run(questions).items():
                self._pool.workers[name].account.requests += len(shares[name])
                for place, answer in zip(shares[name], reply.value, strict=True):
                    answers[place] = answer
            waiting = [i for i in waiting if answers[i] is None]
        return answers

    def _shares(self, requests: Sequence[R], waiting: Sequence[int]) -> dict[str, list[int]]:
        """Worker -> the requests that it is asked, in their order."""
        shares: dict[str, list[int]] = {}
        load: dict[str, int] = {}
        for place in waiting:
            name = self._worker_for(key_of(requests[place]), load)
            shares.setdefault(name, []).append(place)
        return shares

    def _worker_for(self, key: Key, load: dict[str, int]) -> str:
        """The worker that a key belongs to. A new key goes to a worker that has its images, if one
        has them encoded to that one, else to the one with the fewest new keys of this call."""
        self._pool.need_one()
        workers = self._pool.workers
        home = self._home.get(key)
        if home is None or home not in workers:
            fitting = [one for one in workers.values() if self._has(one, key)]
            if not fitting and not self._may_travel(key):
                missing = next(one for one in key if one in self._task_images)
                raise ImageError(
                    f"{self._paths[missing]}: no worker has this image: copy the task folder to "
                    "the workers, or add --send-pictures"
                )
            chosen = min(
                fitting or list(workers.values()),
                key=lambda one: (load.get(one.name, 0), one.account.images, one.name),
            )
            home = self._home[key] = chosen.name
            load[home] = load.get(home, 0) + 1
            chosen.account.images += bool(key and key[0] in self._paths)
        return home

    def _has(self, worker: Worker, key: Key) -> bool:
        """Whether a worker has the images of a key in its own folder."""
        images = [one for one in key if one in self._paths]
        lacking = worker.holding.lacking
        return all(one in self._task_images and one not in lacking for one in images)

    def _may_travel(self, key: Key) -> bool:
        return self._sendable or not any(one in self._task_images for one in key)

    def _share(self, name: str, operation: str, requests: Sequence[R]) -> Question:
        used = [str(image) for request in requests for image in request.images]
        return self._question(name, operation, list(requests), used)

    def _question(self, name: str, operation: str, argument: Any, used: Sequence[str]) -> Question:
        """A question with the images that the worker lacks and was not sent yet."""
        worker = self._pool.workers[name]
        files = {}
        for digest in dict.fromkeys(used):
            has = digest in self._task_images and digest not in worker.holding.lacking
            if not has and digest not in worker.sent_files:
                path = self._paths[digest]
                files[digest] = SentFile(path.name, read_bytes(path, ImageError, _MOST_BYTES))
                worker.sent_files.add(digest)
        return Question(operation, (argument,), files)


class EmbeddingClusterEngine(ClusterEngine):
    """The same where the workers' engine has image embeddings."""

    def embed(self, images: Sequence[Path]) -> NDArray[np.float32]:
        """(images, width): see `Embeds`."""
        import numpy as np

        hashes = [content_hash(image) for image in images]
        self._paths |= dict(zip(hashes, images, strict=True))
        rows: dict[str, Any] = {}
        while missing := [one for one in dict.fromkeys(hashes) if one not in rows]:
            shares: dict[str, list[str]] = {}
            for one in missing:
                shares.setdefault(self._worker_for((one,), {}), []).append(one)
            questions = {
                name: self._question(name, "embed", own, own) for name, own in shares.items()
            }
            for name, reply in self._pool.run(questions).items():
                rows |= dict(zip(shares[name], reply.value, strict=True))
        return np.stack([rows[one] for one in hashes])
