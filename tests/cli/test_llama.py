"""Whole commands on the llama.cpp engine, with a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from benchmarks.engine.writer import Shape
from idealprompt_cli.cli.main import app
from idealprompt_cli.engines.llama_cpp.native import library as native

from ..conftest import MakeTask
from ..support.tiny_models import write_pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_pair("janus", tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_task("question: Which code?\nlabels: [A, B]\n", per_label=6)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_search_eval_predict(folder: Path, pair: tuple[Path, Path]) -> None:
    text, _ = pair  # the projector is found beside it
    made = call("search", folder, "-m", text, "-o", "p.yaml", "--budget", "60")
    assert made.exit_code == 0, made.stderr
    assert "Using the vision projector beside the model" in made.stderr
    assert "saved by shared prefixes" in made.stdout
    recorded = yaml.safe_load(Path("p.yaml").read_text())["scores"]["winner"]["test"]
    result = call("eval", "p.yaml", folder, "--use", "winner", "--json")  # it names its model
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["value"] == data["recorded"] == recorded["value"]
    bad = folder / "bad.png"
    bad.write_bytes((folder / "A" / "0.png").read_bytes()[:-25])
    result = call("predict", "p.yaml", folder / "A/0.png", bad, folder / "B/0.png", "-q")
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert ["label" in line for line in lines] == [True, False, True]
    assert "damaged" in lines[1]["error"]


def test_the_account_of_the_work_as_json(folder: Path, pair: tuple[Path, Path]) -> None:
    made = call("search", folder, "-m", pair[0], "--budget", "40", "--no-cache", "--json")
    assert made.exit_code == 0, made.stderr
    work = json.loads(made.stdout)["work"]
    assert work["tokens"] + work["tokens_saved"] == work["tokens_without_sharing"]
    assert work["tokens_saved"] > 0
    assert work["native_seconds"] > 0


def test_an_mmproj_of_another_model(folder: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, other = write_pair("janus", tmp_path / "other", shape=Shape(width=32))
    result = call("search", folder, "-m", pair[0], "--mmproj", other)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {other}: ")
    assert "Traceback" not in result.stderr


def test_swapped_files(folder: Path, pair: tuple[Path, Path]) -> None:
    result = call("search", folder, "-m", pair[1], "--mmproj", pair[0])
    assert result.exit_code == 1
    assert "is an mmproj" in result.stderr


def test_a_prompt_longer_than_the_context(folder: Path, pair: tuple[Path, Path]) -> None:
    (folder / "task.yaml").write_text(f"question: {'word ' * 600}\n")
    result = call("search", folder, "-m", pair[0], "--n-ctx", "512")
    assert result.exit_code in (1, 2)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "context" in last


def test_a_linear_probe_is_reported_unless_it_is_declined(
    folder: Path, pair: tuple[Path, Path]
) -> None:
    made = call("search", folder, "-m", pair[0], "-o", "p.yaml", "--budget", "30")
    assert made.exit_code == 0, made.stderr
    assert "\nlinear probe " in made.stdout
    assert "A linear probe on the same images reaches" in made.stdout
    scores = yaml.safe_load(Path("p.yaml").read_text())["scores"]
    assert scores["probe"]["test"]["n"] == scores["winner"]["test"]["n"]
    made = call("search", folder, "-m", pair[0], "-o", "q.yaml", "--budget", "30", "--no-probe")
    assert made.exit_code == 0, made.stderr
    assert "linear probe" not in made.stdout
    assert "probe" not in yaml.safe_load(Path("q.yaml").read_text())["scores"]


def test_runs_and_prompts_keep_the_weights_that_they_were_measured_with(
    folder: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where "auto" would choose others now."""
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    search = ("search", folder, "-m", pair[0], "--run-dir", "run", "--committee", "0")
    made = call(*search, "--weights", "bf16", "--budget", "60", "-o", "p.yaml")
    assert made.exit_code == 0, made.stderr
    quantisation = yaml.safe_load(Path("p.yaml").read_text())["model"]["quantisation"]
    assert quantisation == "F32 as bf16 (text, images)"
    before = Path("p.yaml").read_text()

    again = call(*search, "--resume", "--budget", "60", "-o", "p.yaml")
    assert again.exit_code == 0, again.stderr
    after = yaml.safe_load(Path("p.yaml").read_text())
    assert after["prompt"] == yaml.safe_load(before)["prompt"]
    assert after["model"]["quantisation"] == quantisation

    other = call(*search, "--resume", "--weights", "file", "--budget", "60")
    assert other.exit_code == 1
    assert other.stderr.splitlines()[-1] == (
        "error: run/journal.jsonl:1: the run computed with weights 'bf16 (text, images)', now "
        "'file'; leave --weights out, or start a new run with another --run-dir"
    )
    result = call("eval", "p.yaml", folder, "--use", "winner", "--json")
    assert result.exit_code == 0, result.stderr
    assert "measured with weights in" not in result.stderr
    data = json.loads(result.stdout)
    assert data["value"] == data["recorded"]
    for words in (("predict", "p.yaml", folder / "A/0.png"), ("eval", "p.yaml", folder)):
        own = call(*words, "--weights", "file")
        assert own.exit_code == 0, own.stderr
        assert "measured with weights in F32 as bf16 (text, images), and these are F32" in (
            own.stderr
        )


def test_a_run_whose_copies_cannot_be_made_is_one_line(
    folder: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    search = ("search", folder, "-m", pair[0], "--run-dir", "run", "--budget", "40", "-q")
    assert call(*search, "--weights", "bf16").exit_code == 0
    monkeypatch.setenv("IDEALPROMPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "weights").write_text("in the way")
    result = call(*search, "--resume")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: the run that is resumed was computed with copies ")
    assert line.endswith("another folder, or start a new run with another --run-dir")
