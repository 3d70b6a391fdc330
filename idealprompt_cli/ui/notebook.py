"""What the Python API returns, as notebooks show it: small HTML, nothing fetched, no scripts.

Each class is one of the package's values with a face; everything else about it is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

from ..artifact import Artifact, Score
from ..core.results import Evaluation, Interval, Outcome
from ..storage.predictions import per_label, worst
from .report.comparison import changes, prompt_text
from .report.page import thumbnail
from .report.svg import interval_svg

MOST_ROWS = 20
_MARKS = {
    "same": "{}",
    "new": '<ins style="background:#d8f0e5;text-decoration:none">{}</ins>',
    "gone": '<del style="background:#fbe3df">{}</del>',
}


@dataclass(frozen=True)
class Adapted(Artifact):
    """An artifact that a notebook shows: the verdict, before and after, the prompt as a diff."""

    def _repr_html_(self) -> str:
        rows = [
            (name, part, *_figures(score, bold=scores is self.scores.winner))
            for part in ("test", "selection")
            for name, scores in self.score_rows
            if (score := getattr(scores, part)) is not None
        ]
        head = ("prompt", "examples", self.task.metric, "95 %", "", "n")
        before, after = (
            prompt_text(prompt, self.labels, self.task.images)
            for prompt in (self.baseline_prompt, self.prompt)
        )
        marked = "".join(
            _MARKS[kind].format(escape(piece)) for kind, piece in changes(before, after)
        )
        return (
            f"<p><b>{escape(self.task.name)}</b>: {escape(self.verdict)}</p>{_table(head, rows)}"
            f'<pre style="white-space:pre-wrap">{marked}</pre>'
        )


@dataclass(frozen=True)
class Measured(Evaluation):
    """An evaluation that a notebook shows: the value with its interval, labels, worst answers."""

    def _repr_html_(self) -> str:
        value, low, high = self.value, self.interval.low, self.interval.high
        score = Score(self.metric, value, low, high, self.n)
        labels = sorted({outcome.gold for outcome in self.outcomes if outcome.probabilities})
        parts = [_table((self.metric, "95 %", "", "n"), [_figures(score, bold=True)])]
        if labels:
            rows = [
                (escape(one.label), str(one.n), f"{one.precision:.0%}", f"{one.recall:.0%}")
                for one in per_label(self.outcomes, labels)
            ]
            parts.append(_table(("label", "n", "precision", "recall"), rows))
        wrong = [
            (escape(one.example_id), escape(one.predicted), escape(one.gold))
            for one in worst(self.outcomes, 5)
        ]
        if wrong:
            parts.append(_table(("worst", "answered", "right"), wrong))
        return "".join(parts)


class Answers(list[Outcome]):
    """Answers for new pictures, in order; a notebook shows the first with their pictures."""

    def _repr_html_(self) -> str:
        rows = [
            (
                "".join(_picture(name) for name in one.example_id.split(";")),
                escape(one.example_id),
                f"<b>{escape(one.predicted)}</b>",
                _share(one),
            )
            for one in self[:MOST_ROWS]
        ]
        more = len(self) - len(rows)
        note = f"<p>and {more} more</p>" if more else ""
        return _table(("", "image", "answer", "probability"), rows) + note


def adapted(artifact: Artifact) -> Adapted:
    """The same artifact with a face."""
    return Adapted(**_values(artifact))


def measured(evaluation: Evaluation) -> Measured:
    """The same evaluation with a face."""
    return Measured(**_values(evaluation))


def _values(given: Any) -> dict[str, Any]:
    return {part.name: getattr(given, part.name) for part in fields(given)}


def _figures(score: Score, *, bold: bool) -> tuple[str, ...]:
    found = Interval(score.low, score.high)
    return (
        f"<b>{100 * score.value:.1f} %</b>",
        f"{100 * found.low:.0f} to {100 * found.high:.0f} %",
        interval_svg(score.value, found.low, found.high, bold),
        str(score.n),
    )


def _picture(name: str) -> str:
    url = thumbnail(Path(name))
    return f'<img src="{url}" style="max-height:64px">' if url else ""


def _share(outcome: Outcome) -> str:
    share = outcome.probabilities.get(outcome.predicted)
    return "" if share is None else f"{share:.0%}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
