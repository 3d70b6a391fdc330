"""The task folder that is made of what was found: `task.yaml`, a table, links or copies."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import TaskError
from ..files import reason, write_text
from ..task.settings import DEFAULT_METRIC, FILE
from ..yamlio import dump
from .found import READY, Found, Labelled

TABLE = "metadata.csv"
PICTURES = "pictures"


@dataclass(frozen=True)
class Draft:
    """What will be written: texts by file name, and pictures by (source, place in the folder)."""

    folder: Path
    texts: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[Path, str], ...]
    copies: bool
    question: str


def plan(folder: Path, found: Found, *, question: str = "", copy: bool = False) -> Draft:
    """What `write` would do. Raises `TaskError` where something would be overwritten."""
    inside = _is_inside(found.root, folder)
    placed = {} if inside else _places(found.rows, found.root)
    asked = question or default_question(tuple(found.counts()), found.kind)
    texts = [(FILE, task_yaml(folder, found, asked, guessed=not question))]
    if not (inside and found.root == folder and found.form in READY):
        texts.append((TABLE, _table(found.rows, folder, placed)))
    draft = Draft(folder, tuple(texts), tuple(placed.items()), copy, asked)
    _check_free(draft)
    return draft


def write(draft: Draft) -> None:
    """Make the folder. Raises `TaskError` if the system refuses."""
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


def _table(rows: Sequence[Labelled], folder: Path, placed: dict[Path, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    split = any(row.split for row in rows)
    writer.writerow(["file_name", "label", *(["split"] if split else [])])
    for row in rows:
        names = [placed.get(path) or _relative(path, folder) for path in row.images]
        writer.writerow([";".join(names), row.answer, *([row.split] if split else [])])
    return text.getvalue()


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


def default_question(labels: Sequence[str], kind: str) -> str:
    """A question to begin with, made of the labels."""
    if kind == "text":
        return "What does the picture say?"
    if len(labels) > 12:
        return "Which class is it?"
    *first, last = labels
    return f"Which is it, {', '.join(first)} or {last}?" if first else "Which class is it?"


def task_yaml(folder: Path, found: Found, question: str, *, guessed: bool) -> str:
    """The commented settings."""
    labels = list(found.counts())
    edit = (
        "# EDIT THIS: what would you ask somebody who sees the picture? The search starts here.\n"
        if guessed
        else "# What the model is asked. The search starts here.\n"
    )
    answers = (
        "# The answers that are possible.\n" + dump({"labels": labels})
        if found.kind == "label"
        else dump({"answer": "text"})
    )
    metrics = (
        "# accuracy, macro_f1 or balanced_accuracy (labels of unequal number)\n"
        if found.kind == "label"
        else ""
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
        f"{answers}{metrics}{dump({'metric': DEFAULT_METRIC[found.kind]})}"
        f"{'' if split else held_out}"
        "# Your own model, relative to this folder (default: flags, environment, embedded one):\n"
        "# model: model.gguf\n# mmproj: mmproj.gguf\n"
    )
