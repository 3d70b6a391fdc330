"""A table file of any common kind -> rows with the lines they come from.

CSV, TSV and space-aligned text, with or without a header; JSON Lines; a JSON array; Parquet and
XLSX through the extra `tables`. Knows nothing of what the columns mean.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import TaskError, UsageError
from ..io.files import read_bytes
from .faults import Faults

MAX_BYTES = 256 * 1024 * 1024
_SPACES = re.compile(r"[ \t]+")

HasHeader = Callable[[list[str]], bool]
"""Whether the first row of a text table names its columns."""


@dataclass(frozen=True)
class Record:
    """One row: values by column (text, or whatever the format holds), and "file:line"."""

    values: Mapping[str, Any]
    source: str
    line: int


@dataclass(frozen=True)
class Table:
    """The rows of a file. `notes` say how it was read where that is not evident."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    has_header: bool = True


def read_table(
    path: Path,
    *,
    encoding: str = "utf-8",
    guess_encoding: bool = False,
    has_header: HasHeader = lambda cells: True,
) -> Table:
    """The rows of a table. `encoding` is that of a text file; `guess_encoding` also takes UTF-16
    and cp1252 and says so in the notes.

    Raises `TaskError` that lists every row which cannot be read, with its line.
    """
    suffix = path.suffix.lower()
    if suffix in BINARY:
        return _from_objects(path, BINARY[suffix](path))
    text, notes = _decoded(path, encoding, guess_encoding)
    if suffix == ".jsonl" or suffix == ".ndjson":
        return _from_objects(path, _json_lines(path, text), notes)
    if suffix == ".json":
        return _from_objects(path, _json_array(path, text), notes)
    return _from_text(path, text, notes, has_header)


# --- bytes to text -------------------------------------------------------------------------------


def _decoded(path: Path, encoding: str, guess: bool) -> tuple[str, tuple[str, ...]]:
    data = read_bytes(path, TaskError, MAX_BYTES)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and encoding == "utf-8":
        return _as(path, data, "utf-16", guess)
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding), ()
    except LookupError:
        raise UsageError(f"--encoding {encoding}: unknown encoding: try cp1252 or utf-16") from None
    except UnicodeDecodeError as problem:
        if encoding != "utf-8":
            line = data[: problem.start].count(b"\n") + 1
            raise TaskError(f"{path}:{line}: is not {encoding} text: check --encoding") from None
        return _as(path, data, "cp1252", guess, problem.start)


def _as(
    path: Path, data: bytes, encoding: str, guess: bool, start: int = 0
) -> tuple[str, tuple[str, ...]]:
    """The text in another encoding than UTF-8, or an error that names it."""
    line = data[:start].count(b"\n") + 1
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise TaskError(f"{path}:{line}: is not UTF-8 text: save the file as UTF-8") from None
    if not guess:
        raise TaskError(
            f"{path}:{line}: is not UTF-8 text but looks like {encoding}: save the file as UTF-8"
        )
    return text, (f"read as {encoding}, because it is not UTF-8 (--encoding names another)",)


# --- CSV and its kind ----------------------------------------------------------------------------


def _from_text(path: Path, text: str, notes: tuple[str, ...], has_header: HasHeader) -> Table:
    faults = Faults()
    rows = list(_cells(path, text, faults))
    if not rows:
        faults.check()
        return Table(path, (), (), notes)
    headed = has_header(rows[0][0])
    columns = tuple(rows[0][0]) if headed else tuple(str(n + 1) for n in range(len(rows[0][0])))
    if not headed:
        notes = (*notes, f"no header: the columns are called {', '.join(columns)}")
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise TaskError(f"{path}:{rows[0][1]}: two columns are called {twice!r}: rename one")
    records = []
    for cells, line in rows[headed:]:
        source = f"{path}:{line}"
        if len(cells) != len(columns):
            faults.add(
                f"{source}: has {len(cells)} cells where the header has {len(columns)}: put "
                "quotes around a text that holds the separator"
            )
            continue
        records.append(Record(dict(zip(columns, cells, strict=True)), source, line))
    faults.check()
    return Table(path, columns, tuple(records), notes, headed)


def _cells(path: Path, text: str, faults: Faults) -> Iterator[tuple[list[str], int]]:
    """The cells of each row that is not blank, and its last line."""
    delimiter = _delimiter(text)
    if delimiter == " ":
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield _SPACES.split(line.strip()), number
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield [_clean(cell) for cell in cells], reader.line_num
    except csv.Error as problem:
        faults.add(f"{path}:{reader.line_num}: is not CSV ({problem})")


