"""Tables of the comparison on real tasks, for `benchmarks/README.md`.

python -m benchmarks.real report
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.markdown import filled, percent
from benchmarks.ranking import Run, compared, curves

from .catalogue import TASKS
from .methods import METHODS, NAMES

HERE = Path(__file__).resolve().parent.parent
RESULTS = HERE / "results" / "real.json"
README = HERE / "README.md"
PAIRS = (
    ("puct", "seed"), ("puct", "probe"), ("puct+priors", "puct"), ("search+reflect", "puct"),
    ("puct", "expert"), ("puct", "gepa"), ("puct", "mipro"),
)  # fmt: skip


def task_table(runs: Sequence[Run]) -> str:
    """A line per task and method: the mean over seeds at each budget; lines without a run left
    out."""
    budgets = curves(runs, "seed").budgets
    lines = [f"| task | method | seeds | {' | '.join(map(str, budgets))} |"]
    lines.append("|---" * (len(budgets) + 3) + "|")
    for task in [name for name in TASKS if any(run["task"] == name for run in runs)]:
        own = [run for run in runs if run["task"] == task]
        for method in METHODS:
            here = [run for run in own if run["method"] == method]
            if here:
                means = [
                    [run["points"][str(b)]["test"] for run in here if str(b) in run["points"]]
                    for b in budgets
                ]
                cells = [percent(float(np.mean(m)), 0) if m else "" for m in means]
                lines.append(f"| {task} | {NAMES[method]} | {len(here)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pairs_table(runs: Sequence[Run]) -> str:
    """Differences of two methods over the tasks and seeds that both have, in points, with 95 %
    intervals."""
    budgets = curves(runs, "seed").budgets
    lines = [f"| difference in points | {' | '.join(map(str, budgets))} | tasks |"]
    lines.append("|---" * (len(budgets) + 2) + "|")
    for ours, theirs in PAIRS:
        mine, other = curves(runs, ours).scores, curves(runs, theirs).scores
        both = ~(np.isnan(mine) | np.isnan(other))
        tasks = both.any(axis=(1, 2))
        if tasks.sum() < 3:
            continue
        cells = []
        for place in range(len(budgets)):
            gap = compared(
                np.where(both, mine, np.nan)[tasks, :, place],
                np.where(both, other, np.nan)[tasks, :, place],
            )
            cells.append(f"{100 * gap.value:+.1f} [{100 * gap.low:+.0f}, {100 * gap.high:+.0f}]")
        lines.append(
            f"| {NAMES[ours]} minus {NAMES[theirs]} | {' | '.join(cells)} | {tasks.sum()} |"
        )
    return "\n".join(lines)


def report(path: Path = RESULTS) -> str:
    """The part of the README that is made from the results."""
    runs = json.loads(path.read_text("utf-8"))
    pictures = [run for run in runs if TASKS[run["task"]].source != "banking77"]
    return "\n\n".join((task_table(runs), "Picture tasks, paired:", pairs_table(pictures)))


def write_report() -> int:
    """Put the tables between the README's marks."""
    made = report()
    README.write_text(filled(README.read_text("utf-8"), "real", made), encoding="utf-8")
    print(made)
    return 0
