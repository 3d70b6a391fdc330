"""Encoded pictures on disk: a second search on the same pictures encodes nothing.

One file per embedding, named by content, under a folder named for the projector's weights and the
library version (its preprocessing). Files are written whole and carry a checksum; several
processes may share the folder; what is damaged or gone is simply encoded again.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import numpy as np

from .remember import write_whole
from .vision import Embedding

_MAGIC = b"ipemb1\0\0"
_HEADER = struct.Struct("<8s16sII")
_SWEEP_TO = 0.8


class DiskEmbeddings:
    """Embeddings by name below `root/embeddings/`, at most `limit` bytes for all models
    together; the least recently used go first."""

    def __init__(self, root: Path, model: str, limit: int) -> None:
        self._root = root / "embeddings"
        self._folder = self._root / model
        self._limit = limit
        self._used: int | None = None

    def get(self, key: str) -> Embedding | None:
        """The embedding (n_tokens, width), or None if it is not there or not sound."""
        path = self._folder / f"{key}.emb"
        try:
            data = path.read_bytes()
        except OSError:
            return None
        embedding = _unpack(data)
        try:
            if embedding is None:
                path.unlink(missing_ok=True)
            else:
                os.utime(path)
        except OSError:
            pass
        return embedding

    def put(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding; sweeps old ones out when the limit is passed."""
        data = _pack(embedding)
        if len(data) > self._limit or not write_whole(self._folder / f"{key}.emb", data):
            return
        if self._used is None:
            self._used = sum(size for _, size, _ in self._files())
        else:
            self._used += len(data)
        if self._used > self._limit:
            self._sweep()

    def _sweep(self) -> None:
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used <= self._limit * _SWEEP_TO:
                break
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue
            used -= size
        self._used = used

    def _files(self) -> list[tuple[float, int, Path]]:
        """(last use, bytes, path) of everything kept; files that vanish meanwhile are skipped."""
        found = []
        for path in self._root.glob("*/*.emb"):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found


def _pack(embedding: Embedding) -> bytes:
    body = np.ascontiguousarray(embedding, np.float32).tobytes()
    digest = hashlib.blake2b(body, digest_size=16).digest()
    return _HEADER.pack(_MAGIC, digest, *embedding.shape) + body


def _unpack(data: bytes) -> Embedding | None:
    if len(data) < _HEADER.size:
        return None
    magic, digest, rows, columns = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if magic != _MAGIC or len(body) != rows * columns * 4:
        return None
    if hashlib.blake2b(body, digest_size=16).digest() != digest:
        return None
    return np.frombuffer(body, np.float32).reshape(rows, columns)
