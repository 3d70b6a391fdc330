"""`idealprompt init`: a task folder out of labelled pictures."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..answers import plain_field
from ..core.answer_schema import AnswerKind
from ..core.errors import IdealPromptError, TaskError
from . import completion
from .shared_options import Debug, Json, Quiet, level_of

if TYPE_CHECKING:
    from ..core.task import Task
    from ..task.importers import Draft, Found

PREVIEW = 3

EPILOG = """\b
Examples:
  idealprompt init photos                      class folders, or names such as K7_0001.jpg
  idealprompt init my_task --from labels.csv   links to the pictures, copies with --copy
  idealprompt init my_task --from photos --question "Is the seam good or bad?"
  idealprompt init bills --from bills.csv --label-column vendor --label-column total
Nothing is overwritten; --dry-run shows what would be written."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The task folder to make.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FOLDER|TABLE", help="Where the labelled pictures are. Default: in DIR."
    ),
]
Question = Annotated[
    str, typer.Option(metavar="TEXT", help="What to ask. Default: made of the labels.")
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the pictures instead of linking them.")]
LabelFrom = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Label's place in file names: prefix, suffix, before-number, after-number.",
        autocompletion=completion.places,
    ),
]
FileColumn = Annotated[str, typer.Option(metavar="NAME", help="The table's column of pictures.")]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="The table's column of labels; several make a JSON answer (may be repeated).",
    ),
]
Answer = Annotated[
    AnswerKind | None, typer.Option(help="Kind of answers. Default: guessed from them.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show, and write nothing.")]


def init(
    folder: Folder,
    source: From = None,
    question: Question = "",
    copy: Copy = False,
    label_from: LabelFrom = "",
    file_column: FileColumn = "",
    label_column: LabelColumns = None,
    answer: Answer = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a task folder out of labelled pictures.

    They may be in class folders, in a table, or have file names that carry the label. Shows what
    was taken for the label and how many pictures each has, and writes a commented task.yaml. The
    pictures stay where they are.
    """
    from ..task.importers import find, plan, write
    from ..task.importers.detect import Hints
    from ..ui.console import Console

    del debug
    console = Console(level_of(quiet, False))
    if source is None and not folder.exists():
        raise TaskError(
            f"{folder}: no such folder: name the one with your pictures, or --from where they are"
        )
    if folder.is_file():
        raise TaskError(f"{folder}: is a file: name a folder, and the table with --from")
    found = find(
        source or folder, Hints(label_from, file_column, tuple(label_column or ()), answer or "")
    )
    draft = plan(folder, found, question=question, copy=copy)
    if not dry_run:
        write(draft)
    task = None if dry_run else _checked(draft, console.say)
    data = _data(found, draft, task)
    typer.echo(jsonlib.dumps(data, ensure_ascii=False, indent=2) if json else _text(found, data))
    if not json and not dry_run:
        console.say(_next(folder, draft, guessed=not question))


def _checked(draft: Draft, say: Any) -> Task:
    """The task as search will read it. Raises `TaskError` naming what is to be mended, and leaves
    nothing written then."""
    from ..task import load_task
    from ..task.importers import in_terms_of_the_source, undo

    try:
        return load_task(draft.folder, notify=say)
    except IdealPromptError as problem:
        undo(draft)
        told = in_terms_of_the_source(draft, str(problem))
        raise TaskError(f"{told} (nothing is written)") from problem


def _data(found: Found, draft: Draft, task: Task | None) -> dict[str, Any]:
    pictures = "as they are"
    if draft.pictures:
        pictures = f"{len(draft.pictures)} {'copies' if draft.copies else 'links'}"
    return {
        "task": str(draft.folder),
        "form": found.form,
        "label": found.how,
        "doubts": list(found.doubts),
        "answer": found.kind,
        "question": draft.question,
        "examples": len(found.rows),
        "labels": found.counts() if found.kind in ("label", "labels") else {},
        "fields": {one.name: plain_field(one) for one in found.shape.fields},
        "train": len(task.train) if task else None,
        "test": len(task.test) if task else None,
        "pictures": pictures,
        "written": [str(draft.folder / name) for name, _ in draft.texts] if task else [],
    }


def _text(found: Found, data: dict[str, Any]) -> str:
    lines = [f"{found.source}: {data['examples']} examples, label by {found.how}"]
    lines += [f"  {doubt}" for doubt in found.doubts]
    width = max((len(label) for label in data["labels"]), default=0)
    lines += [f"  {label:<{width}}  {count:>5}" for label, count in data["labels"].items()]
    lines += _KINDS.get(found.kind, [])
    lines += [f"  {name}: {kind}" for name, kind in data["fields"].items()]
    lines.append("such as")
    step = max(1, len(found.rows) // PREVIEW)
    for row in found.rows[::step][:PREVIEW]:
        lines.append(f"  {' + '.join(path.name for path in row.images)}  ->  {row.answer}")
    lines.append(f"question: {data['question']}")
    if data["train"] is None:
        lines.append("nothing is written (--dry-run)")
        return "\n".join(lines)
    lines.append(f"{data['train']} training and {data['test']} held-out examples")
    lines.append(f"pictures: {data['pictures']}; written: {', '.join(data['written'])}")
    return "\n".join(lines)


_KINDS = {
    "text": ["  nearly every answer is another one: taken for free text (answer: text)"],
    "number": ["  nearly every answer is another number (answer: number)"],
    "labels": ["  a picture may have several of these labels, or none (answer: labels)"],
    "json": ["  the answers are objects with these fields (answer: json)"],
}


def _next(folder: Path, draft: Draft, *, guessed: bool) -> str:
    edit = f"Edit the question in {folder / 'task.yaml'}, then: " if guessed else "Next: "
    del draft
    return f"{edit}idealprompt search {folder} -o prompt.yaml"
