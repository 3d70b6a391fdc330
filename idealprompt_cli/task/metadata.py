"""`metadata.jsonl` and `metadata.csv` (the ImageFolder convention) -> entries with their lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from ..core.errors import TaskError
from ..core.nearest import nearest
from ..core.task import Split
from ..io.files import read_text

KEYS = ("file_name", "label", "answer", "split")
MAX_BYTES = 256 * 1024 * 1024

Check = Callable[[Collection[str], str], None]


@dataclass(frozen=True)
class Entry:
    """One row; `files` are as written; an `answer` that is no text is JSON text here."""

    files: tuple[str, ...]
    answer: str
    split: Split | None
    source: str


def read_metadata(
    table: Path, *, structured: bool = False, fields: Collection[str] = ()
) -> list[Entry]:
    """The rows of a table. `structured` answers may be lists or objects; where the table has no
    answer, they are put together from the columns named `fields`.

    Raises `TaskError` with file and line.
    """
    text = read_text(table, TaskError, MAX_BYTES)
    read = _json_rows if table.suffix == ".jsonl" else _csv_rows
    check = partial(_check_keys, fields=fields)
    entries = [
        Entry(
            files=_files(values["file_name"], source, table.parent),
            answer=_given(values, source, structured, fields),
            split=_split(values.get("split"), source),
            source=source,
        )
        for values, source in read(text, table, check)
    ]
    named = [entry for entry in entries if entry.split]
    if named and len(named) < len(entries):
        entry = next(one for one in entries if not one.split)
        raise TaskError(
            f"{entry.source}: has no split while other rows do: say train or test, or leave the "
            "column out and one is drawn"
        )
    return entries


def _json_rows(text: str, table: Path, check: Check) -> Iterator[tuple[Mapping[str, Any], str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        source = f"{table}:{number}"
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as problem:
            raise TaskError(f"{source}: is not JSON ({problem}): one object on each line") from None
        if not isinstance(values, dict):
            raise TaskError(f'{source}: should be an object such as {{"file_name": "a.png", ...}}')
        values = {_key(name): value for name, value in values.items()}
        check(values, source)
        yield values, source


def _csv_rows(text: str, table: Path, check: Check) -> Iterator[tuple[Mapping[str, Any], str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            source = f"{table}:{reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [_key(cell) for cell in cells]
                check(header, source)
                continue
            if len(cells) != len(header):
                raise TaskError(
                    f"{source}: has {len(cells)} cells where the header has {len(header)}: put "
                    "quotes around a text that holds the separator"
                )
            yield dict(zip(header, cells, strict=True)), source
    except csv.Error as problem:
        raise TaskError(f"{table}:{reader.line_num}: is not CSV ({problem})") from None


def _delimiter(text: str) -> str:
    """Comma, or what the header uses instead (spreadsheets of some countries write semicolons)."""
    header = text.lstrip().split("\n", 1)[0]
    return next((mark for mark in (",", "\t", ";") if mark in header), ",")


def _key(name: str) -> str:
    """A column's name: ours in small letters, others as they are."""
    name = name.strip()
    return name.lower() if name.lower() in KEYS else name


def _check_keys(keys: Collection[str], source: str, fields: Collection[str]) -> None:
    """Other columns are the user's own, unless one looks like a misspelt column of ours."""
    others = [key for key in keys if key not in KEYS]
    answers = set(fields) & set(keys) or ("label", "answer")
    for accepted in (("file_name",), tuple(answers)):
        if not any(key in keys for key in accepted):
            guess = nearest(accepted[0], others)
            mend = f"rename {guess!r}?" if guess else "add or rename one"
            found = ", ".join(keys)
            raise TaskError(f"{source}: no {' or '.join(accepted)} among {found}: {mend}")
    if "split" not in keys and nearest("split", others, cutoff=0.8):
        guess = nearest("split", others)
        raise TaskError(f"{source}: unknown column {guess!r}: did you mean split?")


def _given(
    values: Mapping[str, Any], source: str, structured: bool, fields: Collection[str]
) -> str:
    """The answer of a row: its own column, or an object of the fields' columns, where an empty
    cell is a value that is missing."""
    if "label" in values and "answer" in values and values["label"] != values["answer"]:
        raise TaskError(f"{source}: has a label and another answer: keep one of the two")
    key = next((key for key in ("label", "answer") if key in values), "")
    if key:
        return _answer(values[key], key, source, structured)
    cells = {name: values.get(name) for name in fields}
    return json.dumps({k: None if v == "" else v for k, v in cells.items()}, ensure_ascii=False)


def _files(value: Any, source: str, folder: Path) -> tuple[str, ...]:
    """One name, a list of names, or names with ; between them."""
    if isinstance(value, str):
        text = value.strip()
        names = [text] if (folder / text).exists() else [one.strip() for one in text.split(";")]
    else:
        names = value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n for n in names):
        raise TaskError(
            f"{source}: file_name is {value!r}: should be a file name or a list of them"
        )
    return tuple(names)


def _answer(value: Any, key: str, source: str, structured: bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) or (structured and value is not None):
        return json.dumps(value, ensure_ascii=False)
    raise TaskError(f"{source}: {key} is {json.dumps(value)}: should be text")


def _split(value: Any, source: str) -> Split | None:
    if value is None or value == "":
        return None
    text = str(value).strip().lower()
    if text not in ("train", "test"):
        raise TaskError(f"{source}: split is {value!r}: should be train or test")
    return cast("Split", text)
