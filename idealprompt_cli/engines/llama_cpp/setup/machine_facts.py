"""Small facts about (model, machine) kept between runs: one JSON file, written whole.

Losing it costs a probe; so reading never fails, and a folder that cannot be written is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

TEMPORARY = ".new-"
"""What names of files begin with that are still being written."""


_told: set[Path] = set()


class Memory:
    """String facts by key in `folder/machine.json`. `say` is told once if the file is damaged."""

    def __init__(self, folder: Path, say: Callable[[str], None] | None = None) -> None:
        self._path, self._say = folder / "machine.json", say

    def get(self, *key: str) -> str | None:
        """The fact kept under `key`, or None."""
        value = self._read().get(_name(key))
        return value if isinstance(value, str) else None

    def put(self, value: str, *key: str) -> None:
        """Keep a fact; a second process's fact written at the same moment may be lost."""
        facts = {**self._read(), _name(key): value}
        text = json.dumps(facts, indent=1, sort_keys=True)
        write_whole(self._path, text.encode())

    def _read(self) -> dict[str, object]:
        try:
            facts = json.loads(self._path.read_text(encoding="utf-8"))
        except OSError:
            return {}
        except ValueError:
            facts = None
        if isinstance(facts, dict):
            return facts
        if self._say and self._path not in _told:
            _told.add(self._path)
            self._say(f"{self._path}: damaged and ignored; what it said is measured again")
        return {}


def write_whole(path: Path, *parts: bytes | memoryview) -> bool:
    """Write under a temporary name, then rename. False if the folder cannot be written."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
        Path(temporary).replace(path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        return False
    return True


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """What the CPU advertises, where the system says so (Linux); else its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset({platform.machine(), platform.processor()})
    for line in lines:
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset({platform.machine()})


def _name(key: tuple[str, ...]) -> str:
    """Readable first part, the rest and the machine as a hash."""
    rest = "\n".join((*key[1:], *sorted(cpu_flags())))
    return f"{key[0]}-{hashlib.sha256(rest.encode()).hexdigest()[:24]}"
