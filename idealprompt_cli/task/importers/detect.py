"""What labelled examples there are at a place, and in which form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...core.answer_schema import AnswerKind
from ...core.errors import TaskError
from ..answer_forms import in_one_form
from ..examples import TABLES, find_rows, folders_in, is_picture_name
from ..settings import FILE, blank_settings, normal
from ..split_names import split_of
from .answer_kinds import Guess, guess
from .file_names import PLACES, read_labels
from .options import Form, Found, Hints, Labelled
from .selection import select
from .tables import is_table_name, read_examples


def find(source: Path, hints: Hints) -> Found:
    """The labelled examples at a folder or table. Raises `TaskError`."""
    if not source.exists():
        raise TaskError(f"{source}: no such file or folder: name where the labelled examples are")
    if not source.is_file() and not source.is_dir():
        raise TaskError(
            f"{source}: is a pipe or device: save the table as a file, because images are found "
            "relative to it"
        )
    found = read_examples(source, hints) if source.is_file() else _folder(source, hints)
    found = _with_answers(found, hints)
    strays = _pictures_without_a_row(found)
    if strays:
        found = replace(found, notes=(*found.notes, strays))
    found = select(found, hints.only_labels, hints.sampling)
    labels = found.labels()
    if found.kind == "label" and len(labels) == 1:
        raise TaskError(
            f"{source}: every example has the label {labels[0]!r} (by {found.how}): a label task "
            f"needs two or more ({_other_labels(found)})"
        )
    return found


def _other_labels(found: Found) -> str:
    """Where there may be more labels than one."""
    if found.form != "class folders":
        return "--label-column names another column, --answer text takes free answers"
    inside = folders_in(found.source)
    if len(inside) == 1 and len(folders_in(inside[0])) > 1:
        return f"for the folders inside: --from {inside[0]}"
    return "put the images of each label into a folder of its own"


def _with_answers(found: Found, hints: Hints) -> Found:
    """The same with its answers in the form of their kind."""
    tabular = found.form in ("table", "metadata table")
    answers = [row.answers for row in found.rows]
    questions = "question" in [name.lower() for name in found.inputs]
    guessed = Guess(hints.answer or "label")
    if tabular and not hints.answer:
        guessed = guess(answers, questions=questions)
    kind: AnswerKind = guessed.kind
    if kind != "label" and not tabular:
        raise TaskError(
            f"{found.source}: --answer {kind} needs a table with the answers: give --from"
        )
    forms, schema = in_one_form(
        answers,
        kind,
        found.schema,
        lambda position: _place(found.rows[position]),
        declared=False,
    )
    rows = tuple(replace(row, answers=own) for row, own in zip(found.rows, forms, strict=True))
    notes = (*found.notes, guessed.note) if guessed.note else found.notes
    return replace(found, rows=rows, kind=kind, schema=schema, notes=notes)


def _place(row: Labelled) -> str:
    return row.source or str(row.images[0])


def _pictures_without_a_row(found: Found) -> str:
    """How many pictures lie beside those of a table, and are in none of its rows."""
    if found.form != "table":
        return ""
    named = {image for row in found.rows for image in row.images}
    folders = {image.parent for image in named}
    count = sum(
        1
        for folder in folders
        for path in folder.iterdir()
        if path not in named and is_picture_name(path.name) and path.is_file()
    )
    what = (
        "1 image in the same folders has"
        if count == 1
        else f"{count} images in the same folders have"
    )
    return f"{what} no row that is used" if count else ""


# --- folders -------------------------------------------------------------------------------------


def _folder(folder: Path, hints: Hints) -> Found:
    if not any(folder.iterdir()):
        raise TaskError(f"{folder}: the folder is empty: put labelled examples into it")
    tables = sorted(path for path in folder.iterdir() if is_table_name(path.name))
    tables = [path for path in tables if path.is_file()]
    tables = [path for path in tables if path.suffix != ".txt"] or tables
    ready = [path for path in tables if path.name in TABLES]
    loose = _loose_pictures(folder)
    classes = any(_has_pictures(sub) for sub in folders_in(folder))
    if ready:
        found = read_examples(ready[0], hints)
        form: Form = "metadata table" if found.native else "table"
        return replace(found, source=folder, form=form)
    if loose and not tables:
        return _names(folder, loose, hints)
    if len(tables) == 1 and not _is_text(tables[0], classes):
        return replace(read_examples(tables[0], hints), source=folder)
    if len(tables) > 1 and not classes:
        names = ", ".join(path.name for path in tables)
        raise TaskError(f"{folder}: holds several tables ({names}): name one with --from")
    return _task_like(folder, hints)


def _is_text(path: Path, classes: bool) -> bool:
    """Whether a file that might be a table is rather a note beside class folders."""
    return classes and path.suffix.lower() in (".txt", ".json")


def _has_pictures(folder: Path) -> bool:
    return any(is_picture_name(path.name) for path in folder.iterdir() if path.is_file())


def _task_like(folder: Path, hints: Hints) -> Found:
    """Class folders, or splits with class folders or tables in them."""
    settings = blank_settings(folder / FILE, hints.answer or "label")
    rows = find_rows(folder, settings, any_answer=not hints.answer)
    tabular = any((sub / name).is_file() for sub in folders_in(folder) for name in TABLES)
    form: Form = "metadata table" if tabular else "class folders"
    how = "from the metadata table" if tabular else "the folders' names"
    splits = [sub.name for sub in folders_in(folder) if split_of(sub.name)]
    split = any(row.split for row in rows)
    return Found(
        folder,
        folder,
        form,
        tuple(Labelled(row.images, row.answers, row.split, row.fields, row.source) for row in rows),
        how + (f", with the splits {', '.join(splits)} as they are" if split else ""),
    )


def _loose_pictures(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.is_file() and path.name != FILE]
    return sorted(path for path in files if is_picture_name(path.name))


def _names(folder: Path, pictures: Sequence[Path], hints: Hints) -> Found:
    found = read_labels([path.stem for path in pictures], hints.label_from, str(folder))
    rows = zip(pictures, found.labels, strict=True)
    return Found(
        folder,
        folder,
        "file names",
        tuple(Labelled((path,), (normal(label),), source=str(path)) for path, label in rows),
        f"file names: {PLACES[found.place][1]} (--label-from {found.place})",
        tuple(f"it could also be {PLACES[name][1]}: --label-from {name}" for name in found.others),
    )