def _delimiter(text: str) -> str:
    """Comma, or what the first line uses instead: tab, semicolon, bar, or aligned spaces."""
    lines = [line for line in text.lstrip("\ufeff\r\n").splitlines()[:20] if line.strip()]
    if not lines:
        return ","
    found = next((mark for mark in (",", "\t", ";", "|") if mark in lines[0]), None)
    if found is not None:
        return found
    counts = {len(_SPACES.split(line.strip())) for line in lines}
    return " " if len(counts) == 1 and counts != {1} else ","


# --- objects -------------------------------------------------------------------------------------

Object = tuple[Any, int]
"""A row that should be a mapping, and its line."""


def _from_objects(path: Path, rows: Collection[Object], notes: tuple[str, ...] = ()) -> Table:
    faults = Faults()
    records = []
    for value, line in rows:
        source = f"{path}:{line}"
        if isinstance(value, TaskError):
            faults.add(str(value))
        elif not isinstance(value, dict):
            faults.add(f'{source}: should be an object such as {{"file_name": "a.png", ...}}')
        else:
            values = {str(name).strip(): _clean(one) for name, one in value.items()}
            records.append(Record(values, source, line))
    faults.check()
    columns = tuple(dict.fromkeys(name for record in records for name in record.values))
    return Table(path, columns, tuple(records), notes)


def _clean(value: Any) -> Any:
    """A cell without outer blanks, its lines ended alike."""
    if not isinstance(value, str):
        return value
    return value.replace("\r\n", "\n").replace("\r", "\n").strip()


def _json_lines(path: Path, text: str) -> list[Object]:
    rows: list[Object] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append((json.loads(line), number))
        except (ValueError, RecursionError) as problem:
            fault = f"{path}:{number}: is not JSON ({problem}): one object on each line"
            rows.append((TaskError(fault), number))
    return rows


def _json_array(path: Path, text: str) -> list[Object]:
    """A list of objects, or an object with one such list in it; rows count as lines."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as problem:
        raise TaskError(f"{path}:{problem.lineno}: is not JSON ({problem.msg})") from None
    except ValueError as problem:  # a number of thousands of digits
        raise TaskError(f"{path}: cannot be read ({problem})") from None
    except RecursionError:
        raise TaskError(f"{path}: is nested too deeply to be a table") from None
    lists = [one for one in value.values() if _is_rows(one)] if isinstance(value, dict) else []
    if not _is_rows(value) and len(lists) != 1:
        raise TaskError(f"{path}: should hold one list of objects, one for each example")
    rows = value if _is_rows(value) else lists[0]
    return [(row, number) for number, row in enumerate(rows, 1)]


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _parquet(path: Path) -> list[Object]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise _missing(path, "pyarrow") from None
    try:
        _check_size(path, path.stat().st_size)
        with parquet.ParquetFile(path) as file:
            groups = (file.metadata.row_group(n) for n in range(file.metadata.num_row_groups))
            _check_size(path, sum(group.total_byte_size for group in groups))
            rows = file.read().to_pylist()
    except TaskError:
        raise
    except Exception as problem:
        raise TaskError(f"{path}: cannot be read as Parquet ({_line(problem)})") from None
    return [(row, number) for number, row in enumerate(rows, 1)]


def _xlsx(path: Path) -> list[Object]:
    """The rows of the first sheet, under the names in its first row."""
    try:
        import openpyxl
    except ImportError:
        raise _missing(path, "openpyxl") from None
    try:
        with zipfile.ZipFile(path) as packed:
            _check_size(path, sum(part.file_size for part in packed.infolist()))
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except TaskError:
        raise
    except Exception as problem:
        raise TaskError(f"{path}: cannot be read as XLSX ({_line(problem)})") from None
    header = [str(name) for name in rows[0] if name is not None] if rows else []
    return [
        (dict(zip(header, map(_number_as_written, row), strict=False)), line)
        for line, row in enumerate(rows[1:], 2)
        if any(cell is not None for cell in row)
    ]


def _check_size(path: Path, size: int) -> None:
    """Raise `TaskError` for a table that is larger than `MAX_BYTES` when it is unpacked."""
    if size > MAX_BYTES:
        raise TaskError(f"{path}: is larger than {MAX_BYTES} bytes when unpacked: split it")


def _number_as_written(cell: Any) -> Any:
    """Spreadsheets keep 3 as 3.0."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _missing(path: Path, package: str) -> UsageError:
    return UsageError(
        f"{path}: needs {package}, which is not installed: pip install 'idealprompt[tables]', or "
        "save the table as CSV"
    )


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:120] or type(problem).__name__


BINARY: Mapping[str, Callable[[Path], list[Object]]] = {
    ".parquet": _parquet,
    ".xlsx": _xlsx,
}
SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", *BINARY)
"""Endings of files that may be tables."""


def as_text(value: Any) -> str:
    """A cell as text: "" for none, JSON for lists and objects, dates as ISO."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
