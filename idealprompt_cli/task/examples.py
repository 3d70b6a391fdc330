"""Where a task folder keeps its examples: class folders or a metadata table, in splits or not.

Finds files and answers; opens no picture and draws no split.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import TaskError
from ..core.nearest import did_you_mean
from ..core.placeholders import placeholder_names
from ..core.task import Split
from .faults import Faults
from .metadata import Columns, Entry, Kind, read_metadata
from .settings import FILE, Settings, normal
from .similar_names import hint_for_missing
from .split_names import split_of

TABLES = ("metadata.jsonl", "metadata.csv")
NOT_PICTURES = {
    ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".db", ".ini", ".parquet",
    ".xlsx", ".ndjson",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """An example as found; `split` is None where the folder names none. `answers` are all that
    count as right, the preferred one first; `unused` are columns with texts that the question does
    not refer to."""

    id: str
    images: tuple[Path, ...]
    answers: tuple[str, ...]
    source: str
    split: Split | None
    fields: Mapping[str, str] = field(default_factory=dict)
    line: int = 0
    unused: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        return self.answers[0]


def find_rows(folder: Path, settings: Settings, *, any_answer: bool = False) -> list[Row]:
    """All examples of the folder: those with pictures sorted by id, others by line. With
    `any_answer`, answers may be of any kind. Raises `TaskError`."""
    splits = {} if _table(folder) else _split_folders(folder, settings)
    if splits:
        rows = [
            row
            for part, split in splits.items()
            for row in _rows_in(folder, part, split, settings, any_answer)
        ]
        if set(splits.values()) == {"train"}:
            rows = [replace(row, split=None) for row in rows]
    else:
        rows = list(_rows_in(folder, folder, None, settings, any_answer))
    if not rows:
        raise TaskError(
            f"{folder}: holds no examples: put images into one sub-folder per label, or list "
            "them in a metadata.csv with the columns file_name and label"
        )
    rows = _with_own_ids(rows)
    _check_answers(rows, settings)
    return sorted(rows, key=lambda row: ("" if not row.images else row.id, row.line, row.id))


# --- splits as folders ---------------------------------------------------------------------------


def _split_folders(folder: Path, settings: Settings) -> dict[Path, Split]:
    """Folders that are splits rather than labels, with the split of each; {} where they are
    labels. Folders that all have names of splits are never labels, unless task.yaml says so."""
    found = {sub: split for sub in folders_in(folder) if (split := split_of(sub.name))}
    others = [sub for sub in folders_in(folder) if sub not in found]
    if not found or any(normal(sub.name) in settings.labels for sub in found):
        return {}
    if others:
        if len(set(found.values())) < 2 or "train" not in found.values():
            return {}
        names = " and ".join(f"{sub.name}/" for sub in found)
        raise TaskError(
            f"{others[0]}: is not a split but lies beside {names}: move its examples into one of "
            "them, or move it out"
        )
    if "train" not in found.values():
        names = " and ".join(f"{sub.name}/" for sub in found)
        verb = "is a" if len(found) == 1 else "are"
        raise TaskError(f"{folder}: there {verb} {names} but no train/: add the training examples")
    order: tuple[Split, ...] = ("train", "validation", "test")
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1]), item[0].name)))


# --- tables --------------------------------------------------------------------------------------


def _rows_in(
    root: Path, part: Path, split: Split | None, settings: Settings, any_answer: bool
) -> Iterator[Row]:
    table = _table(part)
    if table is None:
        yield from _class_rows(root, part, split, settings)
        return
    columns = Columns(inputs_of(settings), tuple(settings.declared.fields))
    kind: Kind = "any" if any_answer else settings.answer
    faults = Faults()
    for entry in read_metadata(table, columns, kind=kind):
        if split and entry.split and split != entry.split:
            faults.add(f"{entry.source}: split is {entry.split!r} but the table is in {part.name}/")
            continue
        try:
            yield _table_row(root, table, entry, split or entry.split)
        except TaskError as problem:
            faults.add(str(problem))
    faults.check()


def inputs_of(settings: Settings) -> tuple[str, ...]:
    """The columns that the question refers to."""
    return placeholder_names(settings.question)


def _table(folder: Path) -> Path | None:
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) > 1:
        raise TaskError(f"{folder}: holds both {TABLES[0]} and {TABLES[1]}: keep one")
    return found[0] if found else None


def _table_row(root: Path, table: Path, entry: Entry, split: Split | None) -> Row:
    images = tuple(_resolve(table.parent, name, entry.source) for name in entry.files)
    place = ";".join(_relative(root, image) for image in images)
    if not images:
        place = _relative(root, table.parent / f"line-{entry.line:06}")
    answers = tuple(normal(one) for one in entry.answers)
    return Row(place, images, answers, entry.source, split, entry.fields, entry.line, entry.unused)


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
            f"{source}: file_name {name!r}: no such file: {hint_for_missing(folder, name)}"
        )
    return path


# --- class folders -------------------------------------------------------------------------------


def _class_rows(root: Path, part: Path, split: Split | None, settings: Settings) -> Iterator[Row]:
    for folder in folders_in(part):
        pictures = list(_pictures(folder))
        if pictures and settings.answer != "label":
            raise TaskError(
                f"{folder}: a class folder does not go with answer: {settings.answer}: list the "
                "answers in a metadata.csv"
            )
        if pictures and (names := inputs_of(settings)):
            raise settings.fail(
                "question",
                f"refers to {{{names[0]}}}, but class folders have no text fields: list the "
                "examples in a metadata.csv with that column, or double braces that are text",
            )
        if not pictures and normal(folder.name) in settings.labels:
            raise TaskError(f"{folder}: holds no images: add some, or delete the label")
        for path in pictures:
            source = f"{part}: class folder {folder.name}/"
            yield Row(_relative(root, path), (path,), (normal(folder.name),), source, split)


def folders_in(folder: Path) -> list[Path]:
    """Sub-folders that are not hidden, sorted by name."""
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
    """Whether a file name may be an image: it is neither hidden nor a known kind of text."""
    return not _is_noise(name) and Path(name).suffix.lower() not in NOT_PICTURES


def _is_noise(name: str) -> bool:
    return name.startswith((".", "__"))


def _relative(root: Path, path: Path) -> str:
    return normal(path.relative_to(root).as_posix())


# --- checks --------------------------------------------------------------------------------------


def _with_own_ids(rows: list[Row]) -> list[Row]:
    """Rows about one picture get the line into their id. Raises `TaskError` for rows that are the
    same in everything that the model sees."""
    faults = Faults()
    first: dict[tuple[str, tuple[tuple[str, str], ...]], Row] = {}
    for row in rows if any(row.images for row in rows) else ():
        same = first.setdefault((row.id, tuple(row.fields.items())), row)
        if same is not row and row.images:
            faults.add(
                f"{row.source}: {row.id} is listed twice (first: {same.source}): delete one, or "
                "list all its accepted answers in one row"
            )
    faults.check()
    often = Counter(row.id for row in rows)
    return [replace(row, id=f"{row.id}#{row.line}") if often[row.id] > 1 else row for row in rows]


def _check_answers(rows: list[Row], settings: Settings) -> None:
    faults = Faults()
    for row in rows:
        if not row.answers or not all(row.answers):
            faults.add(f"{row.source}: {row.id} has an empty answer: fill it in or delete the row")
        elif settings.answer == "label" and settings.labels:
            for answer in row.answers:
                if answer not in settings.labels:
                    faults.add(
                        f"{row.source}: {answer!r} is none of the labels in {FILE}: "
                        f"{did_you_mean(answer, settings.labels)}"
                    )
    faults.check()
