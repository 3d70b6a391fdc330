"""The task folder that is made of what was found: `task.yaml`, a table, links or copies."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import TaskError
from ...io.files import reason, remove_leftovers, temporary_folder, write_text
from ...io.locks import wait_for_lock
from ..metadata import SPLIT_KEY
from ..settings import FILE
from .options import READY, Found, Labelled
from .tables import cell_text
from .task_yaml import default_question, task_yaml

TABLE = "metadata.csv"
PICTURES = "pictures"


@dataclass(frozen=True)
class Draft:
    """What will be written: texts by file name, and pictures by (source, place in the folder);
    `fresh` are the folders that have to be made, outermost first. `sources` maps lines of the new
    table to places in the user's data."""

    folder: Path
    texts: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[Path, str], ...]
    copies: bool
    question: str
    metric: str
    fresh: tuple[Path, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def plan(folder: Path, found: Found, *, question: str = "", copy: bool = False) -> Draft:
    """What `write` would do. Raises `TaskError` where something would be overwritten."""
    inside = _is_inside(found.root, folder)
    placed = _places(found.rows, found.root, folder if inside else None)
    asked = question or default_question(found)
    settings = task_yaml(folder, found, asked, guessed=not question)
    texts = [(FILE, settings.text)]
    sources: dict[str, str] = {}
    as_it_is = inside and found.root == folder and found.form in READY and not found.selected
    if not as_it_is:
        table, sources = _table(found, folder, placed)
        texts.append((TABLE, table))
    draft = Draft(
        folder,
        tuple(texts),
        tuple(placed.items()),
        copy,
        asked,
        settings.metric,
        tuple(_missing_folders(folder)),
        sources,
    )
    _check_free(draft)
    return draft


def write(draft: Draft) -> None:
    """Make the folder, whole or not at all. Raises `TaskError` if the system refuses, or another
    process made it meanwhile; then nothing is left of it."""
    inside = draft.folder.is_dir()
    parent = draft.folder if inside else draft.folder.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        with temporary_folder(parent) as new:
            _fill(new, draft)
            (_move_in if inside else _put)(new, draft)
    except OSError as problem:
        _remove_empty(draft)
        raise TaskError(f"{draft.folder}: cannot be written ({reason(problem)})") from None
    except BaseException:
        _remove_empty(draft)
        raise


def undo(draft: Draft) -> None:
    """Remove what `write` made; it saw that none of it was there before."""
    for name, _ in draft.texts:
        with suppress(OSError):
            (draft.folder / name).unlink(missing_ok=True)
    if draft.pictures:
        shutil.rmtree(draft.folder / PICTURES, ignore_errors=True)
    _remove_empty(draft)


def _remove_empty(draft: Draft) -> None:
    """Remove the folders that had to be made, where nothing is in them."""
    for folder in reversed(draft.fresh):
        with suppress(OSError):
            folder.rmdir()


def in_terms_of_the_source(draft: Draft, text: str) -> str:
    """A message about the new folder, as one about the data that it was made of."""
    for path, place in sorted(draft.pictures, key=lambda pair: -len(pair[1])):
        text = text.replace(str(draft.folder / place), str(path))
    table = f"{draft.folder / TABLE}:"
    for line, source in draft.sources.items() if table in text else ():
        text = text.replace(f"{table}{line}:", f"{source}:")
    return text


def _fill(folder: Path, draft: Draft) -> None:
    """Write everything into a new folder. Raises `TaskError` and OSError."""
    for source, place in draft.pictures:
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if draft.copies:
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source.resolve())
    try:
        for name, text in draft.texts:
            write_text(folder / name, text, TaskError)
    except TaskError as problem:
        raise TaskError(str(problem).replace(str(folder), str(draft.folder))) from None


def _put(new: Path, draft: Draft) -> None:
    """Give the new folder its name, which a task of another process may have by now."""
    try:
        new.replace(draft.folder)
    except OSError:
        _check_free(draft)
        raise


