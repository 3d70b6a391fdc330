"""What labelled pictures there are at a place, and in which form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...core.answer_schema import PLAIN, AnswerKind, AnswerSchema
from ...core.errors import TaskError
from ..examples import find_rows, is_picture_name
from ..settings import FILE, blank_settings, normal
from .answer_kinds import count_labels, formed, guess
from .file_names import PLACES, read_labels
from .tables import read_sheet

Form = Literal["class folders", "metadata table", "table", "file names"]
READY: tuple[Form, ...] = ("class folders", "metadata table")
"""Forms that a task folder may have as they are."""
TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Labelled:
    """One example: its pictures, its answer, its part ("" where none is named)."""

    images: tuple[Path, ...]
    answer: str
    split: str = ""


@dataclass(frozen=True)
class Hints:
    """What the user says of the source; "" and () mean guess."""

    label_from: str = ""
    file_column: str = ""
    label_columns: tuple[str, ...] = ()
    answer: AnswerKind | Literal[""] = ""


@dataclass(frozen=True)
class Found:
    """The examples at `source`; `root` is the folder that the pictures lie in. `how` says what was
    taken for the label, `doubts` what else it could have been, `shape` what the answers are made
    of, `columns` the columns that a JSON answer is spread over."""

    source: Path
    root: Path
    form: Form
    rows: tuple[Labelled, ...]
    how: str
    doubts: tuple[str, ...] = ()
    kind: AnswerKind = "label"
    shape: AnswerSchema = PLAIN
    columns: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Examples of each label, in the order of the labels."""
        answers = [row.answer for row in self.rows]
        each = count_labels(answers) if self.kind == "labels" else answers
        return dict(sorted(Counter(each).items()))


def find(source: Path, hints: Hints = Hints()) -> Found:
    """The labelled pictures at a folder or table. Raises `TaskError`."""
    if not source.exists():
        raise TaskError(f"{source}: no such file or folder: name where the labelled pictures are")
    found = _table(source, hints) if source.is_file() else _folder(source, hints)
    answers = [row.answer for row in found.rows]
    kind = hints.answer or guess(answers, found.form in ("table", "metadata table"))
    if kind != "label" and found.form in ("class folders", "file names"):
        raise TaskError(f"{source}: answer {kind} needs a table with the answers: give --from")
    places = [str(row.images[0]) for row in found.rows]
    answers, shape = formed(answers, kind, places)
    rows = tuple(replace(row, answer=a) for row, a in zip(found.rows, answers, strict=True))
    if kind == "label" and len(set(answers)) == 1:
        raise TaskError(
            f"{source}: every picture has the label {answers[0]!r} (by {found.how}): a label task "
            "needs two or more"
        )
    return replace(found, rows=rows, kind=kind, shape=shape)


def _folder(folder: Path, hints: Hints) -> Found:
    if not any(folder.iterdir()):
        raise TaskError(f"{folder}: the folder is empty: put labelled pictures into it")
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in TABLES)
    ready = [path for path in tables if path.name in ("metadata.csv", "metadata.jsonl")]
    loose = _loose_pictures(folder)
    if loose and not tables:
        return _names(folder, loose, hints)
    if len(tables) == 1 and not ready:
        return replace(_table(tables[0], hints), source=folder)
    if len(tables) > 1 and not ready:
        names = ", ".join(path.name for path in tables)
        raise TaskError(f"{folder}: holds several tables ({names}): name one with --from")
    if ready and hints.label_columns:
        return replace(_table(ready[0], hints), source=folder, form="metadata table")
    rows = find_rows(folder, blank_settings(folder / FILE), loose=True)
    form: Form = "metadata table" if ready or _has_tables(folder) else "class folders"
    how = "from the metadata table" if form == "metadata table" else "the folders' names"
    split = {row.split for row in rows} != {None}
    return Found(
        folder,
        folder,
        form,
        tuple(Labelled(row.images, row.answer, row.split or "") for row in rows),
        how + (", with train and test as they are" if split else ""),
    )


def _has_tables(folder: Path) -> bool:
    return any(folder.glob("t*/metadata.*"))


def _loose_pictures(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.is_file() and path.name != FILE]
    return sorted(path for path in files if is_picture_name(path.name))


def _names(folder: Path, pictures: list[Path], hints: Hints) -> Found:
    guess = read_labels([path.stem for path in pictures], hints.label_from, str(folder))
    rows = zip(pictures, guess.labels, strict=True)
    return Found(
        folder,
        folder,
        "file names",
        tuple(Labelled((path,), normal(label)) for path, label in rows),
        f"file names: {PLACES[guess.place][1]} (--label-from {guess.place})",
        tuple(f"it could also be {PLACES[name][1]}: --label-from {name}" for name in guess.others),
    )


def _table(table: Path, hints: Hints) -> Found:
    if table.suffix.lower() not in TABLES:
        raise TaskError(f"{table}: is no table: name a folder, or a .csv, .tsv or .jsonl file")
    sheet = read_sheet(table, hints.file_column, hints.label_columns)
    rows, first = [], dict[tuple[Path, ...], str]()
    for entry in sheet.entries:
        images = tuple(
            _existing(table.parent, name, entry.source)
            for written in entry.files
            for name in _split_names(table.parent, written)
        )
        if first.setdefault(images, entry.source) != entry.source:
            raise TaskError(
                f"{entry.source}: {'; '.join(entry.files)!r} is listed twice (first: "
                f"{first[images]}): drop one"
            )
        rows.append(Labelled(images, normal(entry.answer), entry.split))
    if len({bool(row.split) for row in rows}) > 1:
        raise TaskError(f"{table}: some rows have a split and others none: fill in all or none")
    columns = ", ".join(repr(name) for name in sheet.label_columns)
    how = f"columns {sheet.file_column!r} (picture) and {columns} (label)"
    several = sheet.label_columns if len(sheet.label_columns) > 1 else ()
    return Found(table, table.parent, "table", tuple(rows), how, columns=several)


def _split_names(folder: Path, written: str) -> list[str]:
    """Several pictures of one row are joined by a semicolon."""
    if ";" not in written or (folder / written).exists():
        return [written]
    return [name.strip() for name in written.split(";") if name.strip()]


def _existing(folder: Path, name: str, source: str) -> Path:
    for path in (folder / name, folder / name.replace("\\", "/")):
        if path.is_file():
            return path
    raise TaskError(f"{source}: {name!r}: no such picture: mend the name or drop the row")
