"""Small facts about a model on this machine, kept between runs in one JSON file.

Losing them costs a measurement, so reading never fails and an unwritable folder is ignored.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....io.files import open_file, read_text, try_write

_MARK = "idealprompt machine"
"""A key of our files: others are not replaced."""
_reported: set[Path] = set()


class MachineFacts:
    """String facts by key in `folder/machine.json`. A damaged file is reported to `notice` once."""

    def __init__(self, folder: Path, notice: Notice | None = None) -> None:
        self._path, self._notice = folder / "machine.json", notice

    def get(self, *key: str) -> str | None:
        """The fact kept under `key`, or None."""
        value = self._read().get(_name(key))
        return value if isinstance(value, str) else None

    def put(self, value: str, *key: str) -> None:
        """Keep a fact; a second process's fact written at the same moment may be lost."""
        known = self._read()
        if known or self._replaceable():
            self._write({**known, _MARK: "1", _name(key): value})

    def _write(self, facts: dict[str, object]) -> None:
        text = json.dumps(facts, indent=1, sort_keys=True)
        try_write(self._path, text.encode())

    def _replaceable(self) -> bool:
        """Whether there is no file, or a damaged one of ours."""
        try:
            with open_file(self._path) as file:
                return _MARK.encode() in file.read(1 << 16)
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def _read(self) -> dict[str, object]:
        if not self._path.exists():
            return {}
        try:
            facts = json.loads(read_text(self._path, ModelError))
        except (ModelError, ValueError, RecursionError):
            facts = None
        if isinstance(facts, dict) and _MARK in facts:
            return facts
        if self._notice and self._path not in _reported:
            _reported.add(self._path)
            self._notice(f"{self._path}: damaged and ignored; its facts are measured again")
        return {}


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags where the system lists them (Linux), else its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset({platform.machine(), platform.processor()})
    for line in lines:
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset({platform.machine()})


def _name(key: tuple[str, ...]) -> str:
    """The readable first part, then a hash of the rest and the machine."""
    rest = "\n".join((*key[1:], *sorted(cpu_flags())))
    return f"{key[0]}-{hashlib.sha256(rest.encode()).hexdigest()[:24]}"
