"""What an edit of a prompt changed and what it was worth (layer 0, below `types`).

Plain text throughout: it is what a person reads in the artifact's trail. Knows no `Prompt`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One part of a prompt before and after, as text ("" for an empty part)."""

    part: str
    before: str
    after: str


@dataclass(frozen=True)
class EditReport:
    """An accepted edit. `inspired_by`, `fixed` and `broke` are example ids.

    `confusion` is "gold predicted as other", or "" if the edit has no target; `p_value` is the
    one-sided paired test's on examples that did not inspire the edit, `level` what it had to stay
    below after the correction for the edits tried (1.0 where a person decided).
    """

    changes: tuple[Change, ...]
    why: str
    confusion: str = ""
    inspired_by: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    broke: tuple[str, ...] = ()
    p_value: float = 1.0
    level: float = 1.0
