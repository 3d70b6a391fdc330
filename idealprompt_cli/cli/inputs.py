"""What `predict` answers for: images, folders, fields, rows of tables and JSON Lines."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.committee import Asked, prompts_of
from ..core.errors import ArtifactError, ImageError, UsageError
from ..core.nearest import did_you_mean
from ..core.placeholders import placeholder_names
from ..core.task import Example
from ..io.files import read_text

BATCH = 16
IMAGE_COLUMNS = ("image", "images", "file_name")
_END = None
_IDENTITY = ("image", "row", "input")


@dataclass(frozen=True)
class Input:
    """One example to answer for. `image` holds the images' paths joined by ";", `row` is the
    number of its line in a table or stream (0 for none), `error` says why it cannot be used."""

    image: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    row: int = 0
    error: str = ""

    def identity(self) -> dict[str, Any]:
        """The keys by which an output line names its input."""
        found: dict[str, Any] = {"image": self.image} if self.image else {}
        if self.row:
            found["row"] = self.row
        if self.fields:
            found["input"] = dict(self.fields)
        return found

    def example(self, images: int) -> Example:
        """The example for a prompt that takes `images` images. Raises `ImageError`."""
        from ..io.images import image_size

        if self.error:
            raise ImageError(self.error)
        one = not self.image or Path(self.image).exists() or ";" not in self.image
        names = [name for name in ((self.image,) if one else self.image.split(";")) if name]
        if len(names) != images and (names or not self.fields):
            given = f"{self.image or 'this input'}: the prompt takes"
            if not images:
                raise ImageError(f"{given} no images: leave it out")
            raise ImageError(
                f"{given} {images} image{'s' * (images > 1)} and this has {len(names)}: join "
                "images that belong together with ;"
            )
        paths = tuple(Path(name.strip()) for name in names)
        for path in paths:
            image_size(path)  # reports what is wrong with it before the model is asked
        name = self.image or json.dumps(self.identity(), ensure_ascii=False)
        return Example(name, paths, "", "command line", self.fields)


def fields_of(asked: Asked, source: str) -> tuple[str, ...]:
    """The names of the fields that a prompt or committee refers to. Raises `ArtifactError`."""
    try:
        names = [name for one in prompts_of(asked) for name in placeholder_names(one.question)]
        return tuple(dict.fromkeys(names))
    except ValueError as problem:
        raise ArtifactError(f"{source}: prompt.question {problem}") from None


def parse_fields(texts: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """The fields of `--input NAME=TEXT` options. Raises `UsageError` for a name that the prompt
    does not refer to."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--input {text}: write NAME=TEXT, such as --input title='A red mug'")
        if name not in known:
            hint = did_you_mean(name, known) if known else "it refers to no field"
            raise UsageError(f"--input {name}: the prompt refers to no such field: {hint}")
        found[name] = value
    return found


def given(
    images: Iterable[str], table: Path | None, fields: Mapping[str, str], names: Sequence[str]
) -> Iterator[Input]:
    """The inputs that the command line names, in order. `names` are the fields that the prompt
    refers to; `fields` are texts that all inputs share."""
    single = True
    for name in images:
        single = False
        if name == "-":
            yield from _of_lines(sys.stdin, fields, names)
        else:
            yield from _of_path(name, fields, names)
    if table is not None:
        yield from _of_table(table, fields, names)
    elif single and fields:
        yield _checked(Input(fields=fields), names)


def _of_path(name: str, fields: Mapping[str, str], names: Sequence[str]) -> Iterator[Input]:
    """The image of that name, or the images of a folder and its sub-folders."""
    from ..task.examples import is_picture_name

    if not Path(name).is_dir():
        yield _checked(Input(name, fields), names)
        return
    pictures = sorted(
        path
        for path in Path(name).rglob("*")
        if is_picture_name(path.name)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(name).parts)
    )
    if not pictures:
        yield Input(name, error=f"{name}: the folder has no images")
    for path in pictures:
        yield _checked(Input(str(path), fields), names)


