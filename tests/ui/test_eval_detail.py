"""`eval` side by side, label by label, example by example."""

from __future__ import annotations

import json
from pathlib import Path

from idealprompt_cli.core.results import Outcome
from idealprompt_cli.storage.predictions import confusion, per_label, worst

from ..conftest import call

OUTCOMES = (
    Outcome("a", "x", "x", 1.0, 2.0),
    Outcome("b", "x", "y", 0.0, -3.0),
    Outcome("c", "y", "y", 1.0, 1.0),
    Outcome("d", "y", "x", 0.0, -5.0),
    Outcome("e", "y", "y", 1.0, 1.0),
)


def test_counts() -> None:
    assert confusion(OUTCOMES, ("x", "y", "z")) == ((1, 1, 0), (1, 2, 0), (0, 0, 0))
    x, y, z = per_label(OUTCOMES, ("x", "y", "z"))
    assert (x.precision, x.recall) == (0.5, 0.5)
    assert (y.n, y.answered, y.right) == (3, 3, 2)
    assert (z.precision, z.recall, z.f1) == (0.0, 0.0, 0.0)
    assert [one.example_id for one in worst(OUTCOMES, 5)] == ["d", "b"]


def test_against_the_seed_prompt_and_another_file(prompt: Path, folder: Path) -> None:
    first = ("eval", prompt, folder, "--use", "winner")
    words = (*first, "--against", "baseline", "--against", prompt)
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    assert "its seed prompt" in result.stdout
    assert "precision" in result.stdout
    assert "tokens per example" in result.stdout
    data = json.loads(call(*words, "--json").stdout)
    seed, same = data["against"]
    assert (seed["better"], seed["worse"], seed["reliable"]) == (4, 0, False)
    assert (same["better"], same["worse"], same["p_value"]) == (0, 0, 1.0)
    assert data["per_label"]["A"] == {"n": 4, "precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_worst_examples(prompt: Path, folder: Path) -> None:
    shown = call("eval", prompt, folder, "--use", "baseline").stdout
    assert "Most confident wrong answers:" in shown
    assert "right is B" in shown
    assert (
        "Most confident"
        not in call("eval", prompt, folder, "--use", "baseline", "--worst", "0").stdout
    )


def test_a_line_for_every_example(prompt: Path, folder: Path) -> None:
    words = ("eval", prompt, folder, "--against", "baseline", "-q")
    result = call(*words, "--jsonl", "-")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 8
    assert lines[0]["against"] == {"its seed prompt": "A"}
    assert {"id", "gold", "predicted", "score", "margin", "probabilities"} <= set(lines[0])
    assert "accuracy" in result.stderr
    assert call(*words, "--jsonl", "lines.jsonl").exit_code == 0
    assert len(Path("lines.jsonl").read_text().splitlines()) == 8
    assert call(*words, "--json", "--jsonl", "-").exit_code == 2


def test_prompts_of_another_task(prompt: Path, folder: Path) -> None:
    other = Path("other.yaml")
    other.write_text(prompt.read_text().replace("labels:\n  - A\n", "labels:\n  - C\n"))
    result = call("eval", prompt, folder, "--against", other)
    assert result.exit_code == 1
    assert "other.yaml: the prompt answers with B, C, but " in result.stderr
