"""What changed between two prompts, word by word."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from ...core.prompt import ImageSlot, Prompt
from ...prompts.prompts import render

Change = tuple[Literal["same", "gone", "new"], str]


def prompt_text(prompt: Prompt, labels: tuple[str, ...], images: int) -> str:
    """The prompt as the model gets it, in one text."""
    lines = []
    for message in render(prompt, labels, images):
        pieces = ["[picture]" if isinstance(p, ImageSlot) else p for p in message.content]
        lines.append(f"{message.role}: {' '.join(pieces)}")
    return "\n".join(lines)


def changes(before: str, after: str) -> list[Change]:
    """Runs of words that stayed, went or came, in reading order."""
    old, new = (re.findall(r"\s+|[^\s\w]|\w+", text) for text in (before, after))
    found: list[Change] = []
    gone, came = "", ""
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        same = "".join(old[a:b])
        if tag == "equal" and (re.search(r"\w", same) or not (gone or came) or b == len(old)):
            found += _run(gone, came)
            gone, came = "", ""
            found.append(("same", same))
        else:  # blanks and stops between two changes go with them, or nobody can read it
            gone, came = gone + same, came + "".join(new[c:d])
    return found + _run(gone, came)


def _run(gone: str, came: str) -> list[Change]:
    both: tuple[Change, Change] = (("gone", gone), ("new", came))
    return [change for change in both if change[1]]
