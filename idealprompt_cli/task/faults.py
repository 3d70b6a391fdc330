"""Several faults of one table or folder, reported together."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.errors import FAULT_SEPARATOR, TaskError

SHOWN = 20


@dataclass
class Faults:
    """Collects messages, each of which names its file and line."""

    messages: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        self.messages.append(message)

    def check(self) -> None:
        """Raises `TaskError` if there is any fault: one line each, the first `SHOWN` of them."""
        if self.messages:
            raise TaskError(listed(self.messages))


def listed(messages: list[str]) -> str:
    """The messages below each other, and how many more there are."""
    different = list(dict.fromkeys(messages))
    lines = different[:SHOWN]
    if len(different) > SHOWN:
        lines = [*lines, f"and {len(different) - SHOWN} more ({len(different)} in all)"]
    return FAULT_SEPARATOR.join(lines)
