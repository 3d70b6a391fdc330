"""Files read within a limit, and written whole or not at all (layer 0).

Knows nothing of what is in them. Errors are of the caller's kind, and name the file and what the
operating system said.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..core.errors import IdealPromptError

MAX_BYTES = 16 * 1024 * 1024
TEMPORARY = ".new-"
"""Prefix of the names of files that are being written."""


def read_text(path: Path, error: type[IdealPromptError], limit: int = MAX_BYTES) -> str:
    """A UTF-8 file (with or without a byte-order mark) of at most `limit` bytes."""
    data = read_bytes(path, error, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise error(f"{path}:{line}: is not UTF-8 text: save the file as UTF-8") from None


def read_bytes(path: Path, error: type[IdealPromptError], limit: int = MAX_BYTES) -> bytes:
    """A file of at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({reason(problem)})") from None
    if len(data) > limit:
        raise error(f"{path}: is larger than {limit} bytes: no file of this kind is that large")
    return data


def reason(problem: OSError) -> str:
    """What the operating system said, without numbers and paths."""
    return (problem.strerror or type(problem).__name__).lower()


def write_text(path: Path, text: str, error: type[IdealPromptError]) -> None:
    """Write a whole file under a temporary name, then rename it into place. A link is written
    through; a pipe or device is written directly."""
    try:
        target = path.resolve()
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            target.write_text(text, encoding="utf-8")
            return
        _replace(target, text.encode("utf-8"), sync=True)
    except OSError as problem:
        raise error(f"{path}: cannot be written ({reason(problem)})") from None


def write_bytes(path: Path, data: bytes, error: type[IdealPromptError]) -> None:
    """Like `write_text`, for binary data; the folder is created if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path.resolve(), data)
    except OSError as problem:
        raise error(f"{path}: cannot be written ({reason(problem)})") from None


def try_write(path: Path, *parts: bytes | memoryview) -> bool:
    """Like `write_bytes`, for caches: False if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, *parts)
    except OSError:
        return False
    return True


def _replace(target: Path, *parts: bytes | memoryview, sync: bool = False) -> None:
    """Write to a temporary file in the same folder, then rename it. `sync` waits for the disk."""
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """The mode that the file has, or that a new one would get."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def check_writable(path: Path, error: type[IdealPromptError]) -> None:
    """Raise now what `write_text` would raise after hours of work, as far as can be known."""
    folder = path.resolve().parent
    if path.is_dir():
        raise error(f"{path}: is a folder: name a file in it")
    if not folder.is_dir():
        raise error(f"{path}: its folder does not exist: make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise error(f"{path}: may not be written: change the permissions, or name another place")
