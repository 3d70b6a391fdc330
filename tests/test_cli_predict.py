"""`idealprompt predict` on the scripted engine: one JSON object a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import call


def test_predict(prompt: Path, folder: Path) -> None:
    result = call("predict", prompt, folder / "A/0.png", folder / "B/0.png")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["A", "B"]
    assert list(lines[0]) == ["image", "label", "probability", "probabilities", "seconds"]
    assert lines[0]["image"] == str(folder / "A/0.png")
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)


def test_predict_goes_on_past_a_bad_picture(prompt: Path, folder: Path) -> None:
    bad = folder / "bad.png"
    bad.write_text("no picture")
    names = [folder / "A/0.png", "none.png", bad, folder / "B/0.png"]
    result = call("predict", prompt, "-", stdin="".join(f"{name}\n" for name in names))
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("label") for line in lines] == ["A", None, None, "B"]
    assert "no such picture" in lines[1]["error"]
    assert "not a picture" in lines[2]["error"]


def test_predict_answers_a_slow_pipe_at_once(prompt: Path, folder: Path) -> None:
    words = [sys.executable, "-m", "idealprompt_cli", "predict", str(prompt), "-"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for label in "AB":
            process.stdin.write(f"{folder}/{label}/0.png\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["label"] == label
        process.stdin.close()
    assert process.returncode == 0


def test_predict_for_several_pictures_at_a_time(prompt: Path, folder: Path) -> None:
    prompt.write_text(prompt.read_text().replace("images: 1", "images: 2"))
    pair = f"{folder}/A/0.png;{folder}/A/1.png"
    result = call("predict", prompt, pair, folder / "A/0.png", "-q")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["label"] == "A"
    assert "the prompt is for 2 picture(s) at a time and this is 1" in lines[1]["error"]
