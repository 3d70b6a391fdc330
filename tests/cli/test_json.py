"""`--json` on every command: one object on stdout, `written` names the files, errors alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from idealprompt_cli.cli.main import app

from ..conftest import SCRIPT, call

GROUPS = ("priors",)


def commands() -> list[tuple[str, ...]]:
    """Every command that does something, as its words; those that need boxes are in tests/fleet."""
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if name in GROUPS:
            found += [(name, own) for own in command.commands]
        elif name != "fleet":
            found.append((name,))
    return found


CASES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("search",): ("task", "-m", SCRIPT, "-o", "new.yaml", "--run-dir", "r1"),
    ("reflect",): ("p.yaml", "task", "-m", SCRIPT, "-o", "new.yaml", "--run-dir", "r2"),
    ("eval",): ("p.yaml", "task", "-m", SCRIPT),
    ("predict",): ("p.yaml", "task/A/0.png", "-m", SCRIPT),
    ("report",): ("run", "-o", "page.html"),
    ("export",): ("p.yaml", "--to", "text", "-o", "prompt.txt"),
    ("synth",): ("-m", str(Path(SCRIPT).with_name("synth.yaml")), "-o", "corpus.jsonl"),
    ("init",): ("copy", "--from", "task"),
    ("doctor",): ("task", "-m", SCRIPT),
    ("priors", "list"): (),
    ("priors", "export"): ("own.json",),
    ("priors", "import"): ("kept.json",),
    ("priors", "merge"): ("kept.json", "kept.json", "-o", "joined.json"),
    ("priors", "reset"): ("--yes",),
}
WRITES = {
    ("search",): ["new.yaml"],
    ("reflect",): ["new.yaml"],
    ("report",): ["page.html"],
    ("export",): ["prompt.txt"],
    ("synth",): ["corpus.jsonl"],
    ("init",): ["copy/task.yaml", "copy/metadata.csv"],
    ("priors", "export"): ["own.json"],
    ("priors", "merge"): ["joined.json"],
}


def test_every_command_is_here() -> None:
    assert set(commands()) == set(CASES)


@pytest.fixture
def made(folder: Path) -> Path:
    """A folder with a task, a run of it and a priors file."""
    words = ("-m", SCRIPT, "-q", "-o", "p.yaml", "--run-dir", "run")
    assert call("search", folder, *words).exit_code == 0
    assert call("priors", "export", "kept.json").exit_code == 0
    return folder


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_one_object(words: tuple[str, ...], made: Path) -> None:
    assert made.name == "task"
    result = call(*words, *CASES[words], "--json", *quiet(words))
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert isinstance(data, dict)
    assert "error" not in data
    if words in WRITES:
        assert data["written"] == WRITES[words]
        assert all(Path(name).is_file() for name in data["written"])


def quiet(words: Sequence[str]) -> tuple[str, ...]:
    return () if words[0] == "priors" else ("-q",)


FAILING: dict[tuple[str, ...], tuple[str, ...]] = {
    ("priors", "list"): ("--no-such",),
    ("priors", "export"): ("nowhere/own.json",),
    ("priors", "reset"): (),
    ("doctor",): ("nowhere",),
}


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_one_error(words: tuple[str, ...], folder: Path) -> None:
    assert folder.is_dir()
    given = FAILING.get(words, tuple(f"no-{word}" for word in CASES[words][:2]))
    result = call(*words, *given, "--json")
    assert result.exit_code != 0
    error: dict[str, Any] = json.loads(result.stdout)["error"]
    assert set(error) == {"kind", "message", "exit_code"}
    assert error["exit_code"] == result.exit_code
    assert result.stderr.splitlines()[-1] == f"error: {error['message']}"


def test_predict_as_one_object(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    words = ("predict", "p.yaml", folder / "A/0.png", "gone.png", "-m", SCRIPT, "-q", "--json")
    result = call(*words)
    assert result.exit_code == 1, "one image is missing"
    data = json.loads(result.stdout)
    assert data["failed"] == 1
    assert [one["image"] for one in data["answers"]] == [str(folder / "A/0.png"), "gone.png"]
    refused = call(*words, "-o", "answers.jsonl")
    assert (refused.exit_code, "one object at the end" in refused.stderr) == (2, True)


def test_export_as_one_object(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    words = ("export", "p.yaml", "--to", "openai", "-q")
    data = json.loads(call(*words, "--json").stdout)
    assert (data["format"], data["written"]) == ("openai", [])
    assert data["content"] + "\n" == call(*words).stdout
