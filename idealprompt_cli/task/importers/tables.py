"""Tables of labelled pictures with columns of any name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import TaskError
from ...core.nearest import did_you_mean
from ...io.files import read_text
from ..examples import is_picture_name
from .answer_kinds import columns_as_json

FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_path", "path", "picture", "img")
LABEL_COLUMNS = ("label", "answer", "class", "category", "target", "text", "caption", "code", "y")
SPLIT_COLUMNS = ("split", "set", "partition")
SPLITS = {"train": "train", "training": "train", "val": "train", "valid": "train",
          "validation": "train", "dev": "train", "test": "test"}  # fmt: skip
MAX_BYTES = 256 * 1024 * 1024
LOOKED_AT = 100
_JOINED = "\0answer"


@dataclass(frozen=True)
class Entry:
    """A row: files as written, answer, part ("" for none), and where it stands."""

    files: tuple[str, ...]
    answer: str
    split: str
    source: str


@dataclass(frozen=True)
class Sheet:
    """The rows, and which columns were taken for the file and the answer (several for a JSON
    answer)."""

    entries: tuple[Entry, ...]
    file_column: str
    label_columns: tuple[str, ...]


def read_sheet(table: Path, file_column: str = "", label_columns: Sequence[str] = ()) -> Sheet:
    """A CSV, TSV or JSON Lines table; several label columns make one JSON answer.

    Raises `TaskError` with file and line.
    """
    text = read_text(table, TaskError, MAX_BYTES)
    rows = _json_rows(text, table) if table.suffix == ".jsonl" else _csv_rows(text, table)
    if not rows:
        raise TaskError(f"{table}: holds no rows: it needs a header and a row per picture")
    columns = list(rows[0][0])
    split = next((name for name in columns if name.lower() in SPLIT_COLUMNS), "")
    pictures = _of_pictures(columns, [row for row, _ in rows[:LOOKED_AT]], table.parent)
    file = _column(columns, file_column, FILE_COLUMNS, pictures, "--file-column", table)
    others = [name for name in columns if name not in (file, split)]
    likely = _that_repeat(others, [row for row, _ in rows])
    labels = [
        _column(columns, given, LABEL_COLUMNS, likely, "--label-column", table)
        for given in label_columns or ("",)
    ]
    if len(labels) > 1:
        objects = columns_as_json({name: [_cell(row[name]) for row, _ in rows] for name in labels})
        rows = [
            ({**row, _JOINED: answer}, source)
            for (row, source), answer in zip(rows, objects, strict=True)
        ]
    answer = _JOINED if len(labels) > 1 else labels[0]
    entries = tuple(_entry(row, source, file, answer, split) for row, source in rows)
    return Sheet(entries, file, tuple(labels))


def _cell(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value)


def _csv_rows(text: str, table: Path) -> list[tuple[dict[str, Any], str]]:
    header = text.lstrip().split("\n", 1)[0]
    mark = next((one for one in (",", "\t", ";") if one in header), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise TaskError(
                f"{table}:{reader.line_num}: has another number of cells than the header: put "
                "quotes around a text that holds the separator"
            )
        rows.append((row, f"{table}:{reader.line_num}"))
    return rows


def _json_rows(text: str, table: Path) -> list[tuple[dict[str, Any], str]]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as problem:
            raise TaskError(f"{table}:{number}: is not JSON ({problem})") from None
        if not isinstance(row, dict):
            raise TaskError(f"{table}:{number}: should be an object with a file and a label")
        rows.append((row, f"{table}:{number}"))
    return rows


def _of_pictures(columns: Sequence[str], rows: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """The columns in which all these rows name files that are there."""

    def there(value: Any) -> bool:
        name = value.strip().replace("\\", "/") if isinstance(value, str) else ""
        return bool(name) and is_picture_name(name) and (folder / name).is_file()

    return [name for name in columns if all(there(row.get(name)) for row in rows)]


def _that_repeat(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Sequence[str]:
    """The one column whose values come back, as a label's do and a number's or a note's do not;
    all of them where there is not just one."""
    kinds = {name: len({_cell(row.get(name)) for row in rows}) for name in columns}
    found = [name for name, count in kinds.items() if 1 < count < len(rows)]
    return found if len(found) == 1 else columns


def _column(
    columns: Sequence[str],
    given: str,
    usual: Iterable[str],
    likely: Sequence[str],
    flag: str,
    table: Path,
) -> str:
    """The column that was named, the first one of a usual name, or the only likely one."""
    if given:
        if given not in columns:
            raise TaskError(f"{table}:1: no column {given!r}: {did_you_mean(given, columns)}")
        return given
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    found = next((by_name[name] for name in usual if name in by_name), None)
    if found is None and len(likely) == 1:
        return likely[0]
    if found is None:
        what, left = ("picture", columns) if flag == "--file-column" else ("label", likely)
        raise TaskError(
            f"{table}:1: none of the columns {', '.join(left)} looks like the {what}: name it "
            f"with {flag}"
        )
    return found


def _entry(row: dict[str, Any], source: str, file: str, label: str, split: str) -> Entry:
    for column in (file, label):
        if row.get(column) in (None, ""):
            raise TaskError(f"{source}: {column} is empty: fill it in or drop the row")
    names = row[file] if isinstance(row[file], list) else [row[file]]
    value = row[label]
    answer = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    word = str(row.get(split) or "").strip().lower()
    if word and word not in SPLITS:
        raise TaskError(f"{source}: {split} is {word!r}: should be train or test")
    return Entry(tuple(str(name) for name in names), answer.strip(), SPLITS.get(word, ""), source)
