"""The report as one HTML file: no scripts, nothing fetched, readable on paper."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from ...artifact import Score
from ...core.errors import ImageError
from ...core.results import Outcome
from ...io.images import open_rgb
from ...prompts.rendering import calibration_text
from ...storage.predictions import Kept, confusion
from ..front import front_lines
from ..members import member_lines
from ..wrong_answers import quoted
from .comparison import box_rows, changes, parts, prompt_text
from .gather import ALL, Report
from .svg import curve_svg, interval_svg, tree_svg

TEMPLATE = Path(__file__).parent / "page.html.j2"
THUMBNAIL = 144
WORST = 12


def html(report: Report, *, images: bool = True) -> str:
    """The page. Without `images` no picture is read and none is in it; pictures that are gone are
    left out."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(**_values(report, images))


def _values(report: Report, images: bool) -> dict[str, Any]:
    from markupsafe import Markup

    artifact = report.artifact
    texts = [
        prompt_text(prompt, artifact.labels, artifact.task.images)
        for prompt in (artifact.baseline_prompt, artifact.prompt)
    ]
    path = report.path()
    part_kind, found = parts(report)
    states = [node.state for node in report.nodes]
    return {
        "a": artifact,
        "rows": _score_rows(report),
        "boxes": box_rows(artifact),
        "changes": changes(*texts),
        "members": member_lines(artifact.committee) if artifact.committee else [],
        "front": front_lines(artifact),
        "words": [v for v in artifact.prompt.verbalisers if v.words != (v.label,)],
        "calibration": calibration_text(artifact.prompt),
        "tree": Markup(tree_svg(report.nodes, path)),
        "curve": Markup(curve_svg(report.nodes, report.curve())),
        "counts": {state: states.count(state) for state in ("complete", "pruned", "failed")},
        "split": report.split(),
        "matrices": _matrices(report),
        "part_kind": part_kind,
        "parts": found,
        "worst": [_worst(report, kept, images) for kept in report.worst(WORST)],
        "wrong": len(report.worst(ALL)),
        "work": report.work,
        "images": images,
        "source": Path(report.source).name,
    }


def _score_rows(report: Report) -> list[dict[str, Any]]:
    from markupsafe import Markup

    rows = []
    artifact = report.artifact
    for name, scores in artifact.score_rows:
        for part, score in (("held-out test", scores.test), ("selection", scores.selection)):
            if score is not None:
                bar = interval_svg(
                    score.value, score.low, score.high, scores is artifact.scores.winner
                )
                rows.append({"name": name, "part": part, "bar": Markup(bar), **_figures(score)})
    return sorted(rows, key=lambda row: row["part"] != "held-out test")


def _figures(score: Score) -> dict[str, Any]:
    return {
        "value": f"{100 * score.value:.1f} %",
        "interval": f"{100 * score.low:.0f} to {100 * score.high:.0f} %",
        "n": score.n,
    }


def _matrices(report: Report) -> list[dict[str, Any]]:
    labels = report.artifact.labels
    if not report.kept or not labels:
        return []
    return [
        {"name": name, "rows": list(zip(labels, counts, strict=True))}
        for name, counts in (
            (report.artifact.baseline_name, confusion(report.outcomes("baseline"), labels)),
            ("adapted prompt", confusion(report.outcomes("winner"), labels)),
        )
    ]


def _worst(report: Report, kept: Kept, images: bool) -> dict[str, Any]:
    one = kept.outcome
    before = {o.example_id: o for o in report.outcomes("baseline")}.get(one.example_id)
    return {
        "id": one.example_id,
        "gold": one.gold,
        "predicted": one.predicted,
        "sure": _sure(one),
        "before": before.predicted if before else "",
        "reasoning": one.reasoning,
        "texts": quoted(kept.fields),
        "pictures": [url for path in kept.images if images and (url := thumbnail(path))],
    }


def _sure(outcome: Outcome) -> str:
    share = outcome.probabilities.get(outcome.predicted)
    return "" if share is None else f"{100 * share:.0f} %"


def thumbnail(path: Path) -> str:
    """A small JPEG as a data: URL, "" for a picture that cannot be read any more."""
    try:
        picture = open_rgb(path)
    except ImageError:
        return ""
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
