"""Opens every picture of a task once, so that a damaged one is found before a model is loaded."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ImageError, TaskError
from ..io.images import content_hash, open_rgb
from .examples import Row


def contents_of(rows: list[Row]) -> dict[Path, str]:
    """The content hash of every picture. Raises `TaskError` for the first that cannot be read."""
    found: dict[Path, str] = {}
    sound: set[str] = set()
    problems: list[str] = []
    for path in dict.fromkeys(image for row in rows for image in row.images):
        try:
            found[path] = content_hash(path)
            if found[path] not in sound:
                open_rgb(path)
                sound.add(found[path])
        except ImageError as problem:
            problems.append(str(problem))
    if problems:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise TaskError(problems[0] + more)
    return found
