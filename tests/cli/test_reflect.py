"""`idealprompt reflect` as a whole command on the scripted engine."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import typer
import yaml

from idealprompt_cli.cli.review import ask
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Trial

from ..conftest import SCRIPT, call


@pytest.fixture
def seeded(folder: Path) -> Path:
    """An artifact whose prompt is the seed prompt: a search with nothing that helps."""
    words = ("--strategy", "role", "--budget", "30", "--no-test", "-q", "-o", "seed.yaml")
    result = call("search", folder, "-m", SCRIPT, *words)
    assert result.exit_code == 0, result.stderr
    return Path("seed.yaml")


def test_reflect_writes_a_better_prompt(seeded: Path, folder: Path) -> None:
    result = call("reflect", seeded, folder, "-m", SCRIPT, "-o", "better.yaml")
    assert result.exit_code == 0, result.stderr
    assert "Working on " in result.stderr
    assert "adapted prompt   100.0 %" in result.stdout
    data = yaml.safe_load(Path("better.yaml").read_text())
    assert data["scores"]["winner"]["test"]["value"] == 1.0
    last = data["trail"][-1]
    assert last["strategy"].startswith("reflect ")
    assert last["edit"]["fixed"]
    assert last["edit"]["changes"][0]["part"]
    assert call("eval", "better.yaml", folder, "--min-score", "1", "--use", "winner").exit_code == 0


def test_a_pipe_of_all_three(folder: Path) -> None:
    made = call("search", folder, "-m", SCRIPT, "--no-test", "-o", "-")
    better = call("reflect", "-", folder, "-o", "-", stdin=made.stdout)
    assert better.exit_code == 0, better.stderr
    assert better.stdout.startswith("# An adapted prompt")
    assert call("eval", "-", folder, stdin=better.stdout).exit_code == 0


def test_events_are_lines_as_they_happen(seeded: Path, folder: Path) -> None:
    result = call("reflect", seeded, folder, "-m", SCRIPT, "--events", "-q")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "confusion"
    assert kinds[-2:] == ["stop", "result"]
    assert {"edit", "incumbent"} <= set(kinds)
    assert events[-1]["scores"]["winner"]["test"]["value"] == 1.0
    assert {e["state"] for e in events if e["event"] == "edit"} >= {"accepted", "rejected"}


def test_a_dry_run_changes_nothing(seeded: Path, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    result = call("reflect", seeded, folder, "-m", SCRIPT, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "predicted as" in result.stdout
    assert "Edits to try:" in result.stdout
    assert "calibration" in result.stdout
    lines = call("reflect", seeded, folder, "-m", SCRIPT, "--dry-run", "--events").stdout
    assert {json.loads(line)["event"] for line in lines.splitlines()} == {"case", "proposal"}
    whole = json.loads(call("reflect", seeded, folder, "-m", SCRIPT, "--dry-run", "--json").stdout)
    assert len(whole["cases"]) + len(whole["proposals"]) == len(lines.splitlines())
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_interactive(seeded: Path, folder: Path) -> None:
    base = ("reflect", seeded, folder, "-m", SCRIPT, "--interactive", "-o", "out.yaml")
    refused = call(*base, "--run-dir", "one", stdin="x\nr\n")
    assert refused.exit_code == 0, refused.stderr
    assert "'x' is none of k, c, r" in refused.stderr
    assert "Accepted edit: " in refused.stderr
    assert "edit" not in yaml.safe_load(Path("out.yaml").read_text())["trail"][-1]
    kept = call(*base, "--run-dir", "two", stdin="keep\n")
    assert kept.exit_code == 0, kept.stderr
    assert "edit" in yaml.safe_load(Path("out.yaml").read_text())["trail"][-1]
    mine = "c\nno part\nc\nrule: 1\nc\nrole: You see dotted and striped cups.\nk\n"
    changed = call(*base, "--run-dir", "three", stdin=mine)
    assert changed.exit_code == 0, changed.stderr
    assert "not a part with a value" in changed.stderr
    assert "prompt.rule: unknown key" in changed.stderr
    data = yaml.safe_load(Path("out.yaml").read_text())
    assert any(step["strategy"] == "reflect by_hand" for step in data["trail"])


def test_a_run_resumes(seeded: Path, folder: Path) -> None:
    words = ("reflect", seeded, folder, "-m", SCRIPT, "--run-dir", "kept", "-o")
    assert call(*words, "a.yaml").exit_code == 0
    again = call(*words, "b.yaml")
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    assert call(*words, "b.yaml", "--resume").exit_code == 0
    first, second = (yaml.safe_load(Path(name).read_text()) for name in ("a.yaml", "b.yaml"))
    assert first == second


def test_what_makes_no_sense_is_a_usage_error(seeded: Path, folder: Path) -> None:
    for words, said in (
        (("-o", "-", "--json"), "both write to stdout"),
        (("-o", "-", "--events"), "both write to stdout"),
        (("--json", "--events"), "give one of them"),
        (("--dry-run", "-o", "x.yaml"), "--dry-run writes nothing"),
        (("--budget", "3", "--no-cache"), "does not cover the prompt to start from"),
    ):
        result = call("reflect", seeded, folder, "-m", SCRIPT, *words)
        assert result.exit_code == 2, result.stderr
        assert said in result.stderr
    result = call("reflect", "-", folder, "-m", SCRIPT, "--interactive", stdin="")
    assert "--interactive reads stdin" in result.stderr


def test_search_reflect_does_both_stages_in_one_budget(folder: Path) -> None:
    words = ("--strategy", "role", "--budget", "400", "--reflect", "-o", "both.yaml")
    result = call("search", folder, "-m", SCRIPT, *words, "--run-dir", "both")
    assert result.exit_code == 0, result.stderr
    data = yaml.safe_load(Path("both.yaml").read_text())
    assert data["scores"]["winner"]["test"]["value"] == 1.0
    assert data["trail"][0]["strategy"] == "seed"
    assert data["trail"][-1]["strategy"].startswith("reflect ")
    again = call(
        "search", folder, "-m", SCRIPT, *words[:-1], "again.yaml", "--run-dir", "both", "--resume"
    )
    assert again.exit_code == 0, again.stderr
    assert yaml.safe_load(Path("again.yaml").read_text())["trail"] == data["trail"]


def test_a_run_is_not_resumed_as_another(seeded: Path, folder: Path) -> None:
    words = ("search", folder, "-m", SCRIPT, "-q", "--run-dir", "one", "--no-test")
    assert call(*words).exit_code == 0
    for other, fix in (("--reflect", "omit --reflect"), ("--strategy=role", "--strategy")):
        result = call(*words, "--resume", other)
        assert result.exit_code == 1
        assert fix in result.stderr
    assert call(*words, "--resume", "--budget", "700").exit_code == 0
    again = ("reflect", seeded, folder, "-m", SCRIPT, "-q", "--run-dir", "two", "--no-test")
    assert call(*again).exit_code == 0
    assert "omit --interactive" in call(*again, "--resume", "--interactive").stderr


def test_a_change_by_hand_keeps_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """No edit loses a field of the question, a person's own included."""
    typed = [
        "c", "question: Which is it?",
        "c", "question: 'Does {title} by {maker} fit?'",
        "c", "question: 'Is {title} right?'",
    ]  # fmt: skip
    said: list[str] = []
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
    monkeypatch.setattr(typer, "echo", lambda text="", **_: said.append(str(text)))
    prompt = Prompt("Does {title} fit?")
    changed = ask(Trial(1, 0, "cues", prompt, "complete", None), prompt)
    assert changed == Prompt("Is {title} right?")
    assert "question: has lost {title}: the example's own text has to stay" in said
    assert "question: {maker} is no field of the task: double braces of text" in said
