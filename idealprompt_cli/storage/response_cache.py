"""Answers of models that runs share: one SQLite file per user, in the cache folder.

A row is an answer under a digest of model and request: log-probabilities under digests of their
options, or a text that the model wrote. No prompt, label, file name or picture is in it. Several
processes may use it at a time. Losing it costs computing time, so nothing here raises: a file that
is damaged or foreign is moved aside with one message, and a run works without one that it cannot
use.

A run sees the rows that were there when it started (`mark`), not those that come later, its own
included: so two runs at the same time do not change each other, and a resumed run finds what it
would have found. It knows no budget; what a hit costs is the account's affair.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.interfaces import Notice
from ..core.requests import ModelInfo
from .records import Answer, ScoreAnswer, TextAnswer

if TYPE_CHECKING:
    from sqlite3 import Connection

ENV = "IDEALPROMPT_ANSWERS"
FILE_NAME = "answers.sqlite"
LIMIT_BYTES = 256 * 1024 * 1024
_APPLICATION = 0x1DEA1001
_BUSY_SECONDS = 10.0
_CHUNK = 400
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS file (name TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answers (id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL,"
    " body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS by_key ON answers (key)",
)

Row = dict[str, Any]
Asked = tuple[str, tuple[str, ...]]


def default_path(folder: Path) -> Path:
    """$IDEALPROMPT_ANSWERS, or the file's place in the user's cache folder."""
    given = os.environ.get(ENV)
    return Path(given) if given else folder / FILE_NAME


def identity(info: ModelInfo, extra: str = "") -> str:
    """What must agree for an answer to hold: engine, weights, how the chat is worded (`extra` for
    what the model's own description does not hold), and how it computes."""
    kept = {k: v for k, v in info.details.items() if k not in ("threads", "slots")}
    parts = (info.engine, info.fingerprint, info.mode, info.n_ctx, sorted(kept.items()), extra)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class ResponseCache:
    """The answers of one model. Made by `open_cache`; closed by `close` or `with`."""

    def __init__(self, path: Path, model: str, base: Connection, say: Notice, limit: int) -> None:
        self._path, self._model, self._say, self._limit = path, model, say, limit
        self._base: Connection | None = base
        self._name = str(base.execute("SELECT name FROM file").fetchone()[0])
        self._top = int(base.execute("SELECT coalesce(max(id), 0) FROM answers").fetchone()[0])

    @property
    def mark(self) -> str:
        """What is visible, to be given to `rewind` when a run is resumed."""
        return f"{self._name}:{self._top}"

    def rewind(self, mark: str) -> None:
        """See what was visible at a mark of this file; nothing for one of another file."""
        name, _, top = mark.partition(":")
        self._top = min(self._top, int(top)) if name == self._name and top.isdigit() else 0

    def follow(self) -> None:
        """See from now on all that is there, also what comes later (benchmarks share work so)."""
        self._top = 2**62

    def find(self, asked: Sequence[Asked]) -> list[Answer | None]:
        """For each (key, options) the answer, if all of it is known; a text's options are ()."""
        rows: dict[bytes, list[Row]] = {}
        digests = [_digest(self._model, key) for key, _ in asked]
        self._attempt(lambda base: _read(base, sorted(set(digests)), self._top, rows))
        return [
            _joined(key, options, rows.get(digest, []))
            for (key, options), digest in zip(asked, digests, strict=True)
        ]

    def keep(self, answers: Sequence[Answer]) -> None:
        """Add answers, unless the file is full."""
        rows = [(_digest(self._model, answer.key), _body(answer)) for answer in answers]

        def write(base: Connection) -> None:
            if rows and _used(base) < self._limit:
                with base:
                    base.executemany("INSERT INTO answers (key, body) VALUES (?, ?)", rows)

        self._attempt(write)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._base is not None:
            with contextlib.suppress(Exception):
                self._base.close()
            self._base = None

    def __enter__(self) -> ResponseCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attempt(self, work: Callable[[Connection], None]) -> None:
        """Do it; on any error of the file work without it."""
        import sqlite3

        if self._base is None:
            return
        try:
            work(self._base)
        except sqlite3.OperationalError as problem:
            if not _damaged(problem):
                return  # busy or full: this answer is not shared
            self._lost()
        except sqlite3.DatabaseError:
            self._lost()

    def _lost(self) -> None:
        self.close()
        _put_aside(self._path, self._say)


def open_cache(
    path: Path, info: ModelInfo, say: Notice, extra: str = "", limit: int = LIMIT_BYTES
) -> ResponseCache | None:
    """The cache of a model's answers at `path`, or None where none can be kept there (`say` is
    told why). A file that outgrew `limit` bytes loses the older half of its rows first."""
    try:
        import sqlite3
    except ImportError:  # pragma: no cover
        return None
    for _ in range(2):
        try:
            base = _opened(path, limit)
            return ResponseCache(path, identity(info, extra), base, say, limit)
        except OSError as problem:
            why = (problem.strerror or "no access").lower()
        except sqlite3.OperationalError as problem:
            if not _damaged(problem):
                why = str(problem)
                break
            why = _put_aside(path, say)
        except sqlite3.DatabaseError:
            why = _put_aside(path, say)
    say(f"{path}: answers are not shared between runs ({why})")
    return None


def _opened(path: Path, limit: int) -> Connection:
    import sqlite3

    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    base = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        _prepare(base)
        if base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("damaged")
        if _used(base) >= limit:
            _thin(base)
    except BaseException:
        base.close()
        raise
    return base


def _prepare(base: Connection) -> None:
    """Make the tables in a new file; a file of another program is as good as damaged."""
    import sqlite3

    number = base.execute("PRAGMA application_id").fetchone()[0]
    if number == 0 and base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        with base:
            base.execute("BEGIN IMMEDIATE")
            base.execute(f"PRAGMA application_id = {_APPLICATION}")
            for statement in _SCHEMA:
                base.execute(statement)
            if base.execute("SELECT count(*) FROM file").fetchone()[0] == 0:
                base.execute("INSERT INTO file VALUES (?)", (secrets.token_hex(8),))
    elif number != _APPLICATION:
        raise sqlite3.DatabaseError("not ours")


def _used(base: Connection) -> int:
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


def _damaged(problem: Exception) -> bool:
    """Whether an "operational" fault is one of the file and not of the moment."""
    text = str(problem)
    return "no such table" in text or "no such column" in text or "malformed" in text


def _put_aside(path: Path, say: Notice) -> str:
    """Move a file that cannot be used out of the way, and say so once."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except FileNotFoundError:
        return "damaged"  # another process was faster
    except OSError as problem:
        return f"damaged, and cannot be moved: {(problem.strerror or '').lower()}"
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    say(f"{path}: the response cache is damaged: renamed to {aside.name} and started again")
    return "damaged"


# --- rows -----------------------------------------------------------------------------------------


def _digest(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\n{text}".encode()).digest()[:16]


def _option(key: str, option: str) -> str:
    """An option's name in the file: its text may be a private label."""
    return hashlib.sha256(f"{key}\n{option}".encode()).hexdigest()[:16]


def _read(
    base: Connection, digests: Sequence[bytes], top: int, rows: dict[bytes, list[Row]]
) -> None:
    for start in range(0, len(digests), _CHUNK):
        part = digests[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        found = base.execute(
            f"SELECT key, body FROM answers WHERE key IN ({marks}) AND id <= ? ORDER BY id",
            (*part, top),
        )
        for digest, body in found:
            rows.setdefault(bytes(digest), []).append(_parsed(body))


def _body(answer: Answer) -> str:
    data: Row = {"tokens": answer.tokens, "seconds": answer.seconds}
    if isinstance(answer, TextAnswer):
        return json.dumps({**data, "text": answer.text, "finish": answer.finish})
    scores = {_option(answer.key, option): score for option, score in answer.scores.items()}
    return json.dumps({**data, "scores": scores})


def _parsed(body: object) -> Row:
    """A row's data; {} for one that makes no sense."""
    try:
        data = json.loads(body) if isinstance(body, str) else None
    except ValueError:
        data = None
    return data if isinstance(data, dict) and _is_cost(data) else {}


def _is_cost(data: Mapping[str, Any]) -> bool:
    tokens, seconds = data.get("tokens"), data.get("seconds")
    return type(tokens) is int and tokens >= 0 and _is_number(seconds) and seconds >= 0  # type: ignore[operator]


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _joined(key: str, options: tuple[str, ...], rows: Sequence[Row]) -> Answer | None:
    """One answer that has all that was asked for, or None."""
    for row in rows if not options else ():
        if isinstance(row.get("text"), str) and row.get("finish") in ("stop", "length"):
            return TextAnswer(key, row["text"], row["finish"], row["tokens"], row["seconds"])
    known: dict[str, float] = {}
    for row in rows:
        scores = row.get("scores")
        if isinstance(scores, dict):
            known |= {k: s for k, s in scores.items() if _is_number(s)}
    found = {option: known.get(_option(key, option)) for option in options}
    complete = {option: score for option, score in found.items() if score is not None}
    if not options or len(complete) < len(found):
        return None
    first = next(row for row in rows if "scores" in row)
    return ScoreAnswer(key, complete, first["tokens"], first["seconds"])
