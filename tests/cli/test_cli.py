"""Whole commands on the scripted engine: what lands on stdout, on stderr and on the disk."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..conftest import SCRIPT, call


def test_search_ends_with_the_table(folder: Path) -> None:
    result = call("search", folder, "-m", SCRIPT, "-o", "prompt.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("task: accuracy   selection (12 examples)   held-out test (8")
    for text in (
        "seed prompt       50.0 %  [25.4, 74.6]      50.0 %  [21.5, 78.5]",
        "adapted prompt   100.0 %  [75.8, 100.0]    100.0 %  [67.6, 100.0]",
        "The adapted prompt, as the model gets it:",
        "Written to prompt.yaml",
        "Cost: ",
        "stopped because no error was left",
    ):
        assert text in result.stdout
    assert "Task task: 2 labels, 12 training and 8 held-out examples." in result.stderr
    assert "budget: 600 evaluations" in result.stderr
    assert "Stopped: " in result.stderr
    data = yaml.safe_load(Path("prompt.yaml").read_text())
    assert data["scores"]["winner"]["test"]["value"] == 1.0
    sent = [piece for piece in data["messages"][-1]["content"] if "text" in piece]
    assert sent[0]["text"].split("\n")[0][:60] in result.stdout
    kept = list(Path("runs").glob("task-*/prompt.yaml"))
    assert len(kept) == 1
    assert kept[0].read_text() == Path("prompt.yaml").read_text()


def test_quiet_says_nothing_but_the_result(folder: Path) -> None:
    result = call("search", folder, "-m", SCRIPT, "-q")
    assert result.stderr == ""
    assert "Written to runs" in result.stdout


def test_verbose_names_every_trial(folder: Path) -> None:
    result = call("search", folder, "-m", SCRIPT, "-v")
    assert "  #0 seed 50.0 %" in result.stderr


def test_search_json(folder: Path) -> None:
    result = call("search", folder, "-m", SCRIPT, "--json")
    data = json.loads(result.stdout)
    assert data["scores"]["winner"]["test"]["value"] == 1.0
    assert [Path(name).is_file() for name in data["written"]] == [True]


def test_the_same_seed_gives_the_same_file(folder: Path) -> None:
    texts = []
    for name in ("a.yaml", "b.yaml"):
        words = ("-q", "-o", name, "--no-cache")
        assert call("search", folder, "-m", SCRIPT, *words).exit_code == 0
        data = yaml.safe_load(Path(name).read_text())
        data["cost"].pop("seconds")
        texts.append(data)
        shutil.rmtree("runs")  # two runs in one second would share a folder
    assert texts[0] == texts[1]


def test_no_test_leaves_the_held_out_part_alone(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml", "--no-test").exit_code == 0
    data = yaml.safe_load(Path("p.yaml").read_text())
    assert data["scores"]["winner"]["test"] is None
    assert data["verdict"]


def test_pipeline(folder: Path) -> None:
    made = call("search", folder, "-m", SCRIPT, "-o", "-")
    still = call("search", folder, "-m", SCRIPT, "-o", "-", "-q")
    assert (bool(made.stderr), still.stderr) == (True, "")
    assert still.stdout.startswith("# An adapted prompt")
    assert made.stdout.startswith("# An adapted prompt")
    assert "adapted prompt" in made.stderr
    result = call("eval", "-", folder, "--use", "winner", stdin=made.stdout)
    assert result.exit_code == 0, result.stderr
    assert "accuracy of the winner prompt on 8 test examples: 100.0 %" in result.stdout
    assert "The artifact recorded 100.0 %." in result.stdout


def test_eval(prompt: Path, folder: Path) -> None:
    result = call("eval", prompt, folder, "--json", "--use", "baseline")
    data = json.loads(result.stdout)
    assert (data["value"], data["n"], data["split"], data["recorded"]) == (0.5, 8, "test", 0.5)
    assert data["labels"] == {"A": {"A": 4, "B": 0}, "B": {"A": 4, "B": 0}}
    data = json.loads(
        call("eval", prompt, folder, "--json", "--split", "train", "--use", "winner").stdout
    )
    assert (data["value"], data["n"], data["recorded"]) == (1.0, 12, None)
    data = json.loads(call("eval", prompt, folder, "--json").stdout)
    assert data["prompt"] == "baseline"
    data = json.loads(call("eval", prompt, folder, "--json", "--metric", "macro_f1").stdout)
    assert (data["metric"], data["recorded"]) == ("macro_f1", None)


def test_eval_gate(prompt: Path, folder: Path) -> None:
    assert call("eval", prompt, folder, "--min-score", "1", "--use", "winner").exit_code == 0
    result = call("eval", prompt, folder, "--min-score", "0.6", "--use", "baseline")
    assert result.exit_code == 3
    assert "50.0 %" in result.stdout
    assert result.stderr == "error: accuracy is 0.5000, below --min-score 0.6\n"


def test_eval_tells_of_another_model_and_of_edits(prompt: Path, folder: Path) -> None:
    other = Path("other.yaml")
    other.write_text("name: other\n")
    data = yaml.safe_load(prompt.read_text())
    data["prompt"]["cues"] = ["Look twice."]
    prompt.write_text(yaml.safe_dump(data))
    result = call("eval", prompt, folder, "-m", other)
    assert "Note: this prompt was adapted to pretend, not to other" in result.stderr
    assert "Note: `prompt` was edited after the search" in result.stderr
    assert "no reliable gain was found, so the seed prompt is used; --use winner" in result.stderr
    winner = call("eval", prompt, folder, "--use", "winner")
    assert "Note: this prompt is not recommended: no reliable gain" in winner.stderr
    assert "reliable" not in call("eval", prompt, folder, "--use", "baseline").stderr


def test_doctor(folder: Path) -> None:
    data = json.loads(call("doctor", "-m", SCRIPT, "--json").stdout)
    assert data["model"]["name"] == "pretend"
    assert data["machine"]["cpus"] >= 1
    assert "new_image_seconds" in data["speed"]
    text = call("doctor", "-m", SCRIPT).stdout
    assert "  engine: scripted" in text


def test_the_model_is_chosen_in_order(
    prompt: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("env", "flag", "task"):
        (folder.parent / f"{name}.yaml").write_text(f"name: {name}\n")

    def used(*words: object) -> str:
        result = call("eval", prompt, folder, "--json", *words)
        return str(json.loads(result.stdout)["model"])

    assert used() == "pretend"
    monkeypatch.setenv("IDEALPROMPT_MODEL", "env.yaml")
    assert used() == "env"
    assert used("-m", "flag.yaml") == "flag"


def test_an_interrupted_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from idealprompt_cli.engines.scripted import ScriptedEngine

    words = ["search", str(folder), "-m", SCRIPT, "--no-cache"]
    whole = call(*words, "-o", "whole.yaml", "--run-dir", "whole")
    assert whole.exit_code == 0
    asked = 0
    score = ScriptedEngine.score

    def stop_later(self: ScriptedEngine, requests: object) -> object:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise KeyboardInterrupt
        return score(self, requests)  # type: ignore[arg-type]

    monkeypatch.setattr(ScriptedEngine, "score", stop_later)
    words += ["-o", "p.yaml", "--run-dir", "run"]
    monkeypatch.setattr(sys, "argv", ["idealprompt", *words])
    result = call(*words)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].endswith("--run-dir run --resume")
    assert not Path("p.yaml").exists()
    again = call(*words, "--resume")
    assert again.exit_code == 0, again.stderr
    old, new = (yaml.safe_load(Path(name).read_text()) for name in ("whole.yaml", "p.yaml"))
    for data in (old, new):
        data["cost"].pop("seconds")
    assert new == old


def test_resume_finds_the_last_run(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q").exit_code == 0
    result = call("search", folder, "-m", SCRIPT, "-q", "--resume")
    assert result.exit_code == 0, result.stderr
    assert len(list(Path("runs").iterdir())) == 1


def test_version_and_help() -> None:
    assert call("--version").stdout == "idealprompt 0.1.0\n"
    for command in ("search", "eval", "predict", "doctor"):
        assert f"idealprompt {command} " in call(command, "--help").stdout.split("Examples:")[1]


def test_help_is_instant() -> None:
    code = (
        "import sys; from idealprompt_cli.cli.main import app\n"
        "try: app(['search', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'llama_cpp', 'numpy', 'scipy', 'PIL', 'yaml', 'jinja2', 'rich'}\n"
        "print(*(heavy & set(sys.modules)), file=sys.stderr, end='')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == ""
    assert "Examples:" in result.stdout


def test_a_closed_pipe_is_no_fuss(prompt: Path, folder: Path) -> None:
    command = f"{sys.executable} -m idealprompt_cli predict -q {prompt} - | head -n 1"
    names = "\n".join(f"{folder}/A/{n % 10}.png" for n in range(500))
    result = subprocess.run(["sh", "-c", command], input=names, capture_output=True, text=True)
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_no_socket_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for words in (
        ("search", folder, "-m", SCRIPT, "-o", "p.yaml"),
        ("eval", "p.yaml", folder),
        ("predict", "p.yaml", folder / "A/0.png"),
        ("doctor", "-m", SCRIPT),
    ):
        assert call(*words).exit_code == 0


def test_text_of_others_is_not_markup(folder: Path) -> None:
    (folder / "task.yaml").write_text("name: '[red]x[/red]'\nquestion: Which [bold]code[/]?\n")
    result = call("search", folder, "-m", SCRIPT, "--strategy", "role", "--budget", "30")
    assert "[red]x[/red]: accuracy" in result.stdout
    assert "[bold]code[/]" in result.stdout


def test_output_that_the_terminal_cannot_show(folder: Path) -> None:
    (folder / "task.yaml").write_text("name: 漢字 😀\nquestion: Which code? 😀\n", encoding="utf-8")
    words = [sys.executable, "-m", "idealprompt_cli", "search", str(folder), "-m", SCRIPT]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(words, capture_output=True, env=ascii_only)
    assert result.returncode == 0, result.stderr
    assert "漢字 😀: accuracy" in result.stdout.decode()
