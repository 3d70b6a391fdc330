"""What runs on a worker: a Dask actor that holds the model and finds the task's images.

It opens the model from its own disk, only if the fingerprint is the coordinator's, and answers
requests with the engine that a run on one machine would use.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...core.errors import (
    ContextError,
    IdealPromptError,
    ImageError,
    ModelError,
    StorageError,
    UsageError,
)
from ...core.interfaces import Accountable, Distinguishes, Embeds, Engine
from ...core.requests import ModelInfo
from ...engines import open_engine
from ...engines.options import available_cores
from ...io.files import write_bytes
from ...io.images import content_hash
from .model_files import WantedModel, find_model, named_folders
from .wire import Question, Reply, SentFile, packed, restored, text_digest, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

TASKS = "IDEALPROMPT_TASKS"
"""Folders with copies of task folders on a worker."""


@dataclass(frozen=True)
class WantedTask:
    """A task folder and the digests of what is in it: image hash -> path in the folder, and the
    digests of the examples' text fields."""

    name: str
    root: str
    images: Mapping[str, str]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """What a worker reports after it has opened the model."""

    info: ModelInfo
    version: str
    host: str
    cores: int
    cpu: str
    embeds: bool = False
    pid: int = 0


@dataclass(frozen=True)
class Holding:
    """Which of the task a worker has: hashes of images and of texts that it lacks, and images that
    it has encoded before."""

    lacking: tuple[str, ...]
    lacking_texts: tuple[str, ...]
    encoded: tuple[str, ...]
    folder: str = ""


@dataclass
class _Folder:
    """Where the worker's images and texts are, by digest."""

    images: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class WorkerEngine:
    """The actor. `ask` is its one method: bytes in, bytes out. Errors that any machine would raise
    come back in the reply; any other one is raised, and the coordinator does without the worker."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._engine: Engine | None = None
        self._folder = _Folder()
        self._root = Path()

    def ask(self, data: bytes) -> bytes:
        """Answer a `Question`."""
        started = time.perf_counter()
        question: Question = unpacked(data)
        self._keep(question.files)
        try:
            value = getattr(self, f"_{question.operation}")(*question.arguments)
        except StorageError:
            raise
        except IdealPromptError as error:
            return packed(Reply(error=_portable(error), seconds=time.perf_counter() - started))
        return packed(Reply(value, seconds=time.perf_counter() - started))

    # --- operations -------------------------------------------------------------------------------

    def _open(self, wanted: WantedModel) -> Opened:
        if wanted.version != __version__:
            raise UsageError(
                f"worker {self._name} has idealprompt {__version__}, the coordinator "
                f"{wanted.version}: install the same version"
            )
        if self._engine is None:
            ref = find_model(wanted, self._name)
            self._engine = open_engine(wanted.engine, ref, wanted.options, lambda line: None)
        return Opened(
            self._engine.info(),
            __version__,
            socket.gethostname(),
            available_cores(),
            _cpu(),
            isinstance(self._engine, Embeds),
            os.getpid(),
        )

    def _look(self, wanted: WantedTask) -> Holding:
        """Find the task folder and what is in it."""
        folders = [Path(wanted.root)]
        folders += [folder / wanted.name for folder in named_folders(TASKS)] + named_folders(TASKS)
        found = max(folders, key=lambda folder: _found(folder, wanted.images))
        self._root = found
        self._folder.images |= dict(_images(found, wanted.images))
        if wanted.texts:
            self._folder.texts |= _texts(found)
        lacking = tuple(one for one in wanted.images if one not in self._folder.images)
        return Holding(
            lacking,
            tuple(one for one in wanted.texts if one not in self._folder.texts),
            self._encoded(),
            str(found) if len(lacking) < len(wanted.images) or not wanted.images else "",
        )

    def _encoded(self) -> tuple[str, ...]:
        engine = self._opened()
        if not isinstance(engine, Accountable):
            return ()
        known = self._folder.images
        try:
            return tuple(one for one, path in known.items() if engine.encoded([path]))
        except ModelError:  # a text-only model
            return ()

    def _score(self, requests: Sequence[Any]) -> Any:
        return self._opened().score([self._restored(one) for one in requests])

    def _generate(self, requests: Sequence[Any]) -> Any:
        return self._opened().generate([self._restored(one) for one in requests])

    def _embed(self, hashes: Sequence[str]) -> Any:
        engine = self._opened()
        if not isinstance(engine, Embeds):
            raise ModelError("the workers' engine has no image embeddings")
        return engine.embed([self._folder.images[one] for one in hashes])

    def _count_tokens(self, messages: Sequence[Any]) -> int:
        return self._opened().count_tokens(messages)

    def _beginnings(self, messages: Any, prefill: str, options: tuple[str, ...]) -> Any:
        engine = self._opened()
        if not isinstance(engine, Distinguishes):
            return None
        return engine.beginnings(messages, prefill, options)

    def _info(self) -> ModelInfo:
        return self._opened().info()

    def _stats(self) -> dict[str, float]:
        engine = self._opened()
        return dict(engine.stats()) if isinstance(engine, Accountable) else {}

    def _check(self) -> str:
        engine = self._opened()
        return engine.check() if isinstance(engine, Accountable) else ""

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()

    # --- inside -----------------------------------------------------------------------------------

    def _opened(self) -> Engine:
        if self._engine is None:
            raise ModelError(f"worker {self._name} has no model open")
        return self._engine

    def _restored(self, request: Any) -> Any:
        return restored(request, self._folder.images, self._folder.texts)

    def _keep(self, files: Mapping[str, SentFile]) -> None:
        """Keep images that came with a question in Dask's folder of this worker, which is removed
        with the worker."""
        for digest, sent in files.items():
            path = _local_folder() / "images" / digest[:16] / sent.name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_bytes(path, sent.data, StorageError)
            self._folder.images[digest] = path


def _portable(error: IdealPromptError) -> IdealPromptError:
    """The error without what cannot travel."""
    kinds = (ContextError, ImageError, UsageError, ModelError)
    kind = next((one for one in kinds if isinstance(error, one)), ModelError)
    return kind(str(error))


def _local_folder() -> Path:
    from distributed import get_worker

    return Path(get_worker().local_directory)


def _cpu() -> str:
    """Processor and instruction sets: two that differ may round differently."""
    import platform

    from ...engines.llama_cpp.setup.machine_facts import cpu_flags

    return text_digest(f"{platform.machine()} {sorted(cpu_flags())}")[:8]


# --- finding the task -----------------------------------------------------------------------------


def _images(folder: Path, images: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """(hash, path) of the task's images that are in a folder with the same content."""
    for digest, name in images.items():
        path = folder / name
        with contextlib.suppress(ImageError):
            if content_hash(path) == digest:
                yield digest, path


def _found(folder: Path, images: Mapping[str, str]) -> int:
    """How many of the images are there by name."""
    return sum((folder / name).is_file() for name in images.values()) if folder.is_dir() else -1


def _texts(folder: Path) -> dict[str, str]:
    """The text fields of the worker's own examples, by digest; none where its folder is no task."""
    from ...task import load_task

    try:
        task = load_task(folder)
    except IdealPromptError:
        return {}
    examples = (*task.train, *task.validation, *task.test)
    texts = (text for example in examples for text in example.fields.values())
    return {text_digest(text): text for text in texts}
