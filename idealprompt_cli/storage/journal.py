"""The append-only record of a run: what the engine answered, and the trials.

One JSON object a line in `<run dir>/journal.jsonl` (`records`); every append is synced. `--resume`
replays the run from the answers kept here, so it needs no state of its own. One process at a time
writes: it holds a lock that the system releases when it dies. On reading, a last line that a crash
cut off and lines that are no records are left out with a notice. It does not know what a search is.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import TypeVar

from ..core.errors import JournalError, StorageError
from ..core.interfaces import Notice
from ..core.requests import ModelInfo
from ..core.results import Trial
from ..core.task import Task
from ..io.files import PRIVATE, append, open_file, reason
from ..io.locks import try_lock
from .records import (
    VERSION,
    Header,
    Record,
    Setting,
    TrialRecord,
    UnknownRecord,
    from_line,
    record_of,
    to_line,
)

FILE_NAME = "journal.jsonl"
_OWN_WEIGHTS = "file"
# How every journal starts.
_FIRST = b'{"kind": "header", "version": '

R = TypeVar("R")


def _silent(text: str) -> None:
    del text


class Journal:
    """Records in order. Made by `create`, `resume` or `memory`; closed by `close` or `with`."""

    def __init__(self, path: Path | None, handle: int, records: list[Record]) -> None:
        self.path = path
        self._handle = handle
        self._records = records
        self._known_trials = {trial.id: trial for trial in current_trials(records)}

    @staticmethod
    def memory() -> Journal:
        """A journal that writes nothing; everything else works the same."""
        return Journal(None, -1, [])

    @staticmethod
    def create(run_dir: Path, header: Header) -> Journal:
        """A new journal, which only this user can read. Raises JournalError if there is one
        already, or the folder cannot be written."""
        path = run_dir / FILE_NAME
        try:
            run_dir.parent.mkdir(parents=True, exist_ok=True)
            run_dir.mkdir(exist_ok=True, mode=0o700)
            handle = _opened(path, os.O_CREAT | os.O_EXCL)
        except OSError as error:
            if run_dir.is_dir() and isinstance(error, FileExistsError):
                raise JournalError(
                    f"{path}: this run folder is in use; give --resume or another --run-dir"
                ) from error
            why = "not a directory" if isinstance(error, FileExistsError) else reason(error)
            raise JournalError(
                f"{path}: cannot be written ({why}): name another place with --run-dir"
            ) from error
        return Journal._with_header(path, handle, header)

    @staticmethod
    def resume(run_dir: Path, header: Header, say: Notice = _silent) -> Journal:
        """The journal of an interrupted (or finished) run, ready for more. A run that was
        interrupted before its first line was complete starts again. `say` gets a line for each
        line that is not read.

        Raises JournalError where there is none, another process writes it, or it is of another
        task, model, seed or version.
        """
        path = run_dir / FILE_NAME
        _read_bytes(path)  # says what is wrong with a file that is none
        try:
            handle = _opened(path, 0)
        except OSError as error:
            raise JournalError(f"{path}: cannot be written ({reason(error)})") from error
        try:
            records, size = _read(path, say)
            empty = not records and _read_bytes(path).startswith(_FIRST[: path.stat().st_size])
            if not empty:
                _check_header(path, records, header)
            os.ftruncate(handle, size)
        except OSError as error:
            os.close(handle)
            raise JournalError(f"{path}: cannot be written ({reason(error)})") from error
        except BaseException:
            os.close(handle)
            raise
        return (
            Journal._with_header(path, handle, header) if empty else Journal(path, handle, records)
        )

    @staticmethod
    def _with_header(path: Path, handle: int, header: Header) -> Journal:
        journal = Journal(path, handle, [])
        journal.append([header])
        return journal

    def append(self, records: Sequence[Record]) -> None:
        """Write records and wait until they are on the disk. Raises StorageError where it is full;
        then the file is as it was before."""
        if self._handle >= 0 and records:
            text = "".join(f"{to_line(record)}\n" for record in records)
            self._write(text.encode("utf-8", "backslashreplace"))
        self._records.extend(records)

    def _write(self, data: bytes) -> None:
        size = os.fstat(self._handle).st_size
        try:
            append(self._handle, data, size)
            os.fsync(self._handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, size)
            raise StorageError(
                f"{self.path}: cannot be written ({reason(error)}): make room; all answers before "
                "this one are kept"
            ) from error

    def agree(self, name: str, value: str, fix: str) -> None:
        """Keep a setting that a run started with, or raise JournalError where a resumed run has
        another value."""
        kept = next((one for one in self.records(Setting) if one.name == name), None)
        if kept is None:
            self.append([Setting(name, value)])
        elif kept.value != value:
            raise JournalError(
                f"{self.path}: the run started with {name} {_short(kept.value)}, now "
                f"{_short(value)}; {fix}, or start a new run with another --run-dir"
            )

    def append_trial(self, trial: Trial) -> None:
        """Write a trial, unless a resumed run has it already. Where a resumed run takes another
        course (it may have been given more budget), the trials it had from there on are
        superseded."""
        record = record_of(trial)
        known = self._known_trials.get(trial.id)
        if known is not None and to_line(known) == to_line(record):
            return
        self._known_trials = {k: r for k, r in self._known_trials.items() if k < trial.id}
        self._known_trials[trial.id] = record
        self.append([record])

    def records(self, kind: type[R]) -> list[R]:
        """All records of a kind in order."""
        return [record for record in self._records if isinstance(record, kind)]

    def trials(self) -> list[TrialRecord]:
        """The trials of the course that was taken last."""
        return current_trials(self._records)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header_for(task: Task, model: ModelInfo, seed: int, prompt: str = "") -> Header:
    """What must agree for a journal to be resumed; `prompt` is a fingerprint."""
    weights = model.details.get("weights", _OWN_WEIGHTS)
    own = weights == _OWN_WEIGHTS
    identity = model.fingerprint if own else f"{model.fingerprint} {weights}"
    return Header(VERSION, task.fingerprint or task.name, identity, str(seed), prompt)


def current_trials(records: Sequence[Record]) -> list[TrialRecord]:
    """The trials in the order of their numbers, without those that were superseded."""
    found: list[TrialRecord] = []
    for record in records:
        if isinstance(record, TrialRecord):
            while found and found[-1].id >= record.id:
                found.pop()
            found.append(record)
    return found


def read_records(run_dir: Path, say: Notice = _silent) -> list[Record]:
    """All records of a run's journal, read-only. Raises JournalError."""
    return _read(run_dir / FILE_NAME, say)[0]


