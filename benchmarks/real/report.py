"""Tables and curves of the comparison on real tasks, which `benchmarks.readme` puts into the pages.

python -m benchmarks.real report --runs WORK/real.jsonl
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from benchmarks import honesty, priors
from benchmarks.markdown import percent, table
from benchmarks.ranking import Run, compared, curves
from idealprompt_cli.evaluation.statistics import wilson

from . import checks, demonstrations
from .ablation import PARTS
from .catalogue import TASKS
from .methods import METHODS, NAMES

HERE = Path(__file__).resolve().parent.parent
RESULTS = HERE / "results" / "real.json"
PLOT = HERE / "plots" / "real.png"
PLAIN, OURS = "puct", "weighted"
PAIRS = (
    (OURS, "seed"), (OURS, "expert"), (OURS, "probe"), (OURS, "majority"), (OURS, PLAIN),
    (OURS, "gepa"), (OURS, "gepa+writer"), (OURS, "mipro"),
    ("committee", OURS), (PLAIN, "seed"), (PLAIN, "expert"), (PLAIN, "probe"), (PLAIN, "majority"),
    (PLAIN, "gepa"), (PLAIN, "gepa+writer"), (PLAIN, "gepa+pool"), (PLAIN, "mipro"),
    (PLAIN, "beam"), (PLAIN, "random"), (PLAIN, "best-first"), (PLAIN, "thompson"),
    (PLAIN, "top-two"), ("puct+priors", PLAIN), ("search+reflect", PLAIN),
    ("search+reflect+writer", PLAIN), *((PLAIN, part) for part in PARTS),
)  # fmt: skip


def budgets_of(runs: Sequence[Run]) -> list[int]:
    return sorted({int(budget) for run in runs for budget in run["points"]})


def tasks_of(runs: Sequence[Run]) -> list[str]:
    """The tasks that were run, in the catalogue's order."""
    return [name for name in TASKS if any(run["task"] == name for run in runs)]


def mean_at(runs: Sequence[Run], method: str, budget: int, task: str = "") -> float:
    """Mean held-out score of a method at a budget, first over the seeds of a task, then over tasks;
    NaN where it was not run on all the tasks of `runs`."""
    names = [task] if task else sorted({run["task"] for run in runs})
    means = []
    for name in names:
        found = [
            run["points"][str(budget)]["test"] for run in runs
            if run["method"] == method and run["task"] == name and str(budget) in run["points"]
        ]  # fmt: skip
        means.append(float(np.mean(found)) if found else math.nan)
    return float(np.mean(means)) if means else math.nan


def figures(runs: Sequence[Run]) -> str:
    """For the first page: a line per task, with 95 % intervals over the held-out examples; in bold
    where the interval lies above the seed prompt's."""
    largest = budgets_of(runs)[-1]
    head = (
        "task", "examples", "seed prompt", "ours, 300 evaluations", "ours, 800",
        "plain prompt, 300", "expert by hand", "linear probe",
    )  # fmt: skip
    rows = []
    for name in tasks_of(runs):
        task = TASKS[name]
        seed = mean_at(runs, "seed", largest, name)
        ceiling = wilson(seed * task.test, task.test).high
        cells = [f"`{name}` ({task.part})", f"{task.train} + {task.test}", f"{percent(seed, 0)} %"]
        for budget in (300, 800):
            value = mean_at(runs, OURS, budget, name)
            if math.isnan(value):
                cells.append("")
                continue
            reach = wilson(value * task.test, task.test)
            text = f"{percent(value, 0)} % [{percent(reach.low, 0)}, {percent(reach.high, 0)}]"
            cells.append(f"**{text}**" if reach.low > ceiling else text)
        for method, budget in ((PLAIN, 300), ("expert", largest), ("probe", largest)):
            value = mean_at(runs, method, budget, name)
            cells.append("" if math.isnan(value) else f"{percent(value, 0)} %")
        rows.append(cells)
    return table(head, rows)


def task_table(runs: Sequence[Run]) -> str:
    """A line per task and method: the mean over seeds at each budget; lines without a run left
    out."""
    budgets = budgets_of(runs)
    rows = []
    for task in tasks_of(runs):
        own = [run for run in runs if run["task"] == task]
        for method in METHODS:
            here = [run for run in own if run["method"] == method]
            if here:
                cells = [percent(mean_at(here, method, budget, task), 0) for budget in budgets]
                rows.append((task, NAMES[method], str(len(here)), *cells))
    return table(("task", "method", "seeds", *map(str, budgets)), rows)


def means_table(runs: Sequence[Run]) -> str:
    """A line per method: the mean over the dev tasks, the held tasks, at each budget."""
    budgets = budgets_of(runs)
    parts = {part: [r for r in runs if TASKS[r["task"]].part == part] for part in ("dev", "held")}
    head = [f"{part}, {budget}" for part in parts for budget in budgets]
    rows = []
    for method in METHODS:
        cells = [
            percent(mean_at(own, method, budget), 0) if own else ""
            for own in parts.values() for budget in budgets
        ]  # fmt: skip
        if any(cells):
            rows.append((NAMES[method], *cells))
    return table(("method", *head), rows)


