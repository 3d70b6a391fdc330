"""The file of a corpus: JSON Lines, one record for every text that the model wrote.

The first line says how the tree is grown; then come topics, questions and pairs in the order in
which they were written. A call that finds its own file continues it, so the file is all the state
that there is. For other tools the lines of kind "pair" are the corpus.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..core.errors import CorpusError
from ..core.results import Cost
from ..io.files import PRIVATE, append_text, is_regular, read_text
from ..io.locks import try_lock
from ..io.terminal import json_text

VERSION = 1
MAX_BYTES = 256 << 20
Topic = tuple[str, ...]
"""Where a node is in the tree: the topics from the root to it."""


@dataclass(frozen=True)
class Header:
    """What must agree for a corpus to be continued. `topics` are the user's roots, none for the
    model's own; `max_tokens` limits an answer; `weights` are those that the model was computed
    with, as `ModelInfo.details` names them."""

    fingerprint: str
    model: str = ""
    depth: int = 3
    branch: int = 5
    seed: int = 0
    max_tokens: int = 64
    topics: tuple[str, ...] = ()
    corpus: int = VERSION
    weights: str = "file"


@dataclass(frozen=True)
class Topics:
    """The narrower topics that the model named for a node, as it wrote them."""

    path: Topic
    found: tuple[str, ...]
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Question:
    """A question about a node that begins with `start`; "" where the model wrote none."""

    path: Topic
    start: str
    text: str
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Pair:
    """A question with the model's answer; `finish` is "length" for an answer that was cut off."""

    question: str
    answer: str
    path: Topic = ()
    finish: str = "stop"
    tokens: int = 0
    seconds: float = 0.0


Record = Topics | Question | Pair
R = TypeVar("R", Header, Topics, Question, Pair)
KINDS: Mapping[str, TypeAdapter[Any]] = {
    "header": TypeAdapter(Header),
    "topics": TypeAdapter(Topics),
    "question": TypeAdapter(Question),
    "pair": TypeAdapter(Pair),
}
_KIND_OF = {Header: "header", Topics: "topics", Question: "question", Pair: "pair"}


def to_line(record: Header | Record) -> str:
    """A record as one line of JSON, with its line end. How a header begins marks the file."""
    data = asdict(record)
    version = {"corpus": data.pop("corpus")} if isinstance(record, Header) else {}
    return json_text({"kind": _KIND_OF[type(record)], **version, **data}) + "\n"


@dataclass
class Corpus:
    """The records of a tree so far. `sink`, if there is one, gets every line of the file."""

    header: Header
    sink: Callable[[str], None] | None = None
    topics: dict[Topic, Topics] = field(default_factory=dict)
    questions: dict[tuple[Topic, str], Question] = field(default_factory=dict)
    pairs: dict[str, Pair] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    def add(self, records: Sequence[Record]) -> None:
        """Take records in, written first. Raises what the sink raises."""
        if self.sink is not None:
            first = "" if self.cost.evaluations else to_line(self.header)
            self.sink(first + "".join(map(to_line, records)))
        for record in records:
            self.take(record)

    def leaves(self) -> set[Topic]:
        """The topics that questions were asked about."""
        return {path for path, _ in self.questions}

    def take(self, record: Record) -> None:
        self.cost = self.cost + Cost(1, record.tokens, record.seconds)
        match record:
            case Topics():
                self.topics[record.path] = record
            case Question():
                self.questions[record.path, record.start] = record
            case Pair():
                self.pairs[record.question] = record

    def close(self) -> None:
        """Nothing to release for a corpus in memory."""


@dataclass
class CorpusFile(Corpus):
    """A corpus in a file, which one process at a time may write."""

    handle: int = -1

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def open_corpus(path: Path, header: Header) -> CorpusFile:
    """A new corpus, or the one in the file. Raises `CorpusError` for a file that was made with
    other settings, is damaged, or is being written by another process."""
    handle = _locked(path)
    try:
        sink = partial(_append, path)
        corpus = CorpusFile(header, sink, handle=handle)
        found, records = _read(path)
        if found is not None:
            _check_same(path, found, header)
        elif records:
            raise CorpusError(f"{path}:1: is no header of a corpus: name another file")
        for record in records:
            corpus.take(record)
        return corpus
    except BaseException:
        os.close(handle)
        raise


def _append(path: Path, lines: str) -> None:
    append_text(path, lines, CorpusError)


def header_of(path: Path) -> Header | None:
    """The header of a corpus that may be continued; None where there is none, or where
    `open_corpus` says what is wrong."""
    try:
        return _read(path)[0] if is_regular(path) else None
    except CorpusError:
        return None


def read_pairs(path: Path) -> tuple[Header | None, list[Pair]]:
    """The header, if there is one, and the pairs of a corpus, each question once. Lines of other
    tools with a `question` and an `answer` are pairs too. Raises `CorpusError`."""
    if not is_regular(path):
        raise CorpusError(f"{path}: no such file: write one with idealprompt synth")
    header, records = _read(path)
    pairs = {one.question: one for one in records if isinstance(one, Pair) and one.answer}
    if not pairs:
        raise CorpusError(
            f"{path}: has no question with an answer: write it with idealprompt synth"
        )
    return header, list(pairs.values())


def _locked(path: Path) -> int:
    """The file opened and locked."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as problem:
        why = (problem.strerror or "").lower()
        raise CorpusError(f"{path}: cannot be written ({why}): name another place") from None
    if not try_lock(handle):
        os.close(handle)
        raise CorpusError(f"{path}: is being written by another process: wait for it to end")
    return handle


def _check_same(path: Path, found: Header, header: Header) -> None:
    """Raise for the first setting that differs."""
    for name, given in asdict(header).items():
        before = asdict(found)[name]
        if before != given and name != "model":
            shown = "model" if name == "fingerprint" else f"--{name.replace('_', '-')}"
            was, now = (found.model, header.model) if shown == "model" else (before, given)
            raise CorpusError(
                f"{path}: was made with {shown} {_short(was)}, not {_short(now)}: use the same, or "
                "name another file"
            )


def _short(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _read(path: Path) -> tuple[Header | None, list[Record]]:
    """Header and records; a last line that a crash cut off is left out."""
    text = read_text(path, CorpusError, MAX_BYTES)
    header: Header | None = None
    records: list[Record] = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.strip() or (not line.endswith("\n") and not _whole(line)):
            continue
        record = _record(f"{path}:{number}", line)
        if isinstance(record, Header):
            header = record
        else:
            records.append(record)
    return header, records


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _record(place: str, line: str) -> Header | Record:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise CorpusError(f"{place}: is not a JSON object: fix or delete the line") from None
    kind = data.pop("kind", "pair") if isinstance(data, dict) else ""
    if kind not in KINDS:
        raise CorpusError(f"{place}: is not a record of a corpus: fix or delete the line")
    try:
        record: Header | Record = KINDS[kind].validate_python(data)
    except ValidationError as problem:
        fault = problem.errors(include_url=False)[0]
        name = ".".join(map(str, fault["loc"])) or kind
        raise CorpusError(
            f"{place}: {name}: {fault['msg'].lower()}: fix or delete the line"
        ) from None
    if isinstance(record, Header) and record.corpus != VERSION:
        raise CorpusError(f"{place}: corpus is {record.corpus}: this version reads {VERSION}")
    return record
