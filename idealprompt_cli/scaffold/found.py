"""What labelled pictures there are at a place, and in which form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import TaskError
from ..task.examples import find_rows, is_picture_name
from ..task.settings import FILE, blank_settings, normal
from .names import PLACES, read_labels
from .tables import read_sheet

Form = Literal["class folders", "metadata table", "table", "file names"]
Kind = Literal["label", "text"]
READY: tuple[Form, ...] = ("class folders", "metadata table")
"""Forms that a task folder may have as they are."""
TABLES = (".csv", ".tsv", ".jsonl")
MOST_LABELS = 50


@dataclass(frozen=True)
class Labelled:
    """One example: its pictures, its answer, its part ("" where none is named)."""

    images: tuple[Path, ...]
    answer: str
    split: str = ""


@dataclass(frozen=True)
class Hints:
    """What the user says of the source; "" means guess."""

    label_from: str = ""
    file_column: str = ""
    label_column: str = ""


@dataclass(frozen=True)
class Found:
    """The examples at `source`; `root` is the folder that the pictures lie in. `how` says what was
    taken for the label, `doubts` what else it could have been."""

    source: Path
    root: Path
    form: Form
    rows: tuple[Labelled, ...]
    how: str
    doubts: tuple[str, ...] = ()
    kind: Kind = "label"

    def counts(self) -> dict[str, int]:
        """Examples of each label, in the order of the labels."""
        return dict(sorted(Counter(row.answer for row in self.rows).items()))


def find(source: Path, hints: Hints = Hints()) -> Found:
    """The labelled pictures at a folder or table. Raises `TaskError`."""
    if not source.exists():
        raise TaskError(f"{source}: no such file or folder: name where the labelled pictures are")
    found = _table(source, hints) if source.is_file() else _folder(source, hints)
    return replace(found, kind=_kind(found))


def _kind(found: Found) -> Kind:
    """Free text where nearly every answer is another one."""
    different = len(found.counts())
    many = different > MOST_LABELS or different > max(10, len(found.rows) // 2)
    return "text" if found.form in ("table", "metadata table") and many else "label"


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
    rows = find_rows(folder, blank_settings(folder / FILE))
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
    sheet = read_sheet(table, hints.file_column, hints.label_column)
    rows = []
    for entry in sheet.entries:
        images = tuple(
            _existing(table.parent, name, entry.source)
            for written in entry.files
            for name in _split_names(table.parent, written)
        )
        rows.append(Labelled(images, normal(entry.answer), entry.split))
    if len({bool(row.split) for row in rows}) > 1:
        raise TaskError(f"{table}: some rows have a split and others none: fill in all or none")
    how = f"columns {sheet.file_column!r} (picture) and {sheet.label_column!r} (label)"
    return Found(table, table.parent, "table", tuple(rows), how)


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
