"""The file of the response cache: a SQLite database that carries our mark.

Only a file with the mark is ever opened, moved or changed. Knows nothing of answers.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.interfaces import Notice
from ..io.files import PRIVATE, open_file, reason

if TYPE_CHECKING:
    from sqlite3 import Connection

MARK = 0x1DEA1001
"""The SQLite application id of our files."""
MAGIC, _MARK_AT = b"SQLite format 3\0", 68
_LOGS = {
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
    "-journal": (b"\xd9\xd5\x05\xf9", b"\0\0\0\0"),
}
"""Files beside a database that SQLite replays into it -> how they start."""
_TAILS = ("-wal", "-shm", "-journal")
_BUSY_SECONDS = 10.0
_MOST_ASIDE = 20
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS file (name TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answers (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL,"
    " body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_key ON answers (key)",
)


class Foreign(Exception):
    """A file that is not ours."""


_open: dict[int, tuple[int, int]] = {}
"""Connections of this process, by `id`, with the device and inode of their files. POSIX locks end
when a process closes any handle of the file, so one that is open in SQLite is never opened beside
it: its locks would be gone, and another process would remove the log that is still written to."""


def check_ours(path: Path) -> None:
    """Raise Foreign unless the file is missing, empty, or carries our mark; and unless the logs
    beside it are SQLite's, which would be replayed into it and removed."""
    if _identity(path) in _open.values():
        return
    head = _start(path, 100)
    mark = int.from_bytes(head[_MARK_AT : _MARK_AT + 4], "big")
    if head and (not head.startswith(MAGIC) or mark != MARK):
        raise Foreign("it is not a response cache of idealprompt")
    for tail, starts in _LOGS.items():
        log = _beside(path, tail)
        if not (log.exists() or log.is_symlink()):
            continue
        start = _start(log, 4)
        if not path.exists() or (start and start not in starts):
            raise Foreign(f"{log.name} beside it is another file's")


def _start(path: Path, count: int) -> bytes:
    """The first bytes of a file, none where it is missing. Raises Foreign for what is no file."""
    try:
        with open_file(path) as file:
            return file.read(count)
    except FileNotFoundError:
        return b""
    except OSError as problem:
        raise Foreign(f"cannot be read, {reason(problem)}") from None


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode; (0, 0) where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _beside(path: Path, tail: str) -> Path:
    return path.with_name(path.name + tail)


def opened(path: Path, limit: int) -> Connection:
    """A connection to a file that is ours (see `check_ours`) or will be; one that outgrew `limit`
    bytes is thinned. Raises Foreign, and the errors of sqlite3 and the system."""
    import sqlite3

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
    base = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    _open[id(base)] = _identity(path)
    try:
        _prepare(base)  # before the log is switched on: the mark must be in the file itself
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        if base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        if used(base) >= limit:
            _thin(base)
    except BaseException:
        close(base)
        raise
    return base


def close(base: Connection) -> None:
    """Close a connection that `opened` gave."""
    _open.pop(id(base), None)
    base.close()


def _prepare(base: Connection) -> None:
    """Mark a new file as ours and make its tables."""
    if base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        with base:
            base.execute("BEGIN IMMEDIATE")
            base.execute(f"PRAGMA application_id = {MARK}")
            for statement in _SCHEMA:
                base.execute(statement)
            if base.execute("SELECT count(*) FROM file").fetchone()[0] == 0:
                base.execute("INSERT INTO file VALUES (?)", (secrets.token_hex(8),))
    elif base.execute("PRAGMA application_id").fetchone()[0] != MARK:
        raise Foreign("it is not a response cache of idealprompt")


def used(base: Connection) -> int:
    """Bytes that hold something."""
    size, pages, free = (
        base.execute(f"PRAGMA {what}").fetchone()[0]
        for what in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (pages - free))


def _thin(base: Connection) -> None:
    """Drop the older half of the rows; their room is used again."""
    with base:
        base.execute("BEGIN IMMEDIATE")
        low, high = base.execute("SELECT min(id), max(id) FROM answers").fetchone()
        if low is not None:
            base.execute("DELETE FROM answers WHERE id <= ?", ((low + high) // 2,))


def is_damage(problem: Exception) -> bool:
    """Whether an "operational" fault is one of the file and not of the moment."""
    text = str(problem)
    return "no such table" in text or "no such column" in text or "malformed" in text


def put_aside(path: Path, say: Notice) -> str:
    """Move a damaged file of ours out of the way with its log, to a name that is free, and say so
    once. Why there is no cache then."""
    try:
        check_ours(path)
        aside = next((one for one in _asides(path) if not _taken(one)), None)
        if aside is None:
            return f"damaged; delete it and its copies {path.name}.damaged..."
        for tail in ("", *_TAILS):
            if tail == "" or _beside(path, tail).exists():
                _beside(path, tail).rename(_beside(aside, tail))
    except Foreign as problem:
        return str(problem)
    except FileNotFoundError:
        return "damaged"  # another process was faster
    except OSError as problem:
        return f"damaged, and cannot be moved: {reason(problem)}"
    say(f"{path}: the response cache is damaged: renamed to {aside.name} and started again")
    return "damaged"


def _asides(path: Path) -> list[Path]:
    numbers = ("", *(f"-{n}" for n in range(2, _MOST_ASIDE + 1)))
    return [path.with_name(f"{path.name}.damaged{number}") for number in numbers]


def _taken(path: Path) -> bool:
    beside = (_beside(path, tail) for tail in ("", *_TAILS))
    return any(one.exists() or one.is_symlink() for one in beside)
