"""The known name that an unknown one was probably meant to be, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """The known name most like `word`, or '' where none is like it."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=cutoff)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name."""
    options = list(known)
    guess = nearest(word, options)
    return f"did you mean {guess}?" if guess else "known: " + ", ".join(options)
