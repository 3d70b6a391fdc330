"""Make tables and plots of the comparison: `python -m benchmarks.compare_report`.

Read `results/compare.json`, write `plots/compare.png` and `.svg` (with matplotlib, from the extra
"bench"; not with `--no-plots`) and the part of `README.md` between `<!-- compare -->` and
`<!-- /compare -->`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .contest import METHODS
from .markdown import filled, percent, table
from .ranking import Curves, Estimate, Run, area, compared, curves, estimated, reached

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "compare.json"
README = HERE / "README.md"
NAMES = {
    "seed": "seed prompt", "random": "random, same pool", "best-of-n": "best of N, same pool",
    "hill-climbing": "hill climbing, same pool", "beam": "beam (ProTeGi), same pool",
    "best-first": "best first, same pool", "puct": "ours without priors",
    "puct+priors": "**ours** (built-in priors)",
    "puct+priors-full": "ours, built-in priors at full weight", "gepa": "GEPA, own reflection",
    "gepa+pool": "GEPA, our pool", "mipro": "MIPROv2",
}  # fmt: skip
OURS = ("puct+priors", "puct")


def methods_in(runs: Sequence[Run]) -> list[str]:
    return [method for method in METHODS if any(run["method"] == method for run in runs)]


def with_interval(one: Estimate) -> str:
    return f"{percent(one.value)} [{percent(one.low)}, {percent(one.high)}]"


def scores_table(runs: Sequence[Run]) -> str:
    """Mean test score per method and budget, area, and cost at the largest budget."""
    budgets = curves(runs, methods_in(runs)[0]).budgets
    head = [*(str(b) for b in budgets), "area", f"at {budgets[-1]}, 95 % interval"]
    head += ["tokens of the prompt", "model s", "own s"]
    rows = []
    best = _best(runs)
    for method in methods_in(runs):
        one = curves(runs, method)
        cells = [
            f"**{percent(v)}**" if v >= best[i] - 5e-4 else percent(v)
            for i, v in enumerate(one.mean())
        ]
        areas = area(one.budgets, one.scores)
        last = estimated(one.scores[:, :, -1])
        rest = [
            float(np.nanmean(curves(runs, method, field).scores[:, :, -1]))
            for field in ("prompt_tokens", "seconds", "own_seconds")
        ]
        cells += [percent(float(np.nanmean(areas))), with_interval(last)]
        cells += [f"{rest[0]:.0f}", f"{rest[1]:.1f}", f"{rest[2]:.1f}"]
        rows.append((NAMES[method], *cells))
    return table(("method", *head), rows)


def _best(runs: Sequence[Run]) -> np.ndarray:
    return np.asarray(np.nanmax([curves(runs, m).mean() for m in methods_in(runs)], axis=0))


def differences_table(runs: Sequence[Run], ours: str) -> str:
    """Ours minus each peer, per budget, with a star where the paired test is significant."""
    own = curves(runs, ours)
    rows = []
    for method in [m for m in methods_in(runs) if m not in OURS or (ours, m) == OURS]:
        other, cells = curves(runs, method), []
        for place in range(len(own.budgets)):
            gap = compared(own.scores[:, :, place], other.scores[:, :, place])
            star = "*" if gap.p_value <= 0.05 else ""
            cells.append(f"{100 * gap.value:+.1f}{star}")
        rows.append((NAMES[method].replace("*", ""), *cells))
    return table((f"{NAMES[ours].replace('*', '')} minus", *map(str, own.budgets)), rows)


def savings(runs: Sequence[Run]) -> str:
    """How many evaluations ours needs to reach a peer's last score, and what priors save."""
    found = []
    ours = next(method for method in OURS if method in methods_in(runs))
    own = curves(runs, ours)
    for method in [m for m in methods_in(runs) if m not in (*OURS, "seed")]:
        goal = float(curves(runs, method).mean()[-1])
        needs = reached(own.budgets, own.mean(), goal)
        text = (
            "never"
            if math.isinf(needs)
            else f"at most {needs:.0f}"
            if needs <= own.budgets[0]
            else f"{needs:.0f}"
        )
        found.append(f"{NAMES[method]} ({percent(goal)} % at {own.budgets[-1]}): {text}")
    lines = ["Evaluations after which ours reaches a peer's last mean: " + "; ".join(found) + "."]
    if set(OURS) <= set(methods_in(runs)):
        lines.append(_priors_savings(own, curves(runs, "puct")))
    return "\n\n".join(lines)


