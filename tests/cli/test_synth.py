"""`synth` and `eval --regression` as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from idealprompt_cli.engines.llama_cpp.native import library as native
from idealprompt_cli.runs.models import embedded_model

from ..conftest import call
from ..support.tiny_models import write_pair

MODEL = str(Path(__file__).parent.parent / "synth.yaml")
GROW = ("synth", "-m", MODEL, "--branch", "2", "-o", "corpus.jsonl")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_lines_on_stdout() -> None:
    result = call("synth", "-m", MODEL, "--branch", "2", "-q")
    assert result.exit_code == 0, result.stderr
    kinds = [json.loads(line)["kind"] for line in result.stdout.splitlines()]
    assert kinds[0] == "header"
    assert set(kinds[1:]) == {"topics", "question", "pair"}
    assert "questions with answers" in result.stderr


def test_budget_and_continuation() -> None:
    first = call(*GROW, "--budget", "5", "--json")
    data = json.loads(first.stdout)
    assert (data["finished"], data["cost"]["texts"]) == (False, 5)
    second = call(*GROW, "--json")
    data = json.loads(second.stdout)
    assert data["finished"]
    assert data["written"] == ["corpus.jsonl"]
    assert "has 5 texts; continuing" in second.stderr
    texts = Path("corpus.jsonl").read_text()
    assert call(*GROW).exit_code == 0
    assert Path("corpus.jsonl").read_text() == texts, "all is there"


def test_a_process_that_is_killed_loses_nothing() -> None:
    slow = Path("slow.yaml")
    slow.write_text("seconds: 0.2\n" + Path(MODEL).read_text())
    words = ["synth", "-m", str(slow), "--branch", "2", "-o", "corpus.jsonl", "--json"]
    command = [sys.executable, "-m", "idealprompt_cli", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (Path("corpus.jsonl").exists() and Path("corpus.jsonl").stat().st_size):
        assert process.poll() is None
        os.sched_yield()
    process.kill()
    process.wait()
    kept = Path("corpus.jsonl").read_text()
    assert call(*words).exit_code == 0
    assert Path("corpus.jsonl").read_text().startswith(kept)


def test_topics_of_the_user() -> None:
    Path("topics.txt").write_text("# mine\nTea\n\nTea\nRain\n")
    result = call(*GROW, "--topics", "topics.txt", "--depth", "2", "--json")
    assert json.loads(result.stdout)["topics"] == 2
    Path("none.txt").write_text("# nothing\n")
    refused = call(*GROW, "--topics", "none.txt")
    assert (refused.exit_code, "none.txt: has no topics" in refused.stderr) == (1, True)


def test_a_model_that_writes_nothing_usable() -> None:
    Path("mute.yaml").write_text("name: mute\n")
    result = call("synth", "-m", "mute.yaml", "-o", "corpus.jsonl")
    assert (result.exit_code, "mute wrote no usable question" in result.stderr) == (1, True)


@pytest.mark.model
def test_the_embedded_model() -> None:
    model = embedded_model()
    assert model is not None
    Path("topics.txt").write_text("a red mug\na blue lamp\n")
    words = ("synth", "-m", model.text, "--topics", "topics.txt", "--depth", "3", "--branch", "2")
    result = call(*words, "--max-tokens", "8", "--budget", "8", "-o", "c.jsonl", "--threads", "1")
    assert result.exit_code in (0, 1), result.stderr
    lines = [json.loads(line) for line in Path("c.jsonl").read_text().splitlines()]
    assert lines[1]["kind"] == "topics"
    assert len(lines[1]["found"]) <= 2


def test_drift_of_a_system_message() -> None:
    assert call(*GROW, "-q").exit_code == 0
    Path("clerk.txt").write_text("You are a strange clerk.\n")
    words = ("eval", "clerk.txt", "--regression", "corpus.jsonl", "-m", MODEL, "-q")
    data = json.loads(call(*words, "--json").stdout)["regression"]
    assert (data["verdict"], data["changed"]) == ("drift", 1.0)
    assert "Drift: with this prompt" in call(*words).stdout
    Path("clerk.txt").write_text("You are kind.\n")
    assert "No drift" in call(*words).stdout


def test_what_is_missing() -> None:
    for words, line in (
        (("eval", "p.yaml"), "Missing argument 'TASK'"),
        (("eval", "p.txt", "--regression", "none.jsonl"), "none.jsonl: no such file"),
        (("synth", "-m", MODEL, "--json"), "both write to stdout"),
    ):
        result = call(*words)
        assert result.exit_code != 0
        assert line in result.stderr


def test_drift_of_an_artifact(folder: Path) -> None:
    from ..conftest import SCRIPT

    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    pair = {"question": "Why is it so?", "answer": "A cup."}
    Path("own.jsonl").write_text("".join(f"{json.dumps(pair | {'question': f'Why {n}?'})}\n"
                                         for n in range(9)))  # fmt: skip
    words = ("eval", "p.yaml", folder, "--regression", "own.jsonl", "-m", SCRIPT)
    data = json.loads(call(*words, "--json", "-q").stdout)
    assert data["regression"]["n"] == 9
    assert "value" in data
    shown = call(*words)
    assert "Unrelated questions: 9" in shown.stdout
    alone = call("eval", "p.yaml", "--regression", "own.jsonl", "-m", SCRIPT)
    assert alone.exit_code == 0, alone.stderr
    assert "all of its text is measured as one" in alone.stderr


def test_a_corpus_is_continued_with_the_weights_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    text, _ = write_pair("janus", tmp_path / "model")
    model = ("-m", text, "--engine", "llama_cpp_text", "--max-tokens", "8")
    grow = ("synth", *model, "-o", "corpus.jsonl")
    assert call(*grow, "--weights", "bf16", "--budget", "2").exit_code == 0
    (first, *_) = Path("corpus.jsonl").read_text().splitlines()
    assert json.loads(first)["weights"] == "bf16 (text)"
    again = call(*grow, "--budget", "4")
    assert again.exit_code == 0, again.stderr
    assert "has 2 texts; continuing" in again.stderr
    other = call(*grow, "--weights", "file", "--budget", "4")
    assert other.exit_code == 1
    assert "was made with --weights bf16 (text), not file: use the same" in other.stderr
