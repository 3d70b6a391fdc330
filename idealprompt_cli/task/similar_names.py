"""The file that a table probably means where there is none of the name that it gives."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path


def hint_for_missing(folder: Path, name: str) -> str:
    """The fix to suggest for a missing file: a name that differs in case or Unicode form only."""
    found = same_but_for_spelling(folder, name)
    if found:
        return f"the file is called {found!r}: change the name in the table"
    return "fix the path or delete the row"


def same_but_for_spelling(folder: Path, name: str) -> str:
    """The path below `folder` that equals `name` but for letter case, NFC or NFD; "" for none."""
    place = folder
    found: list[str] = []
    for part in Path(name.replace("\\", "/")).parts:
        actual = part if (place / part).exists() else _near(place, part)
        if not actual:
            return ""
        found.append(actual)
        place = place / actual
    return "/".join(found) if place.is_file() else ""


def _near(folder: Path, name: str) -> str:
    try:
        changed = folder.stat().st_mtime_ns
        return _entries(folder, changed).get(_folded(name), "")
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _entries(folder: Path, changed: int) -> dict[str, str]:
    """Folded name -> name; listed once for a folder until it changes."""
    del changed
    return {_folded(path.name): path.name for path in folder.iterdir()}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
