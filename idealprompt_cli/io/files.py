"""Files read within limits of size and time, and written whole or not at all (layer 0).

Knows nothing of what is in them. Errors are of the caller's kind, and name the file and what the
operating system said.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import select
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..core.errors import IdealPromptError
from .locks import try_lock

MAX_BYTES = 16 * 1024 * 1024
PIPE_SECONDS = 10.0
"""How long a pipe may take, from its first byte to its last."""
TEMPORARY = ".idealprompt-new-"
"""Prefix of the names of files that are being written; nobody else's files are named so."""
PRIVATE = 0o600
"""Mode of files that hold examples, answers or prompts of a run."""


def read_text(path: Path, error: type[IdealPromptError], limit: int = MAX_BYTES) -> str:
    """A UTF-8 file (with or without a byte-order mark) of at most `limit` bytes."""
    data = read_bytes(path, error, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise error(f"{path}:{line}: is not UTF-8 text: save the file as UTF-8") from None


def read_bytes(path: Path, error: type[IdealPromptError], limit: int = MAX_BYTES) -> bytes:
    """A file of at most `limit` bytes. A pipe is read too, for `PIPE_SECONDS` at most."""
    try:
        with open_file(path, pipes=True) as file:
            data = file.read(limit + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read ({reason(problem)})") from None
    if len(data) > limit:
        raise error(f"{path}: is larger than {limit} bytes: no file of this kind is that large")
    return data


def open_file(path: Path, *, pipes: bool = False) -> io.BufferedReader | io.BytesIO:
    """A file opened for reading. Raises OSError also for what is no file: reading from a device has
    no end, and a pipe that nobody writes to would be waited for without end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = os.fstat(handle).st_mode
        if pipes and stat.S_ISFIFO(kind):
            return io.BytesIO(_piped(handle, MAX_BYTES + 1))
        if not stat.S_ISREG(kind):
            raise _not_a_file(kind, path)
        return os.fdopen(os.dup(handle), "rb")
    finally:
        os.close(handle)


def is_regular(path: Path) -> bool:
    """Whether there is a regular file; False for a name that no file can have."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _not_a_file(kind: int, path: Path) -> OSError:
    if stat.S_ISDIR(kind):
        return IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    names = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    name = next((name for is_one, name in names if is_one(kind)), "a device")
    return OSError(errno.EINVAL, f"is {name}, not a file", str(path))


def _piped(handle: int, limit: int) -> bytes:
    """What comes through a pipe until it is closed. One that nobody writes to is empty."""
    parts, size, end = [], 0, time.monotonic() + PIPE_SECONDS
    while size < limit:
        if not select.select([handle], [], [], max(0.0, end - time.monotonic()))[0]:
            raise TimeoutError(
                errno.ETIMEDOUT, f"the pipe was not closed within {PIPE_SECONDS:g} seconds"
            )
        part = os.read(handle, 1 << 16)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def reason(problem: OSError) -> str:
    """What the operating system said, without numbers and paths."""
    return (problem.strerror or type(problem).__name__).lower()


def write_text(
    path: Path, text: str, error: type[IdealPromptError], mode: int | None = None
) -> None:
    """Write a whole file under a temporary name, then rename it into place. A link is written
    through; a pipe or device is written directly. `mode` is that of a new file."""
    try:
        target = path.resolve()
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            target.write_text(text, encoding="utf-8")
            return
        _replace(target, text.encode("utf-8"), sync=True, mode=mode)
    except (OSError, RuntimeError) as problem:
        raise error(_refused(path, problem)) from None


def write_bytes(
    path: Path, data: bytes, error: type[IdealPromptError], mode: int | None = None
) -> None:
    """Like `write_text`, for binary data; the folder is created if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path.resolve(), data, mode=mode)
    except (OSError, RuntimeError) as problem:
        raise error(_refused(path, problem)) from None


def append_text(path: Path, text: str, error: type[IdealPromptError]) -> None:
    """Add lines to a file; what a killed process left of a last line is cut off first."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags, 0o666)
        try:
            size = _end_of_lines(handle)
            append(handle, text.encode("utf-8", "backslashreplace"), size)
        finally:
            os.close(handle)
    except OSError as problem:
        raise error(_refused(path, problem)) from None


def append(handle: int, data: bytes, size: int | None) -> None:
    """Write all of `data` to an open file of `size` bytes (None: no regular file). Where the system
    refuses, the file is as it was before. Raises OSError."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
    except OSError:
        if size is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)
        raise


def _end_of_lines(handle: int) -> int | None:
    """Cut an open file after its last whole line; its size then, None for a pipe or device."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return None
    end = size = status.st_size
    while end:
        start = max(0, end - (1 << 16))
        os.lseek(handle, start, os.SEEK_SET)
        found = os.read(handle, end - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(handle, end)
    return end


def _refused(path: Path, problem: OSError | RuntimeError) -> str:
    """RuntimeError is what `resolve` raises for links in a circle before Python 3.13."""
    if not isinstance(problem, OSError):
        return f"{path}: cannot be written (too many levels of symbolic links)"
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    fix = ": make room, or name another place" if full else ""
    return f"{path}: cannot be written ({reason(problem)}){fix}"


def try_write(path: Path, *parts: bytes | memoryview) -> bool:
    """Like `write_bytes`, for caches of this user alone: False if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(path, *parts, mode=PRIVATE)
    except OSError:
        return False
    return True


def _replace(
    target: Path, *parts: bytes | memoryview, sync: bool = False, mode: int | None = None
) -> None:
    """Write to a temporary file in the same folder, then rename it. `sync` waits for the disk."""
    remove_leftovers(target.parent)
    file, name = _temporary(target.parent)
    try:
        with file:
            for part in parts:
                file.write(part)
            file.flush()
            if sync:
                os.fsync(file.fileno())
            name.chmod(_mode(target, mode))
            if os.name == "nt":  # pragma: no cover - an open file cannot be renamed there
                file.close()
            name.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            name.unlink(missing_ok=True)
        raise


def _temporary(folder: Path) -> tuple[BinaryIO, Path]:
    """A new file that is locked while it is written, so that nobody takes it for a leftover."""
    while True:
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
        if _held(handle, Path(name)):
            return os.fdopen(handle, "wb"), Path(name)
        os.close(handle)


def _held(handle: int, path: Path) -> bool:
    """Lock what was just made; False where it was removed as a leftover before."""
    with contextlib.suppress(OSError):  # a file system without locks
        if not try_lock(handle):
            return False
    return path.exists()


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder that is locked while it is filled, and removed at the end where it is still
    there: what is in it is renamed into place before. Raises OSError."""
    path, handle = _locked_folder(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if handle >= 0:
            os.close(handle)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / f"{TEMPORARY}{secrets.token_hex(6)}"
        path.mkdir()
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue  # removed as a leftover
        except OSError:  # folders cannot be opened on Windows
            return path, -1
        if _held(handle, path):
            return path, handle
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders of processes that were killed while they wrote into a
    folder."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if not entry.name.startswith(TEMPORARY):
                continue
            if entry.is_file(follow_symlinks=False):
                _remove_if_unlocked(Path(entry.path), os.O_RDWR, os.unlink)
            elif entry.is_dir(follow_symlinks=False):
                _remove_if_unlocked(Path(entry.path), os.O_RDONLY, shutil.rmtree)


def _remove_if_unlocked(path: Path, how: int, remove: Callable[[Path], object]) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, how)
        try:
            if try_lock(handle):
                remove(path)
        finally:
            os.close(handle)


def _mode(target: Path, wanted: int | None) -> int:
    """The mode that the file has, or that a new one gets."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    if wanted is not None:
        return wanted
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def check_writable(path: Path, error: type[IdealPromptError]) -> None:
    """Raise now what `write_text` would raise after hours of work, as far as can be known."""
    try:
        folder = path.resolve().parent
        if path.is_dir():
            raise error(f"{path}: is a folder: name a file in it")
        if not folder.is_dir():
            raise error(f"{path}: its folder does not exist: make it first")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise error(
                f"{path}: may not be written: change the permissions, or name another place"
            )
    except (OSError, RuntimeError, ValueError) as problem:
        why = reason(problem) if isinstance(problem, OSError) else str(problem)
        raise error(f"{path}: cannot be written ({why}): name another place") from None
