"""What people call the splits of their data, as folders or in a column."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.task import Split

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
SHOULD_BE = "should be train, val or test"


def split_of(name: str) -> Split | None:
    """The split that a folder or a cell names, in any case; None if it names none."""
    return SPLIT_NAMES.get(name.strip().lower())
