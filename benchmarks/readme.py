"""Put measured figures into the documentation: `python -m benchmarks.readme`.

Each block is between `<!-- NAME -->` and `<!-- /NAME -->`; a test fails when one is stale.

- `photographs`, `evidence`, `real`: the tables of `results/real.json`
- `figures`: the table of `results/samples.json`
- `transcript`: the output of `make -s demo` on a fresh checkout, from `results/demo.txt`
- `verdict`: the scores, the verdict and the prompt of that output
- `skills`: the main skills of the demonstration model
- `engine`: the tables of `results/engine.json`
- `engine-processor`: those of `results/engine_processor.json`
- `weights`: the table of `results/weights.json`
- `reflect`: the tables of `results/reflect.json`
- `searches`: the table of `results/searches.json`
- `torture`: the tables of `results/torture.json`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import reflect_table, searches
from benchmarks.engine import store, table, weights
from benchmarks.markdown import filled, with_interval
from benchmarks.real import report as real_report
from benchmarks.torture import table as torture_table
from benchmarks.tuning import report as tuning_report

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = tuple(
    ROOT / name
    for name in (
        "README.md",
        "docs/demo.md",
        "docs/models.md",
        "docs/evidence.md",
        "docs/tuning.md",
        "benchmarks/README.md",
    )
)
SKILLS = ROOT / "idealprompt_cli" / "models" / "demo" / "skills.json"
SHOWN = {
    "attribute": "attribute questions",
    "description": "whole descriptions, every attribute right",
    "yes_no": "yes or no",
    "choice_letter": "multiple choice by letter",
    "which_side": "which of two items is red, striped, ...",
    "same": "whether two items have the same colour, pattern, ...",
    "definition_two": "private labels, two definitions",
    "definition": "private labels, three to five definitions",
    "definition_pair": "private labels, defined by two attributes",
    "undefined": "private labels that nothing defines",
    "format_json": "an answer as JSON with one key",
    "text_separate": "text alone: what separates two groups of descriptions",
}


def figures() -> str:
    report = json.loads((RESULTS / "samples.json").read_text(encoding="utf-8"))
    rows = ["| task | test images | seed prompt | search | expert by hand | evaluations |"]
    rows.append("|---|---|---|---|---|---|")
    for name, entry in report["tasks"].items():
        run = entry["runs"][0]
        bold = "**" if run["recommended"] == "winner" else ""
        cells = (
            f"`{name}`",
            str(run["winner"]["n"]),
            with_interval(run["baseline"]),
            f"{bold}{with_interval(run['winner'])}{bold}",
            with_interval(entry["expert"]),
            str(run["evaluations"]),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def transcript() -> str:
    text = (RESULTS / "demo.txt").read_text(encoding="utf-8").rstrip()
    return f"```\n{text}\n```"


def verdict() -> str:
    """The part of the transcript from the table of scores to the end of the adapted prompt."""
    text = (RESULTS / "demo.txt").read_text(encoding="utf-8")
    return f"```\n{text[text.index('grade: accuracy') : text.index('Written to')].rstrip()}\n```"


def skills() -> str:
    report = json.loads(SKILLS.read_text(encoding="utf-8"))
    held = {r["skill"]: r for r in report["skills_heldout"]}
    rows = ["| skill | phrasings of training | phrasings it never saw |", "|---|---|---|"]
    trained = {r["skill"]: r for r in report["skills"]}
    rows += [
        f"| {text} | {with_interval(trained[k])} | {with_interval(held[k])} |"
        for k, text in SHOWN.items()
    ]
    return "\n".join(rows)


def engine() -> str:
    """The tables of `results/engine.json`, for `benchmarks/README.md`."""
    report = store.read(RESULTS / "engine.json")
    return table.tables(report) if report["results"] else "Not measured yet."


def engine_processor() -> str:
    """Those of a machine that other programs used, in processor time."""
    report = store.read(RESULTS / "engine_processor.json")
    return table.tables(report) if report["results"] else "Not measured yet."


def reflection() -> str:
    """The tables of `results/reflect.json`, for `benchmarks/README.md`."""
    return reflect_table.tables(json.loads((RESULTS / "reflect.json").read_text(encoding="utf-8")))


def torture() -> str:
    """The tables of `results/torture.json`, for `benchmarks/README.md`."""
    return torture_table.tables(json.loads((RESULTS / "torture.json").read_text(encoding="utf-8")))


def photographs() -> str:
    """The real tasks, for the first page."""
    return real_report.figures(real_report.loaded())


def evidence() -> str:
    """Methods on the real tasks, for `docs/evidence.md`."""
    return real_report.evidence(real_report.loaded())


def real() -> str:
    """Every real task with every method."""
    return real_report.task_table(real_report.loaded())


PARTS: Mapping[str, Callable[[], str]] = {
    "tuning-scores": lambda: tuning_report.scores(tuning_report.loaded()["runs"]),
    "tuning-means": lambda: tuning_report.means(tuning_report.loaded()["runs"]),
    "tuning-costs": lambda: tuning_report.costs(tuning_report.loaded()["runs"]),
    "tuning-latency": lambda: tuning_report.latency(tuning_report.loaded()["latency"]),
    "photographs": photographs,
    "evidence": evidence,
    "real": real,
    "figures": figures,
    "transcript": transcript,
    "verdict": verdict,
    "skills": skills,
    "engine": engine,
    "engine-processor": engine_processor,
    "reflect": reflection,
    "searches": searches.table,
    "weights": weights.table,
    "torture": torture,
}


def up_to_date(page: str) -> str:
    """The page with its figures up to date."""
    for name, make in PARTS.items():
        if f"<!-- {name} -->" in page:
            page = filled(page, name, make())
    return page


def main() -> None:
    for page in PAGES:
        page.write_text(up_to_date(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
