"""Where on this machine the files of a model were last seen, by the model's fingerprint.

An artifact names a model by file name and fingerprint alone, so that it can be shared; this index,
which never leaves the machine, finds the files again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import IdealPromptError, JournalError
from ..io.files import PRIVATE, read_text, write_text
from ..io.folders import user_cache_dir

FILE = "models.json"
MOST = 200
MARK = "idealprompt models"
"""The first key of our files: others are not replaced."""


def remember(fingerprint: str, files: Sequence[Path]) -> None:
    """Keep where a model's files are. What cannot be written is not kept."""
    path = user_cache_dir() / FILE
    if path.exists() and not _is_ours(path):
        return
    known = _known(path)
    places = [str(file.expanduser().absolute()) for file in files]
    if not fingerprint or known.get(fingerprint) == places:
        return
    known.pop(fingerprint, None)
    kept = dict(list(known.items())[-(MOST - 1) :])
    with contextlib.suppress(IdealPromptError, OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = json.dumps({MARK: 1, **kept, fingerprint: places}, indent=1)
        write_text(path, text, JournalError, PRIVATE)


def find(fingerprint: str) -> tuple[Path, ...]:
    """The files of a model, () where they are not known or not there any more."""
    places = _known(user_cache_dir() / FILE).get(fingerprint, [])
    files = tuple(Path(place) for place in places)
    return files if all(file.is_file() for file in files) else ()


def _is_ours(path: Path) -> bool:
    with contextlib.suppress(IdealPromptError):
        return f'"{MARK}"' in read_text(path, JournalError)[:200]
    return False


def _known(path: Path) -> dict[str, list[str]]:
    try:
        data = json.loads(read_text(path, JournalError))
    except (IdealPromptError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {
        key: places
        for key, places in data.items()
        if isinstance(places, list) and places and all(isinstance(one, str) for one in places)
    }