def _priors_savings(with_: Curves, without: Curves) -> str:
    """Evaluations with the built-in priors as a share of those without, over goals between the
    first and the last score of the search without."""
    means = without.mean()
    goals = np.linspace(means[0], np.max(means), 6)[1:]
    shares = [
        reached(with_.budgets, with_.mean(), goal) / reached(without.budgets, means, goal)
        for goal in goals
    ]
    text = ", ".join(
        f"{percent(goal)} %: " + ("never" if math.isinf(value) else f"{100 * value:.0f} %")
        for goal, value in zip(goals, shares, strict=True)
    )
    return f"Evaluations with the built-in priors as a share of those without, to reach {text}."


def report(runs: Sequence[Run]) -> str:
    """The part of the README that is generated from the results."""
    if not runs:
        return "Not measured yet."
    parts = []
    tasks = sorted({(run["set"], run["task"]) for run in runs})
    seeds = len({run["seed"] for run in runs})
    names = sorted({name for name, _ in tasks})
    count = " and ".join(f"{sum(t[0] == name for t in tasks)} {name}" for name in names)
    parts.append(
        f"Mean accuracy on held-out images in %, over {count} tasks and {seeds} "
        f"seeds ({len(runs)} runs on model `{runs[0]['model'][:12]}`); bold: best at that budget."
    )
    parts.append(scores_table(runs))
    for name in names if len(names) > 1 else ():
        part = [run for run in runs if run["set"] == name]
        parts += [f"The {name} tasks alone:", scores_table(part)]
    ours = next((method for method in OURS if method in methods_in(runs)), None)
    if ours is not None:
        parts.append(
            "Paired differences over tasks and seeds (a star: permutation test, p <= 0.05; not "
            "corrected for the number of cells):"
        )
        parts += [differences_table(runs, ours), savings(runs)]
    return "\n\n".join(parts)


def shuffled_report(runs: Sequence[Run]) -> str:
    """What priors gain if the order of the pool is random; "" if not measured."""
    if not runs:
        return ""
    tasks, seeds = ({run[key] for run in runs} for key in ("task", "seed"))
    parts = [
        "The pool is ordered by strength, by hand, which is a prior too. With a random order for "
        f"each seed ({len(tasks)} tasks, {len(seeds)} seeds) the built-in priors are the only "
        "knowledge:",
        scores_table(runs),
    ]
    if {"puct+priors", "puct"} <= set(methods_in(runs)):
        parts.append(_priors_savings(curves(runs, "puct+priors"), curves(runs, "puct")))
    return "\n\n".join(parts)


def plot(runs: Sequence[Run], folder: Path) -> None:
    """Mean test score against evaluations, one panel per set of tasks."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = sorted({run["set"] for run in runs})
    figure, axes = pyplot.subplots(1, len(names), figsize=(6.2 * len(names), 4.4), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        part = [run for run in runs if run["set"] == name]
        for place, method in enumerate(methods_in(part)):
            one = curves(part, method)
            own = method in OURS
            colour = f"C{place % 10}" if not own else ("black" if method == OURS[0] else "0.45")
            axis.plot(
                one.budgets, 100 * one.mean(), label=NAMES[method].replace("*", ""), color=colour,
                linewidth=2.4 if own else 1.3, marker="o", markersize=3,
                linestyle="--" if place >= 8 else "-",
            )  # fmt: skip
            if method == OURS[0]:
                bands = [estimated(one.scores[:, :, i]) for i in range(len(one.budgets))]
                low, high = [100 * b.low for b in bands], [100 * b.high for b in bands]
                axis.fill_between(one.budgets, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.set_xscale("log")
        axis.set_xticks(one.budgets, [str(b) for b in one.budgets])
        axis.minorticks_off()
        axis.set_xlabel("evaluations")
        axis.set_ylabel("accuracy on held-out images, %")
        axis.set_title(f"{name} tasks")
        axis.grid(alpha=0.25)
    axes[0][-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "compare.png", dpi=110)
    mpl.rcParams["svg.hashsalt"] = "compare"
    figure.savefig(folder / "compare.svg", metadata={"Date": None})
    pyplot.close(figure)


def load(path: Path, pool: str = "by strength") -> list[Any]:
    """The results with the pool in this order; those of the model with most runs."""
    runs = json.loads(path.read_text("utf-8")) if path.exists() else []
    runs = [run for run in runs if run["pool"] == pool]
    models = [run["model"] for run in runs]
    usual = max(set(models), key=models.count, default=None)
    return [run for run in runs if run["model"] == usual]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("--plots", type=Path, default=HERE / "plots")
    parser.add_argument("--no-plots", action="store_true")
    options = parser.parse_args()
    runs = load(options.results)
    shuffled = shuffled_report(load(options.results, "shuffled"))
    text = "\n\n".join(part for part in (report(runs), shuffled) if part)
    print(text)
    page = filled(options.readme.read_text("utf-8"), "compare", text)
    options.readme.write_text(page, encoding="utf-8")
    if runs and not options.no_plots:
        plot(runs, options.plots)


if __name__ == "__main__":
    main()
