"""`metadata.jsonl` and `metadata.csv` of a task folder (the ImageFolder convention) -> entries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..core.answer_schema import AnswerKind
from ..core.errors import TaskError
from ..core.nearest import nearest
from ..core.task import Split
from .faults import Faults
from .split_names import SHOULD_BE, split_of
from .table_reader import Table, as_text, read_table

FILE_KEY, SPLIT_KEY = "file_name", "split"
ANSWER_KEYS = ("label", "answer", "answers")
Kind = AnswerKind | Literal["any"]
TEXT_COLUMNS = (
    "question", "text", "title", "sentence", "review", "body", "description", "name", "caption",
    "input", "prompt",
)  # fmt: skip
"""Usual names of columns that hold texts to ask about, the likeliest first."""
KEYS = (FILE_KEY, *ANSWER_KEYS, SPLIT_KEY)


@dataclass(frozen=True)
class Columns:
    """The columns of a table that a task asks for besides our own: `inputs` are the fields that its
    question refers to, `answers` those that a JSON answer is spread over."""

    inputs: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One row; `files` are as written (none for an example without a picture). `answers` are all
    that count as right, the preferred one first. `unused` are columns that are probably texts to
    ask about, and that the question does not refer to."""

    files: tuple[str, ...]
    answers: tuple[str, ...]
    fields: Mapping[str, str]
    split: Split | None
    source: str
    line: int
    unused: tuple[str, ...] = ()


def read_metadata(path: Path, columns: Columns, *, kind: Kind) -> list[Entry]:
    """The rows of a table whose answers are of one kind.

    Raises `TaskError` that lists every row with a fault.
    """
    table = read_table(path)
    keys = {name: _key(name) for name in table.columns}
    _check_keys(table, list(keys.values()), columns)
    unused = _unused(table, columns)
    faults = Faults()
    entries = []
    for record in table.records:
        values = {keys[name]: value for name, value in record.values.items()}
        try:
            entry = _entry(values, record.source, record.line, path, columns, kind)
            entries.append(replace(entry, unused=unused))
        except TaskError as problem:
            faults.add(str(problem))
    faults.check()
    _check_splits(entries)
    return entries


def _unused(table: Table, columns: Columns) -> tuple[str, ...]:
    used = (*columns.inputs, *columns.answers, *KEYS)
    return tuple(
        name for name in table.columns if name.lower() in TEXT_COLUMNS and name not in used
    )


def _entry(
    values: Mapping[str, Any],
    source: str,
    line: int,
    path: Path,
    columns: Columns,
    kind: Kind,
) -> Entry:
    fields = {name: as_text(values.get(name)) for name in columns.inputs}
    if columns.inputs and not any(fields.values()) and not values.get(FILE_KEY):
        empty = " and ".join([*([FILE_KEY] if FILE_KEY in values else []), *columns.inputs])
        raise TaskError(f"{source}: {empty} is empty: fill it in or delete the row")
    return Entry(
        files=_files(values.get(FILE_KEY), source, path.parent, any(fields.values())),
        answers=tuple(_answers(values, source, columns.answers, kind)),
        fields=fields,
        split=_split(values.get(SPLIT_KEY), source),
        source=source,
        line=line,
    )


def _key(name: str) -> str:
    """A column's name: the package's own in small letters, others as they are."""
    return name.lower() if name.lower() in KEYS else name


def _check_keys(table: Table, keys: Collection[str], columns: Columns) -> None:
    """Other columns are the user's own, unless one looks like a misspelt one of the package's."""
    source = f"{table.path}:1"
    others = [key for key in keys if key not in KEYS]
    missing = next((name for name in columns.inputs if name not in keys), None)
    if missing is not None and table.records:
        guess = nearest(missing, others)
        fix = f"did you mean {{{guess}}}?" if guess else "add the column, or change the question"
        raise TaskError(
            f"{source}: the question refers to {{{missing}}}, which is none of the columns "
            f"{', '.join(keys)}: {fix}"
        )
    if not columns.inputs:
        _check_key(source, (FILE_KEY,), keys, others)
    if not set(columns.answers) & set(keys):
        _check_key(source, ANSWER_KEYS[:2], keys, others)
    if SPLIT_KEY not in keys and nearest(SPLIT_KEY, others, cutoff=0.8):
        guess = nearest(SPLIT_KEY, others)
        raise TaskError(f"{source}: unknown column {guess!r}: did you mean split?")


