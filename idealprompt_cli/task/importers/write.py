"""The task folder that is made of what was found: `task.yaml`, a table, links or copies."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...answers import plain_field
from ...core.answer_schema import AnswerKind
from ...core.errors import TaskError
from ...io.files import reason, write_text
from ...io.yaml import dump
from ..settings import DEFAULT_METRIC, FILE
from .detect import READY, Found, Labelled

TABLE = "metadata.csv"
PICTURES = "pictures"


@dataclass(frozen=True)
class Draft:
    """What will be written: texts by file name, and pictures by (source, place in the folder);
    `fresh` if the folder itself is new."""

    folder: Path
    texts: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[Path, str], ...]
    copies: bool
    question: str
    fresh: bool = False


def plan(folder: Path, found: Found, *, question: str = "", copy: bool = False) -> Draft:
    """What `write` would do. Raises `TaskError` where something would be overwritten."""
    inside = _is_inside(found.root, folder)
    placed = {} if inside else _places(found.rows, found.root)
    asked = question or default_question(found)
    texts = [(FILE, task_yaml(folder, found, asked, guessed=not question))]
    if not (inside and found.root == folder and found.form in READY):
        texts.append((TABLE, _table(found, folder, placed)))
    draft = Draft(folder, tuple(texts), tuple(placed.items()), copy, asked, not folder.exists())
    _check_free(draft)
    return draft


def write(draft: Draft) -> None:
    """Make the folder. Raises `TaskError` if the system refuses; then nothing is left of it."""
    try:
        _write(draft)
    except TaskError:
        undo(draft)
        raise


def undo(draft: Draft) -> None:
    """Take away what `write` made; `plan` saw that none of it was there before."""
    with suppress(OSError):
        for name, _ in draft.texts:
            (draft.folder / name).unlink(missing_ok=True)
        if draft.pictures:
            shutil.rmtree(draft.folder / PICTURES, ignore_errors=True)
        if draft.fresh:
            draft.folder.rmdir()


def in_terms_of_the_source(draft: Draft, text: str) -> str:
    """A message about the folder, as one about the pictures that it was made of."""
    for source, place in sorted(draft.pictures, key=lambda pair: -len(pair[1])):
        text = text.replace(str(draft.folder / place), str(source))
    return text


def _write(draft: Draft) -> None:
    try:
        draft.folder.mkdir(parents=True, exist_ok=True)
        for source, place in draft.pictures:
            target = draft.folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if draft.copies:
                shutil.copyfile(source, target)
            else:
                target.symlink_to(source.resolve())
    except OSError as problem:
        raise TaskError(f"{draft.folder}: cannot be written ({reason(problem)})") from None
    for name, text in reversed(draft.texts):  # task.yaml last: with it the folder is a task
        write_text(draft.folder / name, text, TaskError)


def _is_inside(root: Path, folder: Path) -> bool:
    return root.resolve().is_relative_to(folder.resolve())


def _places(rows: Sequence[Labelled], root: Path) -> dict[Path, str]:
    """Picture -> its place in the new folder, as it lies under `root`."""
    places: dict[Path, str] = {}
    taken: set[str] = set()
    for path in (image for row in rows for image in row.images):
        real = Path(os.path.normpath(path))
        base = Path(os.path.normpath(root))
        kept = real.relative_to(base) if real.is_relative_to(base) else Path(real.name)
        if path not in places:
            places[path] = _free(f"{PICTURES}/{kept.as_posix()}", taken)
    return places


def _free(place: str, taken: set[str]) -> str:
    """The place, or with a number where two pictures of one name come from two folders."""
    path, tried, number = Path(place), place, 2
    while tried in taken:
        tried = path.with_stem(f"{path.stem}-{number}").as_posix()
        number += 1
    taken.add(tried)
    return tried


def _table(found: Found, folder: Path, placed: dict[Path, str]) -> str:
    """The answers in a column, or each field of a JSON answer in one of its own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    split = any(row.split for row in found.rows)
    answers = ["label" if found.kind == "label" else "answer"]
    fields = [field.name for field in found.shape.fields] if found.columns else []
    writer.writerow(["file_name", *(fields or answers), *(["split"] if split else [])])
    for row in found.rows:
        names = [placed.get(path) or _relative(path, folder) for path in row.images]
        values = json.loads(row.answer) if fields else {}
        cells = [_cell(values[name]) for name in fields] or [row.answer]
        writer.writerow([";".join(names), *cells, *([row.split] if split else [])])
    return text.getvalue()


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


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


# --- task.yaml -----------------------------------------------------------------------------------


def default_question(found: Found) -> str:
    """A question to begin with, made of the labels or fields."""
    labels = tuple(found.counts())
    if found.kind == "text":
        return "What does the picture say?"
    if found.kind == "number":
        return "Which number does the picture show? Answer with the number."
    if found.kind == "json":
        names = ", ".join(field.name for field in found.shape.fields)
        return f"Answer as JSON with the keys {names}."
    if found.kind == "labels":
        return f"Which of these fit the picture: {', '.join(found.shape.options)}?"
    if len(labels) > 12:
        return "Which class is it?"
    *first, last = labels
    return f"Which is it, {', '.join(first)} or {last}?" if first else "Which class is it?"


def task_yaml(folder: Path, found: Found, question: str, *, guessed: bool) -> str:
    """The commented settings."""
    edit = (
        "# EDIT THIS: what would you ask somebody who sees the picture? The search starts here.\n"
        if guessed
        else "# What the model is asked. The search starts here.\n"
    )
    split = any(row.split for row in found.rows)
    held_out = (
        "# Share of the pictures that the search never sees, and the seed of that draw.\n"
        "test_fraction: 0.4\nseed: 0\n"
    )
    return (
        f"# Made by idealprompt init: {len(found.rows)} examples, labels by {found.how}.\n"
        f"{dump({'name': folder.resolve().name})}"
        f"{edit}{dump({'question': question})}"
        f"{_answers(found)}# {_METRICS[found.kind]}\n"
        f"{dump({'metric': DEFAULT_METRIC[found.kind]})}"
        f"{'' if split else held_out}"
        "# Your own model, relative to this folder (default: flags, environment, embedded one):\n"
        "# model: model.gguf\n# mmproj: mmproj.gguf\n"
    )


_METRICS: Mapping[AnswerKind, str] = {
    "label": "accuracy, macro_f1 or balanced_accuracy (labels of unequal number)",
    "labels": "multilabel_f1, or accuracy (all labels of a picture right)",
    "text": "normalised_match, exact_match, anls, 1-cer, 1-wer, bleu or rouge_l",
    "number": "numeric, or with a tolerance numeric:0.5 or numeric:5%",
    "json": "json_fields (share of fields right), or exact_match (all of them)",
}


def _answers(found: Found) -> str:
    """The lines on what is answered."""
    if found.kind == "label":
        return "# The answers that are possible.\n" + dump({"labels": list(found.counts())})
    lines = dump({"answer": found.kind})
    if found.kind == "labels":
        lines += "# Any of these may hold, or none.\n" + dump({"labels": list(found.shape.options)})
    if found.kind == "json":
        lines += "# text, number, integer, boolean (with ? if it may be missing), or the values\n"
        lines += dump({"fields": {one.name: plain_field(one) for one in found.shape.fields}})
    return lines