def pairs_table(runs: Sequence[Run]) -> str:
    """Differences of two methods over the tasks and seeds that both have, in points, with 95 %
    intervals."""
    budgets = budgets_of(runs)
    rows = []
    for ours, theirs in PAIRS:
        if not all(any(run["method"] == one for run in runs) for one in (ours, theirs)):
            continue
        mine, other = curves(runs, ours).scores, curves(runs, theirs).scores
        both = ~(np.isnan(mine) | np.isnan(other))
        tasks = both.any(axis=(1, 2))
        cells = []
        for place in range(len(budgets)):
            some = both[:, :, place].any(axis=1)
            if some.sum() < 3:
                cells.append("")
                continue
            gap = compared(
                np.where(both, mine, np.nan)[some, :, place],
                np.where(both, other, np.nan)[some, :, place],
            )
            cells.append(f"{100 * gap.value:+.1f} [{100 * gap.low:+.0f}, {100 * gap.high:+.0f}]")
        if any(cells):
            rows.append((f"{NAMES[ours]} minus {NAMES[theirs]}", *cells, str(tasks.sum())))
    return table(("difference in points", *map(str, budgets), "tasks"), rows)


SHOWN = "Training examples shown in front of the question, label bias corrected for all:"
LEARNT = "Drawn tasks, the demonstration model, priors learned on 18 other tasks:"
MEANINGLESS = "Searches on labels that say nothing about the images:"
# (method, its budget, another method, its larger budget)
EARLIER = (
    (OURS, 100, "gepa+writer", 300), (OURS, 300, "gepa", 800), (OURS, 300, "mipro", 800),
    (OURS, 100, OURS, 800), (OURS, 300, OURS, 800), (OURS, 400, OURS, 800),
    (PLAIN, 400, PLAIN, 800), (OURS, 400, "fixed-blocks", 800), (PLAIN, 400, "fixed-blocks", 800),
)  # fmt: skip


def earlier_table(runs: Sequence[Run]) -> str:
    """What a method has over one that was given more evaluations, over the tasks of both."""
    budgets = budgets_of(runs)
    rows = []
    for ours, budget, method, larger in EARLIER:
        if budget not in budgets or larger not in budgets:
            continue
        mine = curves(runs, ours).scores[:, :, budgets.index(budget)]
        other = curves(runs, method).scores[:, :, budgets.index(larger)]
        both = ~(np.isnan(mine) | np.isnan(other))
        some = both.any(axis=1)
        if some.sum() < 3:
            continue
        gap = compared(np.where(both, mine, np.nan)[some], np.where(both, other, np.nan)[some])
        text = f"{100 * gap.value:+.1f} [{100 * gap.low:+.0f}, {100 * gap.high:+.0f}]"
        rows.append(
            (f"{NAMES[ours]} at {budget} minus {NAMES[method]} at {larger}", text, str(some.sum()))
        )
    return table(("at fewer evaluations", "points", "tasks"), rows) if rows else ""


def plot(runs: Sequence[Run], out: Path = PLOT) -> None:
    """Mean held-out score against evaluations, a panel for the dev and one for the held tasks."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    budgets = budgets_of(runs)
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.4), sharey=True)
    for axis, part in zip(axes, ("dev", "held"), strict=True):
        own = [run for run in runs if TASKS[run["task"]].part == part]
        for place, method in enumerate(name for name in METHODS if name not in PARTS):
            points = [(b, 100 * mean_at(own, method, b)) for b in budgets]
            known = [point for point in points if not math.isnan(point[1])]
            if known:
                flat = method in ("seed", "expert", "majority", "probe", "nearest-mean")
                axis.plot(
                    *zip(*known, strict=True), label=NAMES[method],
                    marker="" if flat else "os^"[place // 10],
                    color="black" if method == OURS else f"C{place % 10}",
                    linestyle=":" if flat else "-", linewidth=2.4 if method == OURS else 1.3,
                )  # fmt: skip
        axis.set_xscale("log")
        axis.set_xticks(budgets, [str(budget) for budget in budgets])
        axis.minorticks_off()
        axis.set_xlabel("evaluations")
        axis.set_title(f"{part} tasks")
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("accuracy on held-out examples, %")
    axes[1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    pyplot.close(figure)


SOURCES: tuple[tuple[ModuleType, str], ...] = (
    (checks, ""), (priors, LEARNT), (demonstrations, SHOWN), (honesty, MEANINGLESS)
)  # fmt: skip


def evidence(runs: Sequence[Run]) -> str:
    """What `docs/evidence.md` shows: means, paired differences, the checks."""
    held = [run for run in runs if TASKS[run["task"]].part == "held"]
    parts = [means_table(runs), "All tasks, paired:", pairs_table(runs), earlier_table(runs)]
    if held:
        parts += ["Held tasks alone, paired:", pairs_table(held), earlier_table(held)]
    for source, heading in SOURCES:
        if source.RESULTS.is_file():
            found = source.summary(json.loads(source.RESULTS.read_text("utf-8")))
            parts += [heading, found]
    return "\n\n".join(part for part in parts if part)


def loaded(path: Path = RESULTS) -> list[Run]:
    return list(json.loads(path.read_text("utf-8")))