def _check_key(
    source: str, accepted: tuple[str, ...], keys: Collection[str], others: Collection[str]
) -> None:
    if any(key in keys for key in (*accepted, *(ANSWER_KEYS if FILE_KEY not in accepted else ()))):
        return
    guess = nearest(accepted[0], others)
    fix = f"rename {guess!r}?" if guess else "add or rename one"
    if FILE_KEY in accepted:
        fix += " (without images, name a column in the question, such as {text})"
    raise TaskError(f"{source}: no {' or '.join(accepted)} among {', '.join(keys)}: {fix}")


def _answers(
    values: Mapping[str, Any], source: str, columns: Collection[str], kind: Kind
) -> Iterator[str]:
    """The accepted answers of a row: its own column, or an object of the answer's columns, where an
    empty cell is a missing value."""
    given = [key for key in ANSWER_KEYS if key in values]
    if len(given) > 1 and len({as_text(values[key]) for key in given}) > 1:
        raise TaskError(f"{source}: has a {given[0]} and another {given[1]}: keep one of the two")
    if not given:
        cells = {name: values.get(name) for name in columns}
        yield json.dumps({k: None if v == "" else v for k, v in cells.items()}, ensure_ascii=False)
        return
    for one in accepted_answers(values[given[0]], kind):
        yield _answer(one, given[0], source, kind)


def accepted_answers(value: Any, kind: Kind) -> list[Any]:
    """The answers in a cell: a list, or text that is a JSON list of texts, holds several accepted
    ones, unless a list is what one answer of this kind is made of."""
    if kind in ("json", "labels"):
        return [value]
    found = _parsed(value) if isinstance(value, str) else value
    if isinstance(found, list) and found:
        if all(isinstance(one, str) for one in found):
            return found
        if kind in ("box", "any"):
            return found if all(isinstance(one, list) for one in found) else [found]
        return found if found is value else [value]
    return [value]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith("[") and text.endswith("]") else text
    except ValueError:
        return text


def _answer(value: Any, key: str, source: str, kind: Kind) -> str:
    if isinstance(value, str):
        return value
    structured = kind in ("json", "labels", "box", "any") and value is not None
    if isinstance(value, int | float) or structured:
        return json.dumps(value, ensure_ascii=False)
    raise TaskError(f"{source}: {key} is {json.dumps(value)}: should be text")


def _files(value: Any, source: str, folder: Path, optional: bool) -> tuple[str, ...]:
    """One name, a list of names, or names with ; between them; none where that is allowed."""
    if value in (None, "", []) and optional:
        return ()
    if isinstance(value, str):
        one = not value or (folder / value).exists()
        names = [value] if one else [part.strip() for part in value.split(";")]
    else:
        names = value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise TaskError(
            f"{source}: file_name is {value!r}: should be a file name or a list of them"
        )
    return tuple(names)


def _split(value: Any, source: str) -> Split | None:
    if value is None or value == "":
        return None
    split = split_of(str(value))
    if split is None:
        raise TaskError(f"{source}: split is {value!r}: {SHOULD_BE}")
    return split


def _check_splits(entries: list[Entry]) -> None:
    named = [entry for entry in entries if entry.split]
    if named and len(named) < len(entries):
        entry = next(one for one in entries if not one.split)
        raise TaskError(
            f"{entry.source}: has no split while other rows do: fill it in, or delete the column "
            "and one is drawn"
        )
