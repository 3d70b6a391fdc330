"""Which column of a table is the picture, the answer, the split and the text fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import TaskError, UsageError
from ...core.nearest import did_you_mean
from ...core.placeholders import placeholder_names
from ..examples import is_picture_name
from ..metadata import TEXT_COLUMNS
from ..similar_names import same_but_for_spelling
from ..split_names import split_of
from ..table_reader import Record, Table, as_text
from .ids import find_template
from .options import Hints

FILE_COLUMNS = (
    "file_name", "filename", "file", "image", "image_path", "path", "picture", "img", "images",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "labels", "answer", "answers", "class", "category", "target", "intent", "y",
    "expected", "__expected", "ideal", "output", "caption", "text", "code",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "set", "partition", "subset", "fold")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
LOOKED_AT = 100
SAMPLE_LENGTH = 24


@dataclass(frozen=True)
class Roles:
    """Columns by what they are for; `file` is "" where there are no pictures or a template names
    them."""

    file: str
    labels: tuple[str, ...]
    split: str
    fields: tuple[str, ...]
    template: str
    unused: tuple[str, ...]


def choose(table: Table, hints: Hints) -> Roles:
    """The roles of the columns: as named, else by usual names, else by what is in them.

    Raises `TaskError` that shows the columns where no choice is evident.
    """
    template = _template(table, hints)
    split = _split_column(table)
    file = "" if template else _file_column(table, hints)
    asked = tuple(hints.fields) or placeholder_names(hints.question)
    if not (file or template):
        named = (split, *asked, *hints.label_columns)
        template = find_template(table, [name for name in table.columns if name not in named])
    pictures = bool(file or template)
    for name in asked:
        _known(name, table, "--field" if hints.fields else "--question")
    taken = (file, split, *asked, *placeholder_names(template))
    labels = _label_columns(table, hints, taken, pictures)
    fields = asked or _text_fields(table, (*taken, *labels), pictures)
    used = {file, split, *labels, *fields, *placeholder_names(template)}
    unused = tuple(name for name in table.columns if name not in used)
    return Roles(file, labels, split, fields, template, unused)


def _known(name: str, table: Table, flag: str) -> str:
    if name not in table.columns:
        raise TaskError(
            f"{table.path}:1: {flag}: no column {name!r} among {', '.join(table.columns)}: "
            f"{did_you_mean(name, table.columns)}"
        )
    return name


# --- pictures ------------------------------------------------------------------------------------


def _template(table: Table, hints: Hints) -> str:
    if not hints.image_template:
        return ""
    if hints.file_column:
        raise UsageError("--image-template and --file-column exclude each other: give one")
    try:
        names = placeholder_names(hints.image_template)
    except ValueError as problem:
        raise UsageError(f"--image-template {hints.image_template!r}: {problem}") from None
    if not names:
        raise UsageError(
            f"--image-template {hints.image_template!r}: names no column: write one in braces, "
            "such as images/{id}.jpg"
        )
    for name in names:
        _known(name, table, "--image-template")
    return hints.image_template


def _file_column(table: Table, hints: Hints) -> str:
    """The column of pictures, "" where the examples are text alone."""
    if hints.file_column:
        return _known(hints.file_column, table, "--file-column")
    by_name = _usual(table.columns, FILE_COLUMNS)
    first = table.records[:LOOKED_AT]
    if by_name and any(_names_a_picture(record, by_name) for record in first):
        return by_name
    there = [name for name in table.columns if _all_there(table, name, first)]
    there = there or [name for name in table.columns if _all_called_pictures(name, first)]
    return there[0] if len(there) == 1 else ""


def _names_a_picture(record: Record, column: str) -> bool:
    value = record.values.get(column)
    names = value if isinstance(value, list) else as_text(value).split(";")
    return any(Path(str(name).strip()).suffix for name in names)


def _all_there(table: Table, column: str, records: Sequence[Record]) -> bool:
    """Whether the column names picture files that are there, or that are there but for spelling."""
    cells = [as_text(record.values.get(column)).replace("\\", "/") for record in records]
    named = [cell for cell in cells if cell]
    folder = table.path.parent
    return bool(named) and all(_is_there(folder, cell) for cell in named)


def _all_called_pictures(column: str, records: Sequence[Record]) -> bool:
    cells = [as_text(record.values.get(column)) for record in records]
    return any(cells) and all(_ends_like_a_picture(cell) for cell in cells if cell)


def _ends_like_a_picture(cell: str) -> bool:
    return cell.lower().endswith(PICTURE_ENDINGS)


def _is_there(folder: Path, name: str) -> bool:
    if len(name) > 255 or "\n" in name or not is_picture_name(Path(name).name):
        return False
    return (folder / name).is_file() or bool(same_but_for_spelling(folder, name))


# --- answers, splits, fields ---------------------------------------------------------------------


def _label_columns(
    table: Table, hints: Hints, taken: Sequence[str], pictures: bool
) -> tuple[str, ...]:
    if hints.label_columns:
        return tuple(_known(name, table, "--label-column") for name in hints.label_columns)
    left = [name for name in table.columns if name not in taken]
    usual = LABEL_COLUMNS if pictures else tuple(n for n in LABEL_COLUMNS if n not in TEXT_COLUMNS)
    by_name = _usual(left, usual)
    likely = [by_name] if by_name else _that_repeat(left, table.records)
    if len(likely) == 1:
        return (likely[0],)
    shown = likely if len(likely) > 1 else left
    raise TaskError(
        f"{table.path}:1: none of the columns {', '.join(shown)} is evidently the answer: name it "
        f"with --label-column ({_samples(table, shown)})"
    )


def _samples(table: Table, columns: Sequence[str]) -> str:
    """Two values of each column, so that a choice can be made without opening the file."""
    texts = []
    for name in columns[:8]:
        cells = dict.fromkeys(as_text(record.values.get(name)) for record in table.records[:200])
        values = [cell[:SAMPLE_LENGTH] for cell in cells if cell][:2]
        texts.append(f"{name}: {', '.join(values) or 'empty'}")
    return "; ".join(texts)


def _that_repeat(columns: Sequence[str], records: Sequence[Record]) -> list[str]:
    """Columns whose values come back, as a label's do and a number's or a note's do not."""
    kinds = {
        name: len({as_text(record.values.get(name)) for record in records}) for name in columns
    }
    return [name for name, count in kinds.items() if 1 < count < len(records)]


