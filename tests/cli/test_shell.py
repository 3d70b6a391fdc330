"""How commands end: JSON errors, closed pipes, full devices; help on narrow terminals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from idealprompt_cli.cli.main import app
from idealprompt_cli.cli.shell import format_epilog

from ..conftest import SCRIPT, call
from .test_help import COMMANDS

PROGRAM = [sys.executable, "-m", "idealprompt_cli"]


def error_of(*words: object) -> dict[str, Any]:
    """The object that a failing command prints, which is all it prints on stdout."""
    result = call(*words)
    found: dict[str, Any] = json.loads(result.stdout)["error"]
    assert set(found) == {"kind", "message", "exit_code"}
    assert found["exit_code"] == result.exit_code
    assert result.stderr == f"error: {found['message']}\n"
    return found


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("eval", "none.yaml", "task", "--json"), "ArtifactError", 1),
        (("eval", "none.yaml", "task", "--format", "json"), "ArtifactError", 1),
        (("search", "nowhere", "--json"), "TaskError", 1),
        (("search", "task", "--json", "--strategy", "x"), "UsageError", 2),
        (("search", "task", "--json", "--no-such"), "UsageError", 2),
        (("search", "--json"), "UsageError", 2),
        (("reflect", "none.yaml", "task", "--json"), "ArtifactError", 1),
        (("doctor", "nowhere", "--json"), "TaskError", 1),
        (("doctor", "--json", "--budget", "9"), "UsageError", 2),
        (("priors", "list", "--json", "--no-such"), "UsageError", 2),
    ],
)
def test_errors_as_json(folder: Path, words: tuple[str, ...], kind: str, code: int) -> None:
    assert folder.is_dir()
    found = error_of(*words)
    assert (found["kind"], found["exit_code"]) == (kind, code)


def test_a_missed_threshold_keeps_the_result(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    result = call(
        "eval", "p.yaml", folder, "-m", SCRIPT, "--json", "--use", "baseline", "--min-score", "1"
    )
    assert result.exit_code == 3
    assert json.loads(result.stdout)["metric"] == "accuracy"
    assert "below --min-score 1" in result.stderr


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["priors", "list", "--help"]])
def test_a_closed_pipe_ends_quietly(words: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([*PROGRAM, *words], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, "")


def test_predict_into_head(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    pictures = " ".join([str(folder / "A/0.png")] * 200)
    command = f"{' '.join(PROGRAM)} predict p.yaml {pictures} -m {SCRIPT} -q"
    line = f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert result.stderr == ""
    first, status = result.stdout.splitlines()
    assert json.loads(first)["label"] == "A"
    assert status == "0"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["--help"], ["priors", "list", "--help"]])
def test_a_full_device_is_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "error: <stdout>: cannot be written (no space left on device)\n"


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_help_fits_40_columns(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = call(*words, "--help").stdout
    assert "Usage:" in text
    assert [line for line in text.splitlines() if len(line.rstrip()) > 40] == []


@pytest.mark.parametrize("width", [40, 60, 78, 200])
def test_folded_examples_are_still_the_commands(width: int) -> None:
    """A reader can paste a folded example: it differs in the ends of lines alone."""
    for words in COMMANDS:
        command = command_of(words)
        lines: list[str] = []
        format_epilog(command.epilog, Written(lines, width))
        shown = re.sub(r" \\\n\s*", " ", "".join(lines))
        for line in command.epilog.splitlines():
            if line.startswith("  idealprompt "):
                example = re.split(" {2,}", line.strip())[0]
                assert f"  {example}\n" in shown or f"  {example}  " in shown, shown


class Written:
    """What `format_epilog` needs of a formatter."""

    def __init__(self, lines: list[str], width: int) -> None:
        self.lines, self.width = lines, width

    def write_paragraph(self) -> None:
        self.lines.append("\n")

    def write(self, text: str) -> None:
        self.lines.append(text)


def command_of(words: tuple[str, ...]) -> Any:
    found: Any = get_command(app)
    for word in words:
        found = found.commands[word]
    return found