def _move_in(new: Path, draft: Draft) -> None:
    """Move everything into the folder that is there, where nothing is in the way."""
    with _locked(draft.folder):
        _check_free(draft)
        for name in (PICTURES, TABLE, FILE):  # the last one makes the folder a task
            if (new / name).exists():
                (new / name).replace(draft.folder / name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, where the system has locks on folders."""
    handle = -1
    try:
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            if not wait_for_lock(handle, 10.0):
                raise TaskError(f"{folder}: another process is making this task: try again")
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def _missing_folders(folder: Path) -> list[Path]:
    """The folder and those above it that are not there, outermost first."""
    chain = [folder, *folder.parents]
    return [path for path in reversed(chain) if not path.exists()]


def _is_inside(root: Path, folder: Path) -> bool:
    return root.resolve().is_relative_to(folder.resolve())


def _places(rows: Sequence[Labelled], root: Path, home: Path | None) -> dict[Path, str]:
    """Picture -> its place in the new folder: as it lies under `root`, or by its name where it lies
    elsewhere. Never outside the folder. Pictures that are in `home` already stay there."""
    places: dict[Path, str] = {}
    taken: set[str] = set()
    base = _absolute(root)
    for path in (image for row in rows for image in row.images):
        if path in places:
            continue
        real = _absolute(path)
        if home is not None and real.is_relative_to(_absolute(home)):
            continue
        kept = real.relative_to(base) if real.is_relative_to(base) else Path(real.name)
        places[path] = _free(f"{PICTURES}/{kept.as_posix()}", taken)
    return places


def _absolute(path: Path) -> Path:
    """The path without `..`, with links as they are."""
    return Path(os.path.normpath(Path.cwd() / path))


def _free(place: str, taken: set[str]) -> str:
    """The place, or with a number where two pictures of one name come from two folders."""
    path, tried, number = Path(place), place, 2
    while tried in taken:
        tried = path.with_stem(f"{path.stem}-{number}").as_posix()
        number += 1
    taken.add(tried)
    return tried


def _table(found: Found, folder: Path, placed: Mapping[Path, str]) -> tuple[str, dict[str, str]]:
    """The new table, and the place in the user's data that each of its lines comes from. Each field
    of a JSON answer that was a column gets one of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    answers = [field.name for field in found.schema.fields] if found.columns else []
    pictures = any(row.images for row in found.rows)
    split = any(row.split for row in found.rows)
    answer = "label" if found.kind == "label" else "answer"
    writer.writerow(
        [
            *(["file_name"] if pictures else []),
            *found.inputs,
            *(answers or [answer]),
            *([SPLIT_KEY] if split else []),
        ]
    )
    sources: dict[str, str] = {}
    line = 1
    for row in found.rows:
        names = [placed.get(path) or _relative(path, folder) for path in row.images]
        values = json.loads(row.answer) if answers else {}
        cells = [
            *([";".join(names)] if pictures else []),
            *row.fields.values(),
            *([cell_text(values[name]) for name in answers] or [_answer_cell(row)]),
            *([row.split or ""] if split else []),
        ]
        writer.writerow(cells)
        line += 1 + sum(cell.count("\n") for cell in cells)
        sources[str(line)] = row.source
    return text.getvalue(), sources


def _answer_cell(row: Labelled) -> str:
    """The answer, or the list of those that are accepted."""
    if len(row.answers) == 1:
        return row.answer
    return json.dumps(row.answers, ensure_ascii=False)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _check_free(draft: Draft) -> None:
    names = [name for name, _ in draft.texts] + ([PICTURES] if draft.pictures else [])
    for name in names:
        target = draft.folder / name
        if target.exists() or target.is_symlink():
            raise TaskError(
                f"{target}: is there already and is not overwritten: move it away, or make the "
                "task in another folder"
            )
