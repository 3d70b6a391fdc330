"""The labelled examples of a table with columns of any name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...core.errors import TaskError
from ...core.placeholders import fill
from ...core.task import Split
from ..examples import TABLES
from ..faults import Faults
from ..metadata import ANSWER_KEYS, FILE_KEY, SPLIT_KEY, accepted_answers
from ..settings import normal
from ..similar_names import same_but_for_spelling
from ..split_names import SHOULD_BE, split_of
from ..table_reader import SUFFIXES, Record, Table, as_text, read_table
from .answer_kinds import columns_as_json
from .columns import Roles, choose, looks_like_a_header
from .options import Found, Hints, Labelled

MISSING_VALUES = ("na", "n/a", "nan", "null", "none")
"""What tables write for a value that is not there; an empty cell is one in any case."""


def is_table_name(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def read_examples(path: Path, hints: Hints) -> Found:
    """The examples of a table. Raises `TaskError` that lists every row with a fault."""
    if not is_table_name(path.name):
        raise TaskError(
            f"{path}: is not a table: name a folder, or a file that ends in {', '.join(SUFFIXES)}"
        )
    table = read_table(
        path,
        encoding=hints.encoding or "utf-8",
        guess_encoding=not hints.encoding,
        has_header=_has_header(path, hints),
    )
    if not table.records:
        raise TaskError(f"{path}: holds no rows: it needs a header and a row for each example")
    roles = choose(table, hints)
    reading = _Reading(table, roles, hints)
    rows = reading.rows()
    return Found(
        path,
        path.parent,
        "table",
        tuple(rows),
        _how(roles),
        notes=(*table.notes, *reading.notes()),
        columns=roles.labels if len(roles.labels) > 1 else (),
        inputs=roles.fields,
        unused=roles.unused,
        native=_is_native(path, table, roles) and not reading.counted,
    )


def _is_native(path: Path, table: Table, roles: Roles) -> bool:
    """Whether the file is what a task folder calls its metadata."""
    return (
        path.name in TABLES
        and not table.notes
        and roles.file.lower() in ("", FILE_KEY)
        and not roles.template
        and len(roles.labels) == 1
        and roles.labels[0].lower() in ANSWER_KEYS
        and roles.split.lower() in ("", SPLIT_KEY)
    )


def _has_header(path: Path, hints: Hints) -> Any:
    if hints.header is not None:
        return lambda cells: hints.header
    return partial(looks_like_a_header, path.parent)


def _how(roles: Roles) -> str:
    """The choice of columns in words."""
    parts = [f"{roles.file!r} (image)"] if roles.file else []
    parts += [f"{roles.template!r} (image)"] if roles.template else []
    parts += [f"{name!r} (text)" for name in roles.fields]
    parts += [f"{', '.join(repr(name) for name in roles.labels)} (label)"]
    parts += [f"{roles.split!r} (split)"] if roles.split else []
    return "columns " + " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _counted(text: str, count: int) -> str:
    """A note with its number, in the singular for one."""
    if count == 1:
        for many, one in _SINGULAR:
            text = text.replace(many, one, 1)
    return text.format(count=count)


_SINGULAR = (
    ("rows have ", "row has "),
    ("rows name ", "row names "),
    ("rows repeat ", "row repeats "),
    ("rows with ", "row with "),
    ("names match ", "name matches "),
    (" are left out", " is left out"),
)


@dataclass
class _Reading:
    """One pass over the rows: collects faults and counts what is left out."""

    table: Table
    roles: Roles
    hints: Hints
    faults: Faults = field(default_factory=Faults)
    counted: Counter[str] = field(default_factory=Counter)
    no_splits: dict[str, list[str]] = field(default_factory=dict)

    def rows(self) -> list[Labelled]:
        """The examples that can be used. Raises `TaskError` for those that should be and cannot."""
        found = [row for record in self._with_answers() if (row := self._row(*record))]
        self._check_splits()
        self.faults.check()
        if not found:
            raise TaskError(f"{self.table.path}: no row can be used: {'; '.join(self.notes())}")
        return self._without_repeats(found)

    def notes(self) -> list[str]:
        return [_counted(text, count) for text, count in self.counted.items()]

    def _with_answers(self) -> Iterator[tuple[Record, Any]]:
        """Rows with their cell of answers; several columns make one JSON object."""
        names, records = self.roles.labels, self.table.records
        if len(names) == 1:
            yield from ((record, record.values.get(names[0])) for record in records)
            return
        cells = {name: [as_text(record.values.get(name)) for record in records] for name in names}
        yield from zip(records, columns_as_json(cells), strict=True)

    def _row(self, record: Record, cell: Any) -> Labelled | None:
        answers = self._answers(record, cell)
        images = self._images(record) if answers else None
        if not answers or images is None:
            return None
        fields = {name: as_text(record.values.get(name)) for name in self.roles.fields}
        if not images and not any(fields.values()):
            self._leave_out(
                record, "image and text are empty: fill one in", "have neither image nor text"
            )
            return None
        return Labelled(images, answers, self._split(record), fields, record.source)

    def _answers(self, record: Record, cell: Any) -> tuple[str, ...]:
        texts = [normal(as_text(one)) for one in accepted_answers(cell, self.hints.answer or "any")]
        column = ", ".join(self.roles.labels)
        if not all(texts):
            self._leave_out(record, f"{column} is empty: fill it in", "have no answer")
            return ()
        if all(text.lower() in MISSING_VALUES for text in texts):
            if self.hints.skip_missing:
                self.counted["{count} rows with NA for an answer are left out"] += 1
                return ()
            note = f"{{count}} rows have {texts[0]!r} for an answer, which is kept as a label"
            self.counted[f"{note} (--skip-missing leaves them out)"] += 1
        return tuple(texts)

    def _leave_out(self, record: Record, fault: str, counted: str) -> None:
        """A row that lacks something: counted with --skip-missing, otherwise a fault."""
        if self.hints.skip_missing:
            self.counted[f"{{count}} rows {counted} and are left out"] += 1
        else:
            self.faults.add(f"{record.source}: {fault}, delete the row, or give --skip-missing")

    def _images(self, record: Record) -> tuple[Path, ...] | None:
        """The row's pictures, () where it names none, None where one is not there."""
        found = []
        for name in self._names(record):
            path = self._existing(name)
            if path is None:
                self._leave_out(
                    record,
                    f"{name!r}: no such image: fix the name",
                    "name an image that is not there",
                )
                return None
            found.append(path)
        return tuple(found)

    def _names(self, record: Record) -> list[str]:
        if self.roles.template:
            cells = {name: as_text(value) for name, value in record.values.items()}
            return ["".join(fill(self.roles.template, cells))]
        value = record.values.get(self.roles.file) if self.roles.file else None
        if isinstance(value, list):
            return [str(one) for one in value]
        written = as_text(value)
        if ";" not in written or (self.table.path.parent / written).exists():
            return [written] if written else []
        return [name.strip() for name in written.split(";") if name.strip()]

    def _existing(self, name: str) -> Path | None:
        folder = self.table.path.parent
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            if (folder / spelling).is_file():
                return folder / spelling
        other = same_but_for_spelling(folder, name)
        if other:
            self.counted["{count} names match a file but for letter case or Unicode form"] += 1
        return folder / other if other else None

    def _split(self, record: Record) -> Split | None:
        cell = as_text(record.values.get(self.roles.split)) if self.roles.split else ""
        split = split_of(cell)
        if cell and split is None:
            self.no_splits.setdefault(cell, []).append(record.source)
        return split

    def _check_splits(self) -> None:
        """A fault for each value that names no split, however many rows have it."""
        for cell, sources in self.no_splits.items():
            rows = "" if len(sources) == 1 else f" in {len(sources)} rows"
            self.faults.add(
                f"{sources[0]}: {self.roles.split} is {cell!r}{rows}: {SHOULD_BE}; a column that "
                "is no split needs another name"
            )

    def _without_repeats(self, rows: Sequence[Labelled]) -> list[Labelled]:
        """Rows that are not the same as an earlier one; the same with another answer is a fault."""
        first: dict[tuple[object, ...], Labelled] = {}
        for row in rows:
            key = (row.images, *_items(row.fields))
            earlier = first.setdefault(key, row)
            if earlier is row:
                continue
            if earlier.answers == row.answers and earlier.split == row.split:
                self.counted["{count} rows repeat an earlier one and are left out"] += 1
            elif row.images:
                self.faults.add(
                    f"{row.source}: {'; '.join(path.name for path in row.images)!r} is listed "
                    f"twice (first: {earlier.source}): delete one, or put both answers into one "
                    'row as ["a", "b"]'
                )
            else:
                self.faults.add(
                    f"{row.source}: the same text as {earlier.source} but {row.answer!r} instead "
                    f"of {earlier.answer!r}: keep the right one"
                )
        self.faults.check()
        kept = list(first.values())
        if len({row.split is None for row in kept}) > 1:
            row = next(one for one in kept if one.split is None)
            raise TaskError(
                f"{row.source}: {self.roles.split} is empty while other rows have one: fill in "
                "all or none"
            )
        return kept


def _items(fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(fields.items())


def cell_text(value: object) -> str:
    """A value of a JSON answer as a cell of its own column."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
