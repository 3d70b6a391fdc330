"""The append-only record of a run: what the engine answered, and the trials.

One JSON object a line in `<run dir>/journal.jsonl` (`records`); every append is flushed and synced,
and a last line that a crash cut off is dropped on reading. `--resume` replays the run from the
answers kept here, so it needs no state of its own. It does not know what a search is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import IO, TypeVar

from ..core.errors import JournalError
from ..core.requests import ModelInfo
from ..core.results import Trial
from ..core.task import Task
from ..io.files import reason
from .records import VERSION, Header, Record, Setting, TrialRecord, from_line, record_of, to_line

FILE_NAME = "journal.jsonl"
# How every journal starts.
_FIRST = b'{"kind": "header", "version": '

R = TypeVar("R")


class Journal:
    """Records in order. Made by `create`, `resume` or `memory`; closed by `close` or `with`."""

    def __init__(self, path: Path | None, stream: IO[bytes] | None, records: list[Record]) -> None:
        self.path = path
        self._stream = stream
        self._records = records
        self._known_trials = {trial.id: trial for trial in current_trials(records)}

    @staticmethod
    def memory() -> Journal:
        """A journal that writes nothing; everything else works the same."""
        return Journal(None, None, [])

    @staticmethod
    def create(run_dir: Path, header: Header) -> Journal:
        """A new journal. Raises JournalError if there is one already, or the folder cannot be
        written."""
        path = run_dir / FILE_NAME
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            stream = path.open("xb")
        except FileExistsError as error:
            raise JournalError(
                f"{path}: this run folder is in use; give --resume or another --run-dir"
            ) from error
        except OSError as error:
            raise JournalError(
                f"{path}: cannot be written ({reason(error)}): name another place with --run-dir"
            ) from error
        return Journal._with_header(path, stream, header)

    @staticmethod
    def resume(run_dir: Path, header: Header) -> Journal:
        """The journal of an interrupted (or finished) run, ready for more. A run that was
        interrupted before its first line was complete starts again.

        Raises JournalError where there is none, or it is of another task, model, seed or version.
        """
        path = run_dir / FILE_NAME
        records, size = _read(path)
        empty = not records and path.read_bytes().startswith(_FIRST[: path.stat().st_size])
        if not empty:
            _check_header(path, records, header)
        stream = path.open("r+b")
        stream.truncate(size)
        stream.seek(size)
        return (
            Journal._with_header(path, stream, header) if empty else Journal(path, stream, records)
        )

    @staticmethod
    def _with_header(path: Path, stream: IO[bytes], header: Header) -> Journal:
        journal = Journal(path, stream, [])
        journal.append([header])
        return journal

    def append(self, records: Sequence[Record]) -> None:
        """Write records and wait until they are on the disk."""
        self._records.extend(records)
        if self._stream is None or not records:
            return
        self._stream.write("".join(f"{to_line(record)}\n" for record in records).encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())

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
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header_for(task: Task, model: ModelInfo, seed: int, prompt: str = "") -> Header:
    """What must agree for a journal to be resumed; `prompt` is a fingerprint."""
    return Header(VERSION, task.fingerprint or task.name, model.fingerprint, str(seed), prompt)


def current_trials(records: Sequence[Record]) -> list[TrialRecord]:
    """The trials in the order of their numbers, without those that were superseded."""
    found: list[TrialRecord] = []
    for record in records:
        if isinstance(record, TrialRecord):
            while found and found[-1].id >= record.id:
                found.pop()
            found.append(record)
    return found


def read_records(run_dir: Path) -> list[Record]:
    """All records of a run's journal, read-only. Raises JournalError."""
    return _read(run_dir / FILE_NAME)[0]


def _short(text: str) -> str:
    return shorten(text, 60, placeholder=" ...")


def _read(path: Path) -> tuple[list[Record], int]:
    """Records and the number of bytes they fill; an incomplete last line is not counted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise JournalError(f"{path}: no journal to resume; leave --resume out") from error
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from error
    records: list[Record] = []
    size, lines = 0, data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        if number == 1:
            _check_version(path, line)
        try:
            records.append(from_line(line))
        except ValueError:
            if number < len(lines) - 1:
                raise JournalError(
                    f"{path}:{number}: not a record; the journal is damaged"
                ) from None
            break
        size += len(line) + 1
    return records, size


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
    kept = asdict(first)
    for key, value in asdict(header).items():
        if kept[key] != value:
            raise JournalError(
                f"{path}:1: the journal is of another {key} ({kept[key]!r}, now {value!r}); "
                "start a new run with another --run-dir"
            )
