"""Small facts about a model on this machine, kept between runs in one JSON file.

Losing them costs a measurement, so reading never fails and an unwritable folder is ignored.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path

from ....core.interfaces import Notice
from ....io.files import try_write

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
        facts = {**self._read(), _name(key): value}
        text = json.dumps(facts, indent=1, sort_keys=True)
        try_write(self._path, text.encode())

    def _read(self) -> dict[str, object]:
        try:
            facts = json.loads(self._path.read_text(encoding="utf-8"))
        except OSError:
            return {}
        except ValueError:
            facts = None
        if isinstance(facts, dict):
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
