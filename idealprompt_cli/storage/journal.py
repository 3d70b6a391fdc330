"""The append-only record of a run: what the engine answered, and the trials.

One JSON object a line in `<run dir>/journal.jsonl`; every append is flushed and synced, and a last
line that a crash tore is dropped on reading. `--resume` replays the run from the answers kept here,
so it needs no state of its own. It does not know what a search is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import IO, Any

from ..core.errors import JournalError
from ..core.requests import ModelInfo
from ..core.results import Trial
from ..core.task import Task
from ..io.files import reason
from ..prompts.serialisation import to_dict

FILE_NAME = "journal.jsonl"
VERSION = 1
# How every journal begins.
_FIRST = b'{"kind": "header", "version": '

Record = dict[str, Any]


class Journal:
    """Records in order. Made by `create`, `resume` or `memory`; closed by `close` or `with`."""

    def __init__(self, path: Path | None, stream: IO[bytes] | None, records: list[Record]) -> None:
        self.path = path
        self._stream = stream
        self._records = records
        self._known_trials = {r["id"]: r for r in in_force(records)}

    @staticmethod
    def memory() -> Journal:
        """A journal that writes nothing; everything else works the same."""
        return Journal(None, None, [])

    @staticmethod
    def create(run_dir: Path, header: Mapping[str, str]) -> Journal:
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
        return Journal._begun(path, stream, header)

    @staticmethod
    def resume(run_dir: Path, header: Mapping[str, str]) -> Journal:
        """The journal of a broken (or finished) run, ready for more. A run that broke before its
        first line was whole begins anew.

        Raises JournalError where there is none, or it belongs to another task, model or seed.
        """
        path = run_dir / FILE_NAME
        records, size = _read(path)
        unborn = not records and path.read_bytes().startswith(_FIRST[: path.stat().st_size])
        if not unborn:
            _check_header(path, records, header)
        stream = path.open("r+b")
        stream.truncate(size)
        stream.seek(size)
        return Journal._begun(path, stream, header) if unborn else Journal(path, stream, records)

    @staticmethod
    def _begun(path: Path, stream: IO[bytes], header: Mapping[str, str]) -> Journal:
        """With the header as its first line."""
        journal = Journal(path, stream, [])
        journal.append([{"kind": "header", "version": VERSION, **header}])
        return journal

    def append(self, records: Sequence[Record]) -> None:
        """Write records and wait until they are on the disk."""
        self._records.extend(records)
        if self._stream is None or not records:
            return
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        self._stream.write(lines.encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def agree(self, what: str, value: str, mend: str) -> None:
        """Keep what a run began with, or raise JournalError where a resumed one has another."""
        kept = self.records(what)
        if not kept:
            self.append([{"kind": what, "name": value}])
        elif kept[0]["name"] != value:
            raise JournalError(
                f"{self.path}: the run began with {what} {_short(kept[0]['name'])}, now "
                f"{_short(value)}; {mend}, or start anew with another --run-dir"
            )

    def append_trial(self, trial: Trial) -> None:
        """Write a trial, unless a resumed run has it already. Where that goes another way (it may
        have been given more budget), what it had from there on is superseded."""
        record = trial_record(trial)
        if _same(self._known_trials.get(trial.id), record):
            return
        self._known_trials = {k: r for k, r in self._known_trials.items() if k < trial.id}
        self._known_trials[trial.id] = record
        self.append([record])

    def records(self, kind: str) -> list[Record]:
        """All records of a kind ("score", "text", "trial", ...) in order."""
        return [record for record in self._records if record.get("kind") == kind]

    def trials(self) -> list[Record]:
        """The trials so far, as plain data."""
        return in_force(self._records)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header_for(task: Task, model: ModelInfo, seed: int) -> dict[str, str]:
    """What must agree for a journal to be continued."""
    return {"task": task.fingerprint or task.name, "model": model.fingerprint, "seed": str(seed)}


def trial_record(trial: Trial) -> Record:
    """A trial as plain data (the examples' outcomes are left to the answers themselves)."""
    evaluation = trial.evaluation
    scores: Record = {}
    if evaluation is not None:
        low, high = evaluation.interval.low, evaluation.interval.high
        scores = {"value": evaluation.value, "low": low, "high": high, "n": evaluation.n}
        scores["margin"] = evaluation.margin
    return {
        "kind": "trial",
        "id": trial.id,
        "parent": trial.parent,
        "strategy": trial.strategy,
        "state": trial.state,
        "note": trial.note,
        "prompt": to_dict(trial.prompt),
        "prompt_tokens": trial.prompt_tokens,
        **scores,
    }


def in_force(records: Sequence[Record]) -> list[Record]:
    """The trials in the order of their numbers, each with the records of the way that was taken
    last."""
    found: list[Record] = []
    for record in records:
        if record.get("kind") == "trial":
            while found and found[-1]["id"] >= record["id"]:
                found.pop()
            found.append(record)
    return found


def _same(known: Record | None, record: Record) -> bool:
    """Whether two records say the same on the disk."""
    return known is not None and json.dumps(known) == json.dumps(record)


def _short(text: str) -> str:
    return shorten(text, 60, placeholder=" ...")


def read_records(run_dir: Path) -> list[Record]:
    """All records of a run's journal, for who only looks. Raises JournalError."""
    return _read(run_dir / FILE_NAME)[0]


def _read(path: Path) -> tuple[list[Record], int]:
    """Records and the number of bytes they fill; a torn last line is not counted."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise JournalError(f"{path}: no journal to resume; leave --resume out") from error
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from error
    records, size = [], 0
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        record = _parse(line)
        if record is None:
            if number < len(lines) - 1:
                raise JournalError(f"{path}:{number}: not a record; the journal is damaged")
            break
        records.append(record)
        size += len(line) + 1
    return records, size


def _parse(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "kind" in record else None


def _check_header(path: Path, records: Sequence[Record], header: Mapping[str, str]) -> None:
    first = records[0] if records else {}
    if first.get("kind") != "header":
        raise JournalError(f"{path}:1: the header is missing; start anew with another --run-dir")
    if first.get("version") != VERSION:
        raise JournalError(f"{path}:1: journal version {first.get('version')}, expected {VERSION}")
    for key, value in header.items():
        if first.get(key) != value:
            raise JournalError(
                f"{path}:1: the journal is of another {key} ({first.get(key)!r}, now {value!r}); "
                "start anew with another --run-dir"
            )