def task_of(run_dir: Path) -> str:
    """The fingerprint of the task that a run is of; "" where no journal says it."""
    header = _header_of(run_dir)
    return header.task if header else ""


def model_of(run_dir: Path) -> tuple[str, str]:
    """The fingerprint of the model that a run is of, and the name of the weights that it computes
    with; "" where no journal says it."""
    header = _header_of(run_dir)
    return _model_parts(header.model) if header else ("", "")


def _model_parts(model: str) -> tuple[str, str]:
    """The fingerprint and the weights in a header's `model`."""
    fingerprint, _, weights = model.partition(" ")
    return fingerprint, weights or _OWN_WEIGHTS


def _header_of(run_dir: Path) -> Header | None:
    try:
        first, _, _ = _read_bytes(run_dir / FILE_NAME).partition(b"\n")
        header = from_line(first)
    except (JournalError, UnknownRecord, ValueError):
        return None  # `resume` says what is wrong
    return header if isinstance(header, Header) else None


def _short(text: str) -> str:
    return shorten(text, 60, placeholder=" ...")


def _opened(path: Path, how: int) -> int:
    """The journal opened for appending, under its lock. Raises JournalError if another process has
    it."""
    flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | how, PRIVATE)
    try:
        free = try_lock(handle)
    except OSError:
        free = True  # a file system without locks
    if not free:
        os.close(handle)
        raise JournalError(
            f"{path}: another process is working on this run: wait until it ends, or end it"
        )
    return handle


def _read_bytes(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except FileNotFoundError as error:
        raise JournalError(f"{path}: no journal to resume; leave --resume out") from error
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({reason(error)})") from error


def _read(path: Path, say: Notice) -> tuple[list[Record], int]:
    """Records and the number of bytes up to the last whole line."""
    *lines, rest = _read_bytes(path).split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        if number == 1:
            _check_version(path, line)
        try:
            records.append(from_line(line))
        except UnknownRecord:
            if number == 1:
                raise JournalError(
                    f"{path}:1: is not the first line of a journal: name the folder of a run"
                ) from None
            say(f"{path}:{number}: not a record, left out; its answers are computed again.")
        except ValueError as error:
            raise JournalError(
                f"{path}:{number}: {error}: delete this line to resume without it"
            ) from None
    if rest and records:
        say(f"{path}:{len(lines) + 1}: the last line is cut off, and left out.")
    return records, sum(len(line) + 1 for line in lines)


def _check_version(path: Path, line: bytes) -> None:
    """Refuse a journal that another release wrote, whatever its records look like."""
    try:
        first = json.loads(line)
    except ValueError:
        return
    is_header = isinstance(first, dict) and first.get("kind") == "header"
    if is_header and first.get("version") != VERSION:
        raise JournalError(
            f"{path}:1: journal version {first.get('version')}, this release reads {VERSION}; "
            "start a new run with another --run-dir"
        )


def _check_header(path: Path, records: Sequence[Record], header: Header) -> None:
    first = records[0] if records else None
    if not isinstance(first, Header):
        raise JournalError(
            f"{path}:1: the header is missing; start a new run with another --run-dir"
        )
    (model, before), (same, weights) = _model_parts(first.model), _model_parts(header.model)
    if model == same and before != weights:
        raise JournalError(
            f"{path}:1: the run computed with weights {before!r}, now {weights!r}; leave --weights "
            "out, or start a new run with another --run-dir"
        )
    kept, now = asdict(first), asdict(header)
    # The task last: a share of its examples depends on the seed.
    for key in sorted(now, key=lambda one: one == "task"):
        if kept[key] != now[key]:
            fix = "leave --train and --test out, or " if key == "task" else ""
            what = " or of other examples" if key == "task" else ""
            raise JournalError(
                f"{path}:1: the journal is of another {key}{what} ({kept[key]!r}, now "
                f"{now[key]!r}); {fix}start a new run with another --run-dir"
            )
