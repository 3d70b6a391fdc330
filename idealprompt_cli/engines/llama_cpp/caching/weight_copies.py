"""Copies of a model's weights in bfloat16, kept in the cache folder.

A copy has the values of the file, dequantised and rounded to bfloat16 (by llama.cpp's own
converter); norms and biases are as they were. It is named by the content of the file and the
library's version, written under a temporary name and renamed, and readable by this user alone. What
a killed process left is removed by the next one. The copies that were not used for longest are
removed where all together take more than a limit.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from ....core.errors import ModelError
from ....io.files import PRIVATE, reason, remove_leftovers, temporary_folder
from ...options import in_words
from ..native import library as native
from ..native.gguf_header import Header, fingerprint, read_header

LIMIT_BYTES = 8 << 30
"""Of all copies; one that alone is larger is kept as long as it is the newest."""
_SPARE = 1 << 29
"""Bytes that are left free on the disk."""
_METADATA = 1 << 24


class WeightCopies:
    """The copies below `root`, of `limit` bytes together."""

    def __init__(self, root: Path, limit: int = LIMIT_BYTES) -> None:
        self.folder, self._limit = root / "weights", limit

    def get(self, source: Header, threads: int) -> Header:
        """The copy of a file, made if there is none or a damaged one. Raises `ModelError` where it
        cannot be written."""
        path = self._path(source)
        found = _whole(path)
        if found is None:
            try:
                self._make(source, path, threads)
            except OSError as problem:
                raise ModelError(
                    f"{self.folder}: no bfloat16 copy of {source.path.name} can be written "
                    f"({reason(problem)}); set IDEALPROMPT_CACHE to another folder"
                ) from problem
            found = read_header(path, "copy of the weights")
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def has(self, source: Header) -> bool:
        """Whether there is a copy of a file, damaged or not."""
        return self._path(source).exists()

    def _path(self, source: Header) -> Path:
        return self.folder / f"{fingerprint(source.path)}-{native.version()}-bf16.gguf"

    def remove(self, copy: Header) -> None:
        """Remove a copy; the memory of who has loaded it stays valid."""
        with contextlib.suppress(OSError):
            copy.path.unlink(missing_ok=True)

    def _make(self, source: Header, path: Path, threads: int) -> None:
        """Raises `OSError`, or `ModelError` with what the library says."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        remove_leftovers(self.folder)
        self._sweep(size_of(source))
        self._check_room(source)
        with temporary_folder(self.folder) as folder:
            new = folder / path.name
            native.write_bfloat16(source.path, new, threads)
            read_header(new, "copy of the weights")  # the library may miss a full disk
            new.chmod(PRIVATE)
            _sync(new)
            new.replace(path)

    def _check_room(self, source: Header) -> None:
        needed, free = size_of(source) + _SPARE, shutil.disk_usage(self.folder).free
        if needed > free:
            raise ModelError(
                f"{self.folder}: a bfloat16 copy of {source.path.name} needs {in_words(needed)} "
                f"and {in_words(free)} are free; make room"
            )

    def _sweep(self, more: int) -> None:
        """Remove the oldest copies until `more` bytes fit below the limit."""
        found = []
        for path in self.folder.glob("*-bf16.gguf"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        used = more + sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if used <= self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                used -= size


def size_of(source: Header) -> int:
    """Bytes of a file's copy, about; not less."""
    return 2 * source.n_values + min(source.needs_bytes, _METADATA)


def _whole(path: Path) -> Header | None:
    """A copy's header; None where the copy is missing or damaged."""
    try:
        return read_header(path, "copy of the weights")
    except ModelError:
        return None


def _sync(path: Path) -> None:
    """Wait until the file is on the disk: a renamed file without contents would be loaded."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
