"""Answers of models that runs share: one SQLite file per user, in the cache folder.

A row is an answer under a digest of model and request: log-probabilities under digests of their
options, or a text that the model wrote. No prompt, label, file name or picture is in it. Several
processes may use it at a time. Losing it costs computing time, so nothing here raises: a damaged
one is moved aside with one message, and a run works without one that it cannot use.

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.interfaces import Notice
from ..core.requests import ModelInfo
from ..io.files import reason
from .cache_file import Foreign, check_ours, close, is_damage, opened, put_aside, used
from .records import Answer, ScoreAnswer, TextAnswer

if TYPE_CHECKING:
    from sqlite3 import Connection

ENV = "IDEALPROMPT_ANSWERS"
FILE_NAME = "answers.sqlite"
LIMIT_BYTES = 256 * 1024 * 1024
_CHUNK = 400
_NO_MATTER = ("threads", "slots", "memory", "settings")
"""Of a model's details: what changes no answer, or says only where a setting comes from."""
Row = dict[str, Any]
Asked = tuple[str, tuple[str, ...]]


def default_path(folder: Path) -> Path:
    """$IDEALPROMPT_ANSWERS, or the file's place in the user's cache folder."""
    given = os.environ.get(ENV)
    return Path(given) if given else folder / FILE_NAME


def identity(info: ModelInfo, extra: str = "") -> str:
    """What must agree for an answer to hold: engine, weights, how the chat is worded (`extra` for
    what the model's own description does not hold), and how it computes."""
    kept = {k: v for k, v in info.details.items() if k not in _NO_MATTER}
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
            if rows and used(base) < self._limit:
                with base:
                    base.executemany("INSERT INTO answers (key, body) VALUES (?, ?)", rows)

        self._attempt(write)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._base is not None:
            with contextlib.suppress(Exception):
                close(self._base)
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
            if not is_damage(problem):
                return  # busy or full: this answer is not shared
            self._lost()
        except sqlite3.DatabaseError:
            self._lost()

    def _lost(self) -> None:
        self.close()
        put_aside(self._path, self._say)


def open_cache(
    path: Path, info: ModelInfo, say: Notice, extra: str = "", limit: int = LIMIT_BYTES
) -> ResponseCache | None:
    """The cache of a model's answers at `path`, or None where none can be kept there (`say`
    gets the reason). A file that outgrew `limit` bytes loses the older half of its rows first."""
    try:
        import sqlite3
    except ImportError:  # pragma: no cover
        return None
    for _ in range(2):
        try:
            check_ours(path)
            base = opened(path, limit)
            return ResponseCache(path, identity(info, extra), base, say, limit)
        except Foreign as problem:
            why = f"{problem}: name another file in {ENV}"
            break
        except OSError as problem:
            why = reason(problem)
            break
        except sqlite3.OperationalError as problem:
            if not is_damage(problem):
                why = str(problem)
                break
            why = put_aside(path, say)
        except (sqlite3.DatabaseError, ValueError, TypeError):
            why = put_aside(path, say)
    say(f"{path}: answers are not shared between runs ({why})")
    return None


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
