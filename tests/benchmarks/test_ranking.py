"""Evaluation of the runs of the comparison: curves, areas, differences, savings, tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import compare_report
from benchmarks.markdown import filled
from benchmarks.ranking import area, compared, curves, estimated, reached

BUDGETS = (100, 200, 400)


def run(method: str, task: str, seed: int, *tests: float) -> dict[str, Any]:
    points = {
        str(b): {
            "evaluations": b, "selection": t, "test": t, "prompt_tokens": 20, "seconds": 1.0,
            "own_seconds": 0.1,
        }
        for b, t in zip(BUDGETS, tests, strict=True)
    }  # fmt: skip
    home = "held" if task in "ab" else "samples"
    return {
        "model": "m0d3l", "method": method, "set": home, "task": task, "seed": seed,
        "pool": "by strength", "points": points,
    }  # fmt: skip


RUNS = [
    run(method, task, seed, *(height + 0.01 * seed for height in heights))
    for method, heights in (
        ("puct+priors", (0.8, 0.9, 0.95)),
        ("puct", (0.6, 0.85, 0.95)),
        ("random", (0.5, 0.6, 0.8)),
    )
    for task in "abcd"
    for seed in range(3)
]


def test_curves_have_a_place_for_every_run() -> None:
    one = curves(RUNS[:-1], "random")
    assert one.scores.shape == (4, 3, 3)
    assert np.isnan(one.scores[3, 2]).all()
    assert one.mean()[0] == pytest.approx(0.51, abs=0.005)
    assert curves(RUNS, "puct", "prompt_tokens").mean()[0] == 20


def test_the_area_is_a_mean_height_over_the_logarithm() -> None:
    assert area(BUDGETS, np.array([0.5, 0.5, 0.5])) == pytest.approx(0.5)
    assert area(BUDGETS, np.array([0.0, 0.5, 1.0])) == pytest.approx(0.5)
    assert area((100,), np.array([0.7])) == pytest.approx(0.7)


def test_a_difference_on_all_tasks_is_significant() -> None:
    ours, theirs = curves(RUNS, "puct+priors"), curves(RUNS, "random")
    gap = compared(ours.scores[:, :, 0], theirs.scores[:, :, 0])
    assert gap.value == pytest.approx(0.3)
    assert gap.low - 1e-9 <= 0.3 <= gap.high + 1e-9
    assert gap.p_value < 0.01
    noise = np.random.default_rng(1).normal(size=(8, 5))
    assert compared(noise, np.zeros((8, 5))).p_value > 0.05
    whole = estimated(ours.scores[:, :, 0])
    assert whole.low <= whole.value <= whole.high


def test_where_a_curve_reaches_a_score() -> None:
    means = np.array([0.5, 0.4, 0.9])
    assert reached(BUDGETS, means, 0.5) == 100
    assert reached(BUDGETS, means, 0.7) == pytest.approx(math.sqrt(200 * 400))
    assert reached(BUDGETS, means, 0.95) == math.inf


def test_the_report_names_the_best_and_the_differences() -> None:
    text = compare_report.report(RUNS)
    assert "4 tasks" not in text
    assert "2 held and 2 samples tasks and 3 seeds (36 runs on model `m0d3l`)" in text
    assert "| **ours** (built-in priors) | **81.0** | **91.0** | **96.0** |" in text
    assert "| random, same pool | +30.0* | +30.0* | +15.0* |" in text
    assert "ours reaches a peer's last mean: random, same pool (81.0 % at 400): at most 100" in text
    assert "as a share of those without" in text
    assert compare_report.report([]) == "Not measured yet."


def test_the_readme_is_filled_between_its_marks(tmp_path: Path) -> None:
    before = "a\n<!-- compare -->\nold\n<!-- /compare -->\nb\n"
    after = filled(before, "compare", "new \\1")
    assert after == "a\n<!-- compare -->\nnew \\1\n<!-- /compare -->\nb\n"


def test_plots_are_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    compare_report.plot(RUNS, tmp_path)
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "compare.svg").read_text("utf-8")
