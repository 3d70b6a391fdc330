"""Tables of the comparison with tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.tuning.report import MISSING, collect, costs, latency, means, scores


def run(method: str, test: float, **more: Any) -> dict[str, Any]:
    return {
        "task": "codes", "examples": 8, "method": method, "prompt": "seed", "corpus": False,
        "seed": 0, "parameters": 0, "train_seconds": 0.0, "train_bytes": 0, "test": test,
        "other": 0.5, "perplexity": 2.0, "prompt_tokens": 40,
    } | more  # fmt: skip


RUNS = [
    run("none", 0.25),
    run("none", 0.75, prompt="adapted", prompt_tokens=44),
    run("lora", 0.5, parameters=7, train_seconds=3.0, train_bytes=1 << 20, perplexity=2.5),
    run("lora", 0.7, seed=1),
    run("none", 0.25, seed=1),
]


def test_scores_are_means_over_seeds() -> None:
    lines = scores(RUNS).splitlines()
    assert lines[0] == "| task | examples | seeds | seed prompt | adapted prompt | LoRA |"
    assert lines[2] == "| codes | 8 | 2 | 25 | 75 | 60 |"


def test_means_are_over_all_tasks_of_a_kind_or_missing() -> None:
    runs = [run("none", 0.2, task="six_codes"), run("none", 0.4, task="eight_desks"),
            run("lora", 0.5, task="six_codes"), run("none", 0.9, task="style_code")]  # fmt: skip
    lines = means(runs).splitlines()
    assert lines[2:] == [
        "| sentences, 2 tasks | 8 | 30 |  |",
        "| photographs, 1 tasks | 8 | 90 |  |",
    ]


def test_changes_are_paired() -> None:
    text = costs(RUNS)
    assert "25.0 to 60.0 (+35.0)" in text
    assert "2.00 to 2.25 (+0.25)" in text
    assert "| adapted prompt | 1 | 0 | 44 |" in text


def test_nothing_is_made_up() -> None:
    assert scores([]) == means([]) == costs([]) == latency([]) == MISSING
    assert "PEDRO" not in scores(RUNS)


def test_results_are_collected(tmp_path: Path) -> None:
    (tmp_path / "tuning.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in RUNS))
    collect(tmp_path, tmp_path / "out.json")
    data = json.loads((tmp_path / "out.json").read_text())
    assert (len(data["runs"]), data["latency"]) == (5, [])
