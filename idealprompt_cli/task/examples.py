"""Where a task folder keeps its examples: class folders or a metadata table, split or not.

Finds files and labels; opens no picture and decides no split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import TaskError
from ..core.nearest import did_you_mean
from ..core.task import Split
from .metadata import Entry, read_metadata
from .settings import FILE, Settings, normal

TABLES = ("metadata.jsonl", "metadata.csv")
SPLITS: tuple[Split, ...] = ("train", "test")
NOT_PICTURES = {
    ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".db", ".ini",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """An example as found; `split` is None where the folder names none."""

    id: str
    images: tuple[Path, ...]
    answer: str
    source: str
    split: Split | None


def find_rows(folder: Path, settings: Settings, *, loose: bool = False) -> list[Row]:
    """All examples of the folder, sorted by id; with `loose`, whatever their answers are. Raises
    `TaskError`."""
    if _table(folder):
        rows = list(_part(folder, folder, None, settings, loose))
    elif _is_split(folder, settings):
        present = [split for split in SPLITS if (folder / split).is_dir()]
        split_of = {split: split if "test" in present else None for split in present}
        rows = [
            row
            for split in present
            for row in _part(folder, folder / split, split_of[split], settings, loose)
        ]
    else:
        rows = list(_part(folder, folder, None, settings, loose))
    if not rows:
        raise TaskError(
            f"{folder}: holds no examples: put pictures into one sub-folder per label, or list "
            "them in a metadata.csv with the columns file_name and label"
        )
    _check_ids(rows)
    _check_answers(rows, settings)
    return sorted(rows, key=lambda row: row.id)


def _is_split(folder: Path, settings: Settings) -> bool:
    """Whether the sub-folders are parts (train/, test/) rather than labels."""
    names = {sub.name for sub in _folders(folder)}
    if "train" not in names or "train" in settings.labels:
        if "test" in names and "test" not in settings.labels and len(names) == 1:
            raise TaskError(f"{folder}: there is a test/ but no train/: add the training pictures")
        return False
    if names <= {"train", "test"}:
        return True
    if "test" not in names:
        return False
    other = min(names - {"train", "test"})
    raise TaskError(
        f"{folder / other}: stands beside train/ and test/: move its pictures into one of them "
        "(validation pictures belong into train/)"
    )


def _part(
    root: Path, part: Path, split: Split | None, settings: Settings, loose: bool
) -> Iterator[Row]:
    table = _table(part)
    if table is None:
        yield from _class_rows(root, part, split, settings)
        return
    fields = [field.name for field in settings.answer_schema.fields]
    structured = loose or settings.answer in ("json", "labels")
    for entry in read_metadata(table, structured=structured, fields=fields):
        if split and entry.split and split != entry.split:
            raise TaskError(
                f"{entry.source}: split is {entry.split!r} but the table is in {split}/"
            )
        yield _table_row(root, table, entry, split or entry.split)


def _table(folder: Path) -> Path | None:
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) > 1:
        raise TaskError(f"{folder}: holds both {TABLES[0]} and {TABLES[1]}: keep one")
    return found[0] if found else None


def _table_row(root: Path, table: Path, entry: Entry, split: Split | None) -> Row:
    images = tuple(_resolve(table.parent, name, entry.source) for name in entry.files)
    return Row(
        id=";".join(_relative(root, image) for image in images),
        images=images,
        answer=normal(entry.answer),
        source=entry.source,
        split=split,
    )


def _resolve(folder: Path, name: str, source: str) -> Path:
    """The file that a table names, which must lie inside the table's folder."""
    path = folder / name
    if not path.exists() and "\\" in name:
        name = name.replace("\\", "/")
        path = folder / name
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or (parts and ":" in parts[0][1:2]):
        raise TaskError(
            f"{source}: file_name {name!r} leads out of the folder: move the file inside"
        )
    if not path.exists():
        raise TaskError(
            f"{source}: file_name {name!r}: no such file: mend the name or drop the row"
        )
    return path


def _class_rows(root: Path, part: Path, split: Split | None, settings: Settings) -> Iterator[Row]:
    for folder in _folders(part):
        pictures = list(_pictures(folder))
        if pictures and settings.answer != "label":
            raise TaskError(
                f"{folder}: a class folder does not go with answer: {settings.answer}: list the "
                "answers in a metadata.csv"
            )
        if not pictures and normal(folder.name) in settings.labels:
            raise TaskError(f"{folder}: holds no pictures: add some, or drop the label")
        for path in pictures:
            source = f"{part}: class folder {folder.name}/"
            yield Row(_relative(root, path), (path,), normal(folder.name), source, split)


def _folders(folder: Path) -> list[Path]:
    found = [sub for sub in folder.iterdir() if sub.is_dir() and not _is_noise(sub.name)]
    return sorted(found, key=lambda sub: sub.name)


def _pictures(folder: Path) -> Iterator[Path]:
    """Files below `folder`, through links but never twice through the same folder."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_noise(name))
        for name in sorted(files):
            if is_picture_name(name):
                yield Path(place) / name


def is_picture_name(name: str) -> bool:
    """Whether a file of this name is taken for a picture: it is not hidden and no known text."""
    return not _is_noise(name) and Path(name).suffix.lower() not in NOT_PICTURES


def _is_noise(name: str) -> bool:
    return name.startswith((".", "__"))


def _relative(root: Path, path: Path) -> str:
    return normal(path.relative_to(root).as_posix())


def _check_ids(rows: list[Row]) -> None:
    first: dict[str, Row] = {}
    for row in rows:
        if row.id in first:
            raise TaskError(
                f"{row.source}: {row.id} is listed twice (first: {first[row.id].source}): drop one"
            )
        first[row.id] = row


def _check_answers(rows: list[Row], settings: Settings) -> None:
    for row in rows:
        if not row.answer:
            raise TaskError(
                f"{row.source}: {row.id} has an empty answer: fill it in or drop the row"
            )
        if settings.answer == "label" and settings.labels and row.answer not in settings.labels:
            raise TaskError(
                f"{row.source}: {row.answer!r} is none of the labels in {FILE}: "
                f"{did_you_mean(row.answer, settings.labels)}"
            )