def _of_lines(
    lines: Iterable[str], fields: Mapping[str, str], names: Sequence[str]
) -> Iterator[Input]:
    """Paths, or JSON objects with "image" and fields, one a line."""
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r\n")
        if not line.strip():
            continue
        if not line.lstrip().startswith("{") or Path(line).exists():
            yield _checked(Input(line, fields), names)
            continue
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as problem:
            yield Input(row=number, error=f"<stdin>:{number}: not a JSON object ({problem})")
            continue
        yield _of_record(data, number, f"<stdin>:{number}", Path(), fields, names)


def _of_table(table: Path, fields: Mapping[str, str], names: Sequence[str]) -> Iterator[Input]:
    """A table's rows; images are relative to its folder."""
    from ..task.table_reader import read_table

    read = read_table(table, guess_encoding=True)
    missing = [name for name in names if name not in read.columns and name not in fields]
    if missing and read.records:
        raise UsageError(
            f"{table}: the prompt refers to {{{missing[0]}}}, which is none of the columns "
            f"{', '.join(read.columns)}: add it, or give --input {missing[0]}=TEXT"
        )
    for record in read.records:
        yield _of_record(record.values, record.line, record.source, table.parent, fields, names)


def _of_record(
    values: Mapping[str, Any],
    number: int,
    source: str,
    folder: Path,
    fields: Mapping[str, str],
    names: Sequence[str],
) -> Input:
    """The input of a row or JSON object; columns that the prompt does not refer to are ignored."""
    from ..task.table_reader import as_text

    pictures: list[str] = []
    for column in IMAGE_COLUMNS:
        cell = values.get(column)
        if column in values and column not in names and cell not in (None, ""):
            pictures = [str(one) for one in cell] if isinstance(cell, list) else [str(cell)]
            break
    image = ";".join(
        str(folder / part.strip()) for cell in pictures for part in cell.split(";") if part.strip()
    )
    own = {name: as_text(values[name]) for name in names if values.get(name) is not None}
    return _checked(Input(image, {**fields, **own}, number), names, f"{source}: ")


def _checked(one: Input, names: Sequence[str], source: str = "") -> Input:
    """The input, with an error where it lacks a field that the prompt refers to."""
    missing = [name for name in names if name not in one.fields]
    if not missing:
        return one
    name = missing[0]
    error = f"{source}the prompt refers to {{{name}}}: give --input {name}=TEXT, or a table with it"
    return Input(one.image, one.fields, one.row, error)


# --- a stream of them ----------------------------------------------------------------------------


def batches(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    """Inputs in groups: all that are at hand, up to `BATCH`; one that comes alone does not wait.

    Raises what reading the inputs raises.
    """
    waiting: queue.Queue[Input | Exception | None] = queue.Queue(maxsize=4 * BATCH)
    threading.Thread(target=_feed, args=(inputs, waiting), daemon=True).start()
    ended = False
    while not ended:
        batch: list[Input] = []
        one = waiting.get()
        while one is not _END:
            if isinstance(one, Exception):
                raise one
            batch.append(one)
            if len(batch) == BATCH:
                break
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                break
        ended = one is _END
        if batch:
            yield batch


def _feed(inputs: Iterable[Input], waiting: queue.Queue[Input | Exception | None]) -> None:
    try:
        for one in inputs:
            waiting.put(one)
    except Exception as problem:
        waiting.put(problem)
    finally:
        waiting.put(_END)


def answered(target: str) -> frozenset[str]:
    """The inputs (see `key_of`) that a file of answers has already; those with an error are not
    among them."""
    if not target or not Path(target).is_file():
        return frozenset()
    found = set()
    *lines, _ = read_text(Path(target), ArtifactError, 1 << 30).split("\n")
    for line in lines:  # not a last one without an end, which the next answer replaces
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and "error" not in data:
            found.add(key_of(data))
    return frozenset(found)


def key_of(line: Mapping[str, Any]) -> str:
    """Identity of the input of an output line."""
    return json.dumps([line.get(key) for key in _IDENTITY], sort_keys=True)
