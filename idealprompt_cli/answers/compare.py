"""When two answers say the same, and what a JSON answer holds."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import Any

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_ARTICLE = re.compile(r"^(?:a|an|the)\s+")


def normalised(text: str) -> str:
    """Unicode folding; case, surrounding punctuation, runs of spaces and a leading English article
    are left out (after the SQuAD evaluation, arXiv 1606.05250)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _ARTICLE.sub("", _EDGES.sub("", " ".join(folded.split())))


def object_of(text: str) -> dict[str, Any] | None:
    """The object in a text, None where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def same(said: Any, right: Any) -> bool:
    """Whether two values of a field say the same."""
    if isinstance(said, bool) or isinstance(right, bool) or said is None or right is None:
        return said is right
    if isinstance(said, int | float) and isinstance(right, int | float):
        return math.isclose(said, right, rel_tol=1e-6, abs_tol=1e-9)
    return normalised(str(said)) == normalised(str(right))
