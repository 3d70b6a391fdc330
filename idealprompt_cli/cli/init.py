"""`idealprompt init`: a task folder from labelled examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..answers import plain_field
from ..core.answer_schema import AnswerKind
from ..core.errors import IdealPromptError, TaskError
from ..io.terminal import json_text, printable
from . import completion
from .shared_options import Debug, Json, Quiet, level_of

if TYPE_CHECKING:
    from ..core.task import Task
    from ..task.importers import Draft, Found, Labelled

PREVIEW = 3
LABELS_SHOWN = 20
PREVIEW_LENGTH = 60

EPILOG = """\b
Examples:
  idealprompt init photos                     photos/good/*.jpg, photos/bad/*.jpg
  idealprompt init my_task --from labels.csv  links to the images (--copy: copies)
  idealprompt init seams --from photos --question "Is the seam good or bad?"
  idealprompt init fits --from items.csv --question "Does '{title}' fit the image?"
  idealprompt init bills --from bills.csv --label-column vendor --label-column total
  idealprompt init shop --from styles.csv --image-template "images/{id}.jpg" \
--label-column category --skip-missing --train 32 --test 200
Nothing is overwritten; --dry-run shows what would be written."""

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The task folder to make.")]
From = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="FOLDER|TABLE", help="Where the labelled examples are. Default: in DIR."
    ),
]
Question = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="What to ask; {column} stands for that column's text. Default: made of the labels.",
    ),
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the images instead of linking them.")]
LabelFrom = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Label's place in file names: prefix, suffix, before-number, after-number.",
        autocompletion=completion.places,
    ),
]
FileColumn = Annotated[str, typer.Option(metavar="NAME", help="The table's column of images.")]
Template = Annotated[
    str,
    typer.Option(
        "--image-template",
        metavar="TEXT",
        help="Where a row's image is, such as images/{id}.jpg, relative to the table.",
    ),
]
LabelColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="The table's column of answers; several make a JSON answer (may be repeated).",
    ),
]
OnlyLabels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="NAME", help="Take only examples of this label (may be repeated)."
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME",
        help="A column whose text belongs to the example (may be repeated).",
    ),
]
Answer = Annotated[
    AnswerKind | None, typer.Option(help="Kind of answers. Default: guessed from them.")
]
SkipMissing = Annotated[
    bool,
    typer.Option("--skip-missing", help="Leave out rows without image or answer; count them."),
]
Train = Annotated[int, typer.Option(min=0, metavar="N", help="Training examples to draw.")]
Test = Annotated[int, typer.Option(min=0, metavar="M", help="Held-out examples to draw.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the draw.")]
MinPerLabel = Annotated[
    int, typer.Option(min=0, metavar="N", help="Leave out labels with fewer examples.")
]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", help="Encoding of the table. Default: UTF-8, else guessed.")
]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first row names the columns."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show, and write nothing.")]


def init(
    folder: Folder,
    source: From = None,
    question: Question = "",
    copy: Copy = False,
    label_from: LabelFrom = "",
    file_column: FileColumn = "",
    image_template: Template = "",
    label_column: LabelColumns = None,
    field: Fields = None,
    label: OnlyLabels = None,
    answer: Answer = None,
    skip_missing: SkipMissing = False,
    train: Train = 0,
    test: Test = 0,
    seed: Seed = 0,
    min_per_label: MinPerLabel = 0,
    encoding: Encoding = "",
    header: Header = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a task folder from labelled examples.

    They may be in class folders, in a table, or have file names that carry the label; images,
    texts or both. Shows how each column or name is used and how many examples each label
    has, and writes a commented task.yaml. The images stay where they are.
    """
    from ..task.importers import Hints, Sampling, find, plan, write
    from ..ui.console import Console

    del debug
    console = Console(level_of(quiet, False))
    _check_place(folder, source)
    hints = Hints(
        label_from=label_from,
        file_column=file_column,
        label_columns=tuple(label_column or ()),
        fields=tuple(field or ()),
        only_labels=tuple(label or ()),
        answer=answer or "",
        question=question,
        image_template=image_template,
        skip_missing=skip_missing,
        encoding=encoding,
        header=header,
        sampling=Sampling(train, test, seed, min_per_label),
    )
    found = find(source or folder, hints)
    draft = plan(folder, found, question=question, copy=copy)
    if not dry_run:
        write(draft)
    task = None if dry_run else _checked(draft, console.say)
    data = _data(found, draft, task)
    typer.echo(json_text(data, indent=2) if json else printable(_text(found, data)))
    if not json and not dry_run:
        console.say(_next(folder, guessed=not question))


def _check_place(folder: Path, source: Path | None) -> None:
    if source is None and not folder.exists():
        raise TaskError(
            f"{folder}: no such folder: name the one with your examples, or --from where they are"
        )
    if folder.exists() and not folder.is_dir():
        raise TaskError(f"{folder}: is a file: name a folder, and the table with --from")


def _checked(draft: Draft, say: Callable[[str], None]) -> Task:
    """The task as search will read it. Raises `TaskError` naming what has to be fixed, and leaves
    nothing written then."""
    from ..task import load_task
    from ..task.importers import in_terms_of_the_source, undo

    try:
        return load_task(draft.folder, notify=say)
    except IdealPromptError as problem:
        undo(draft)
        text = in_terms_of_the_source(draft, str(problem))
        raise TaskError(f"{text} (nothing is written)") from problem
    except BaseException:
        undo(draft)
        raise


def _data(found: Found, draft: Draft, task: Task | None) -> dict[str, Any]:
    pictures = "as they are"
    if not any(row.images for row in found.rows):
        pictures = "none"
    elif draft.pictures:
        pictures = f"{len(draft.pictures)} {'copies' if draft.copies else 'links'}"
    return {
        "task": str(draft.folder),
        "form": found.form,
        "label": found.how,
        "notes": list(found.notes),
        "answer": found.kind,
        "question": draft.question,
        "metric": draft.metric,
        "inputs": list(found.inputs),
        "unused_columns": list(found.unused),
        "examples": len(found.rows),
        "labels": found.counts() if found.kind in ("label", "labels") else {},
        "fields": {one.name: plain_field(one) for one in found.schema.fields},
        "train": len(task.train) if task else None,
        "validation": len(task.validation) if task else None,
        "test": len(task.test) if task else None,
        "images": pictures,
        "written": [str(draft.folder / name) for name, _ in draft.texts] if task else [],
    }


def _text(found: Found, data: dict[str, Any]) -> str:
    lines = [f"{found.source}: {data['examples']} examples, label by {found.how}"]
    lines += [f"  {note}" for note in found.notes]
    if found.unused:
        lines.append(f"  columns that are not used: {', '.join(found.unused)}")
    lines += _labels(data["labels"])
    lines += _KINDS.get(found.kind, [])
    lines += [f"  {name}: {kind}" for name, kind in data["fields"].items()]
    lines.append("such as")
    for row in _preview(found.rows):
        shown = [*(_shown(path, found.root) for path in row.images), *row.fields.values()]
        lines.append(f"  {_short(' + '.join(shown))}  ->  {_short(' | '.join(row.answers))}")
    lines.append(f"question: {data['question']}")
    lines.append(f"metric: {data['metric']}{_why(found, data['metric'])}")
    if data["train"] is None:
        lines.append("nothing is written (--dry-run)")
        return "\n".join(lines)
    between = f", {data['validation']} validation" if data["validation"] else ""
    lines.append(f"{data['train']} training{between} and {data['test']} held-out examples")
    lines.append(f"images: {data['images']}; written: {', '.join(data['written'])}")
    return "\n".join(lines)


def _preview(rows: Sequence[Labelled]) -> list[Labelled]:
    """A few rows, of different answers where there are some."""
    step = max(1, len(rows) // PREVIEW)
    spread = [*rows[::step][:PREVIEW], *rows]
    different = {row.answer: row for row in reversed(spread)}
    chosen = [row for row in spread if different[row.answer] is row]
    return list({id(row): row for row in [*chosen, *spread]}.values())[:PREVIEW]


def _shown(path: Path, root: Path) -> str:
    """A picture as it lies in the user's own folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _labels(counts: dict[str, int]) -> list[str]:
    """The counts of the labels; of many labels the most frequent."""
    width = min(40, max((len(label) for label in counts), default=0))
    shown = list(counts.items())
    if len(shown) > LABELS_SHOWN:
        shown = sorted(shown, key=lambda pair: -pair[1])[:LABELS_SHOWN]
    lines = [f"  {label:<{width}}  {count:>5}" for label, count in shown]
    if len(counts) > len(shown):
        lines.append(f"  and {len(counts) - len(shown)} more labels")
    return lines


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= PREVIEW_LENGTH else line[: PREVIEW_LENGTH - 3] + "..."


def _why(found: Found, metric: str) -> str:
    if metric != "balanced_accuracy":
        return ""
    counts = found.counts().values()
    return f" (labels of unequal number, {min(counts)} to {max(counts)}: each counts the same)"


_KINDS = {
    "text": ["  the answers are free text (answer: text)"],
    "number": ["  the answers are numbers (answer: number)"],
    "labels": ["  an example may have several of these labels, or none (answer: labels)"],
    "json": ["  the answers are objects with these fields (answer: json)"],
    "box": ["  the answers are boxes [left, top, right, bottom] (answer: box)"],
}


def _next(folder: Path, *, guessed: bool) -> str:
    edit = f"Edit the question in {folder / 'task.yaml'}, then: " if guessed else "Next: "
    return f"{edit}idealprompt search {folder} -o prompt.yaml"
