"""The disk cache: image embeddings, and prefix states that take long to compute.

One file per entry, named by content, in a folder named for what it depends on. Files are replaced
atomically and carry a checksum; several processes may share the folder; damaged or missing entries
are computed again. All kinds together stay below one limit: the least recently used go first.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....io.files import open_file, remove_leftovers, try_write
from ..native.sequence_state import SequenceState, allocate, from_disk
from ..native.vision import Embedding
from ..scheduling.request_plan import Key

_MAGIC = b"ipcache2"
_HEADER = struct.Struct("<8s16sQII")
_SUFFIX = ".bin"
_SWEEP_TO = 0.8
_LARGEST = 0.25
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """A kept entry: the first `size` bytes of a buffer from `allocate`, and two numbers."""

    buffer: Bytes
    size: int
    first: int
    second: int

    @property
    def body(self) -> Bytes:
        return self.buffer[: self.size]


class DiskCache:
    """Arrays of bytes with two numbers each, by kind, model and name below `root`."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root, self._limit = root / "entries", limit
        self._used: int | None = None

    def get(self, kind: str, model: str, name: str) -> Entry | None:
        """An entry as it was put, or None if it is missing or damaged."""
        path = self._path(kind, model, name)
        try:
            with open_file(path) as file:
                found = _read(file)
            if found is None:
                _remove(path)
            else:
                os.utime(path)
        except OSError:
            return None
        return found

    def put(self, kind: str, model: str, name: str, body: Bytes, first: int, second: int) -> None:
        """Keep an entry unless it takes a large part of the limit; removes old ones when needed."""
        size = _HEADER.size + body.nbytes
        if size > self._limit * _LARGEST:
            return
        header = _HEADER.pack(_MAGIC, _digest(body), body.nbytes, first, second)
        path = self._path(kind, model, name)
        if (path.exists() and not _is_ours(path)) or not try_write(path, header, body.data):
            return
        if self._used is None:
            self._used = sum(size for _, size, _ in self._files())
        else:
            self._used += size
        if self._used > self._limit:
            self._sweep()

    def _path(self, kind: str, model: str, name: str) -> Path:
        return self._root / f"{kind}-{model}" / f"{name}{_SUFFIX}"

    def _sweep(self) -> None:
        """Remove the oldest entries, and leftovers of killed writers in folders of other models."""
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= self._limit * _SWEEP_TO:
                break
            if _remove(path):
                used -= size
        self._used = used
        for folder in self._root.glob("*"):
            remove_leftovers(folder)

    def _files(self) -> list[tuple[float, int, Path]]:
        """(last use, bytes, path) of all entries; files that vanish meanwhile are skipped."""
        found = []
        for path in self._root.glob(f"*/*{_SUFFIX}"):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found


class DiskEmbeddings:
    """Image embeddings of one projector; `model` identifies its weights and preprocessing."""

    def __init__(self, cache: DiskCache, model: str) -> None:
        self._cache, self._model = cache, model

    def get(self, key: str) -> Embedding | None:
        """The embedding (n_tokens, width) float32, or None."""
        found = self._cache.get("pictures", self._model, key)
        if found is None:
            return None
        if found.first * found.second * 4 != found.size:
            return None
        return found.body.view(np.float32).reshape(found.first, found.second)

    def put(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding (n_tokens, width)."""
        body = np.ascontiguousarray(embedding, np.float32)
        rows, columns = body.shape
        self._cache.put(
            "pictures", self._model, key, body.reshape(-1).view(np.uint8), rows, columns
        )


class DiskStates:
    """Prefix states; `model` identifies the model and the settings that they depend on."""

    seconds_per_byte = 1 / 400e6
    """Reading, checking and loading: a conservative start for a solid-state disk, updated by
    measurements."""
    _SECONDS = 1e-3
    _GAIN = 2.0

    def __init__(self, cache: DiskCache, model: str) -> None:
        self._cache, self._model = cache, model

    def get(self, key: Key) -> SequenceState | None:
        """The state, or None."""
        started = time.perf_counter()
        found = self._cache.get("prefixes", self._model, _name(key))
        if found is None:
            return None
        seconds = time.perf_counter() - started - self._SECONDS
        measured = max(seconds, 0.0) / found.size
        self.seconds_per_byte += 0.2 * (measured - self.seconds_per_byte)
        return from_disk(found.buffer, found.size, found.first)

    def put(self, key: Key, state: SequenceState) -> None:
        """Keep a state."""
        self._cache.put("prefixes", self._model, _name(key), state.content, state.slots, 0)

    def pays(self, n_bytes: int, seconds: float) -> bool:
        """Whether reading a state of this size is faster than the `seconds` of computing it."""
        return seconds > self._GAIN * (self._SECONDS + n_bytes * self.seconds_per_byte)


def _name(key: Key) -> str:
    return key.hex() if isinstance(key, bytes) else key


def _digest(body: Bytes) -> bytes:
    return hashlib.blake2b(body.data, digest_size=16).digest()


def _read(file: BufferedReader | BytesIO) -> Entry | None:
    """An entry, None if it is damaged."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, digest, size, first, second = _HEADER.unpack(header)
    if magic != _MAGIC or size != os.fstat(file.fileno()).st_size - _HEADER.size:
        return None
    entry = Entry(allocate(size), size, first, second)
    if file.readinto(entry.body.data) != size or _digest(entry.body) != digest:
        return None
    return entry


def _remove(path: Path) -> bool:
    """Remove an entry; a file that is not ours stays."""
    try:
        if ours := _is_ours(path):
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return ours


def _is_ours(path: Path) -> bool:
    """Whether a file starts like an entry."""
    try:
        with open_file(path) as file:
            return _MAGIC.startswith(file.read(len(_MAGIC)))
    except OSError:
        return False
