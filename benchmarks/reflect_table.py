"""Tables of `results/reflect.json` for this folder's README.

    python -m benchmarks.reflect_table [--runs FILE] [--set samples held]

Comparisons are paired over tasks and seeds: mean difference, its 95 % bootstrap interval over
tasks (runs of one task are not independent), and Wilcoxon's signed rank test over the tasks' means.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.reflect import RESULTS, SIZES

Row = dict[str, Any]
ARMS = {
    "seed": "seed prompt",
    "gepa": "GEPA",
    "search": "search alone",
    "reflect": "reflection alone",
    "both": "search and reflection",
}
DRAWS = 2000


def scores(rows: Iterable[Row], part: str, arm: str) -> dict[tuple[Any, ...], float]:
    """(set, task, budget, seed) -> score on the held-out images."""
    kept = [row for row in rows if row["part"] == part]
    if arm == "seed":
        return {_place(r): r["test"]["seed"] for r in kept if "seed" in r["test"]}
    return {_place(r): r["test"]["winner"] for r in kept if r["arm"] == arm}


def _place(row: Row) -> tuple[Any, ...]:
    return (row["set"], row["task"], row["budget"], row["seed"])


def compared(ours: Mapping[Any, float], theirs: Mapping[Any, float]) -> dict[str, float]:
    """The paired difference, in points; {} where they share no run."""
    by_task: dict[Any, list[float]] = {}
    for place in ours.keys() & theirs.keys():
        by_task.setdefault(place[:2], []).append(ours[place] - theirs[place])
    if not by_task:
        return {}
    means = [fmean(values) for _, values in sorted(by_task.items())]
    rng = random.Random(0)
    draws = sorted(fmean(rng.choices(means, k=len(means))) for _ in range(DRAWS))
    every = [value for values in by_task.values() for value in values]
    return {
        "difference": 100 * fmean(means),
        "low": 100 * draws[int(0.025 * DRAWS)],
        "high": 100 * draws[int(0.975 * DRAWS)],
        "better": sum(value > 0 for value in every),
        "worse": sum(value < 0 for value in every),
        "p": _wilcoxon(means),
    }


def _wilcoxon(means: Sequence[float]) -> float:
    from scipy.stats import wilcoxon

    moved = [value for value in means if value != 0]
    return float(wilcoxon(moved).pvalue) if len(moved) > 1 else 1.0


# --- tables ---------------------------------------------------------------------------------------


def ablation(rows: Sequence[Row]) -> list[str]:
    """Mean score of each arm per set and budget, and all paired comparisons with both stages."""
    lines = ["| set | budget | " + " | ".join(ARMS.values()) + " |", "|---" * (2 + len(ARMS)) + "|"]
    places = sorted({(r["set"], r["budget"]) for r in rows if r["part"] == "ablation"})
    for task_set, budget in places:
        own = [r for r in rows if r["set"] == task_set and r["budget"] == budget]
        cells = [_percent(scores(own, "ablation", arm).values()) for arm in ARMS]
        lines.append(f"| {task_set} | {budget} | {' | '.join(cells)} |")
    lines += [
        "",
        "| search and reflection against | budget | points | 95 % | runs won : lost | p |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for budget in sorted({budget for _, budget in places}):
        own = [r for r in rows if r["budget"] == budget]
        ours = scores(own, "ablation", "both")
        for arm, name in ARMS.items():
            found = compared(ours, scores(own, "ablation", arm)) if arm != "both" else {}
            if found:
                lines.append(
                    f"| {name} | {budget} | {found['difference']:+.1f} | "
                    f"{found['low']:+.1f} to {found['high']:+.1f} | "
                    f"{found['better']:.0f} : {found['worse']:.0f} | {found['p']:.2g} |"
                )
    return lines


def tasks(rows: Sequence[Row]) -> list[str]:
    """Every task's mean per arm, and for the samples what the expert's prompt gains."""
    lines = ["| task | " + " | ".join(ARMS.values()) + " | expert | share of its gain |"]
    lines.append("|---" * (3 + len(ARMS)) + "|")
    names = sorted({(r["set"], r["task"]) for r in rows if r["part"] == "ablation"})
    for task_set, name in names:
        own = [r for r in rows if (r["set"], r["task"]) == (task_set, name)]
        means = {arm: scores(own, "ablation", arm).values() for arm in ARMS}
        expert = [r["test"]["winner"] for r in own if r["part"] == "expert"]
        share = ""
        if expert and means["both"] and expert[0] > fmean(means["seed"]):
            start = fmean(means["seed"])
            share = f"{100 * (fmean(means['both']) - start) / (expert[0] - start):.0f} %"
        cells = [_percent(values) for values in means.values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {_percent(expert)} | {share} |")
    return lines


def curve(rows: Sequence[Row]) -> list[str]:
    """Gain over the seed prompt by the number of training images."""
    lines = [
        "| training images | score | gain over the seed prompt | runs |",
        "|---|---|---|---|",
    ]
    for size in SIZES:
        own = [r for r in rows if r["part"] == f"curve-{size}"]
        if own:
            gain = fmean(r["test"]["winner"] - r["test"]["seed"] for r in own)
            after = _percent(r["test"]["winner"] for r in own)
            lines.append(f"| {size} | {after} | {100 * gain:+.1f} | {len(own)} |")
    return lines


def honesty(rows: Sequence[Row]) -> list[str]:
    """Accepted edits on the held-out images, and gains claimed on random labels."""
    edits = [e for r in rows if r["part"] == "ablation" for e in r.get("edits", [])]
    gains = [edit["test"][1] - edit["test"][0] for edit in edits]
    lines = []
    if gains:
        kept, lost = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
        lines.append(
            f"{len(gains)} accepted edits: on the held-out images "
            f"{100 * kept / len(gains):.0f} % are better, {100 * lost / len(gains):.0f} % worse, "
            f"mean {100 * fmean(gains):+.1f} points"
        )
    shuffled = [r for r in rows if r["part"] == "random"]
    for arm in sorted({r["arm"] for r in shuffled}):
        own = [r for r in shuffled if r["arm"] == arm]
        claims = sum(r["recommended"] == "winner" for r in own)
        alone = sum(r["selected"] == "winner" for r in own)
        lines.append(
            f"random labels, {ARMS[arm]}: a gain is claimed in {claims} of {len(own)} runs with a "
            f"held-out part, in {alone} without one"
        )
    return lines


def _percent(values: Iterable[float]) -> str:
    found = list(values)
    return f"{100 * fmean(found):.1f}" if found else ""


def tables(rows: Sequence[Row]) -> str:
    """All of them."""
    return "\n\n".join(
        "\n".join(made).strip()
        for table in (ablation, tasks, curve, honesty)
        if (made := table(rows))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--runs", type=Path, default=RESULTS, help="reflect.json or a .jsonl of runs"
    )
    parser.add_argument("--set", nargs="+", default=["samples", "held"])
    options = parser.parse_args()
    text = options.runs.read_text("utf-8")
    lines = text.splitlines()
    found = [json.loads(x) for x in lines] if options.runs.suffix == ".jsonl" else json.loads(text)
    print(tables([row for row in found if row["set"] in options.set]))


if __name__ == "__main__":
    main()
