"""Scores by field or by label before and after, where an answer has several parts."""

from __future__ import annotations

from dataclasses import dataclass

from ...storage.predictions import per_field, per_option
from .gather import Report


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
