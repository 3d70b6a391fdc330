"""The seed prompt beside the adapted one: changes word by word, scores by field or label."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from ...artifact import Artifact
from ...core.prompt import Prompt
from ...prompts.rendering import readable, whole_chat
from ...storage.predictions import per_field, per_option
from .gather import Report

Change = tuple[Literal["same", "gone", "new"], str]


def prompt_text(prompt: Prompt, labels: tuple[str, ...], images: int) -> str:
    """The prompt as the model gets it, in one text."""
    messages = whole_chat(prompt, labels, images)
    return "\n".join(f"{message.role}: {readable(message)}" for message in messages)


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


# --- scores by part of an answer ----------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A field (share of right values) or a label (F1), with the seed prompt and the adapted one;
    shares in [0, 1]."""

    name: str
    before: float
    after: float


def parts(report: Report) -> tuple[str, tuple[Part, ...]]:
    """What the parts are, and their scores; () for answers of one part, or where none are kept."""
    schema = report.artifact.task.answer_schema
    before, after = report.outcomes("baseline"), report.outcomes("winner")
    if not before or not after:
        return "", ()
    if schema.fields:
        names = [field.name for field in schema.fields]
        pairs = zip(per_field(before, names), per_field(after, names), strict=True)
        return "field", tuple(Part(a.name, a.share, b.share) for a, b in pairs)
    if schema.options:
        scores = zip(
            per_option(before, schema.options), per_option(after, schema.options), strict=True
        )
        return "label (F1)", tuple(Part(a.label, a.f1, b.f1) for a, b in scores)
    return "", ()


# --- boxes of a federation ------------------------------------------------------------------------


@dataclass(frozen=True)
class BoxRow:
    """A box with the scores of the seed prompt and the adapted one on its held-out examples, or
    without any on its selection examples; shares in [0, 1]."""

    name: str
    policy: str
    before: float
    after: float
    n: int


def box_rows(artifact: Artifact) -> tuple[BoxRow, ...]:
    """A row for each box, () where the run had none."""
    rows = []
    for box in artifact.boxes:
        before = box.baseline.test or box.baseline.selection
        after = box.winner.test or box.winner.selection
        rows.append(BoxRow(box.name, box.policy, before.value, after.value, after.n))
    return tuple(rows)
