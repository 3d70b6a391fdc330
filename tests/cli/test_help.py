"""Help in one form on every command, and what shells complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from idealprompt_cli.cli.main import app

from ..conftest import call


def every(top: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, and of those inside one."""
    for name, inner in getattr(top, "commands", {}).items():
        yield (*words, name)
        yield from every(inner, (*words, name))


COMMANDS = sorted(every(get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_with_examples(words: tuple[str, ...]) -> None:
    text = call(*words, "--help").stdout
    _, _, examples = re.split(r"(Examples?:)", text)
    assert f"idealprompt {' '.join(words)} " in f"{examples} "
    first = text.split("\n\n")[1].strip()
    assert first.endswith("."), first
    for option, plain in re.findall(r"^  (?:-\w, )?(--[\w-]+) (<\S+>)", text, re.MULTILINE):
        assert "|" in plain, f"{option} {plain}: say what it takes"


def test_summaries_fit_their_line() -> None:
    text = call("--help").stdout
    assert "..." not in text.split("Commands:")[1].split("Start here:")[0]
    assert "IDEALPROMPT_MODEL" in text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("se", ["search"]),
        ("search --strat", ["--strategy"]),
        ("search t --strategy rea", ["reask"]),
        ("search t --metric mac", ["macro_f1"]),
        ("search t --policy b", ["best-first"]),
        ("export p.yaml --to op", ["openai"]),
        ("init d --label-from pre", ["prefix"]),
        ("eval p t --split te", ["test"]),
    ],
)
def test_completion(words: str, found: list[str]) -> None:
    code = (
        "import sys; sys.argv[0] = 'idealprompt'; from idealprompt_cli.cli.main import main; main()"
    )
    line = f"idealprompt {words}"
    asked = {"_IDEALPROMPT_COMPLETE": "complete_bash", "COMP_WORDS": line}
    asked["COMP_CWORD"] = str(len(line.split()) - 1)
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert result.stdout.split() == found, result.stderr