def _split_column(table: Table) -> str:
    """A column with the usual name, whose cells all name splits."""
    name = _usual(table.columns, SPLIT_COLUMNS)
    if name and name.lower() != "split":
        cells = {as_text(record.values.get(name)) for record in table.records}
        return name if all(split_of(cell) for cell in cells) else ""
    return name


def _text_fields(table: Table, taken: Sequence[str], pictures: bool) -> tuple[str, ...]:
    """The fields of a question that nobody wrote yet: a question for each row; for examples without
    pictures, the text."""
    left = [name for name in table.columns if name not in taken]
    question = _usual(left, ("question",))
    if question or pictures:
        return (question,) if question else ()
    by_name = _usual(left, TEXT_COLUMNS)
    if by_name or len(left) == 1:
        return (by_name or left[0],)
    raise TaskError(
        f"{table.path}:1: no column holds images that are there, and none is evidently the text: "
        "name it with --field, or the images with --file-column or --image-template "
        f"({_samples(table, left)})"
    )


def _usual(columns: Sequence[str], usual: Sequence[str]) -> str:
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in usual if name in by_name), "")


def looks_like_a_header(folder: Path, cells: Sequence[Any]) -> bool:
    """Whether a first row names columns: none of its cells names a picture."""
    return not any(
        _ends_like_a_picture(str(cell)) or _is_there(folder, str(cell)) for cell in cells if cell
    )
