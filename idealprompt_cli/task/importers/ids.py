"""Tables with ids instead of file names: the column that names images but for folder and ending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from ..examples import folders_in, is_picture_name
from ..table_reader import Table, as_text

ROWS_READ = 5000
FOLDERS_READ = 200
LEAST_MATCHES, LEAST_SHARE = 3, 0.05
LEAST_DIFFERENT = 0.3
"""Ids rarely repeat, as labels do: share of different values among the rows that match."""


def find_template(table: Table, columns: Collection[str]) -> str:
    """Such as "images/{id}.jpg": of the columns, the one whose values are names of images in the
    table's folder or a sub-folder of it; "" where there is none."""
    places = dict(_places(table.path.parent))
    found: Counter[tuple[str, str, str]] = Counter()
    different: dict[str, set[str]] = {name: set() for name in columns}
    records = table.records[:ROWS_READ] if places else ()
    for record in records:
        for name in columns:
            cell = as_text(record.values.get(name)).strip()
            if cell in places:
                found[(name, *places[cell])] += 1
                different[name].add(cell)
    if not found:
        return ""
    (name, folder, suffix), count = found.most_common(1)[0]
    values = len(different[name])
    if values < max(LEAST_MATCHES, LEAST_DIFFERENT * count) or count < LEAST_SHARE * len(records):
        return ""
    folder, suffix = (part.replace("{", "{{").replace("}", "}}") for part in (folder, suffix))
    return f"{folder}{{{name}}}{suffix}"


def _places(folder: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Name of an image without its ending -> (folder before it, ending)."""
    yield from _images(folder, "")
    for sub in folders_in(folder)[:FOLDERS_READ]:
        yield from _images(sub, f"{sub.name}/")


def _images(folder: Path, prefix: str) -> Iterator[tuple[str, tuple[str, str]]]:
    try:
        paths = list(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if path.suffix and is_picture_name(path.name):
            yield path.stem, (prefix, path.suffix)
