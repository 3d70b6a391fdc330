"""How a prompt moves the answers to unrelated questions, for people and for programs."""

from __future__ import annotations

from typing import Any

from ..io.terminal import one_line
from ..synthesis.drift import LIMIT, DriftReport, Moved

MOST_SHOWN = 3
_VERDICTS = {
    "no drift": "No drift: with this prompt, the model's answers to unrelated questions stay as "
    "likely as before.",
    "drift": "Drift: with this prompt, the model answers unrelated questions otherwise.",
    "unclear": "Unclear: too few questions to separate drift from chance; use a larger corpus.",
}


def drift_lines(report: DriftReport) -> list[str]:
    """The report as lines of text."""
    before, after = report.perplexities
    low, high = report.changed_interval.low, report.changed_interval.high
    loss = report.loss_interval
    lines = [
        f"Unrelated questions: {report.n}, asked with and without {one_line(report.system)[:60]!r}",
        f"  perplexity of the corpus's answers: {before:.3g} without, {after:.3g} with it",
        f"  log-probability lost a token: {report.loss:.3f} [{loss.low:.3f}, {loss.high:.3f}], "
        f"limit {LIMIT:g}",
        f"  answers with other words: {100 * report.changed:.0f} % "
        f"[{100 * low:.0f}, {100 * high:.0f}], of their words {100 * report.overlap:.0f} % in "
        "common (greedy texts change at a small touch)",
        _VERDICTS[report.verdict],
    ]
    if report.verdict == "drift":
        lines.append("Moved most:")
        for one in report.furthest(MOST_SHOWN):
            lines += [f"  {one_line(one.question)}", *_before_and_after(one)]
    return lines


def _before_and_after(one: Moved) -> list[str]:
    texts = {"without": one.before, "with": one.after}
    return [f"    {name}: {one_line(text)[:100]}" for name, text in texts.items()]


def drift_data(report: DriftReport) -> dict[str, Any]:
    """The report as plain data."""
    before, after = report.perplexities
    return {
        "model": report.model.name,
        "system": report.system,
        "n": report.n,
        "verdict": report.verdict,
        "loss": round(report.loss, 6),
        "low": _finite(report.loss_interval.low),
        "high": _finite(report.loss_interval.high),
        "limit": LIMIT,
        "perplexity": {"without": round(before, 6), "with": round(after, 6)},
        "changed": round(report.changed, 6),
        "changed_low": round(report.changed_interval.low, 6),
        "changed_high": round(report.changed_interval.high, 6),
        "overlap": round(report.overlap, 6),
        "questions": [
            {
                "question": one.question,
                "without": one.before,
                "with": one.after,
                "loss": round(one.loss, 6),
            }
            for one in report.moved
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if abs(value) < 1e9 else None
