"""How results are shown, by name. A new format: one file here and one line below.

Each turns an `Artifact` or an `EvalReport` into text for stdout and knows nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...io.plugins import member
from .base import ComparedPrompt, EvalReport, Format, Screen
from .json import JsonFormat
from .table import TableFormat

FORMATS: Mapping[str, Format] = {
    "table": TableFormat(),
    "json": JsonFormat(),
}

__all__ = ["FORMATS", "ComparedPrompt", "EvalReport", "Format", "Screen", "get"]


def get(name: str) -> Format:
    """The format of that name, or a plugin's. Raises `UsageError` naming the nearest for any
    other."""
    return member("formats", FORMATS, name)
