"""The README's file tree, keys and commands are those of the package."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from idealprompt_cli.artifact import from_run, to_data
from idealprompt_cli.cli.main import app
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.task.settings import KEYS

from .support.factories import run_result

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree() -> tuple[set[str], set[str]]:
    """Names at the top and in the package, as the README lists them."""
    block = README.split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    lines = [line for line in block.splitlines() if line and not line.startswith("```")]
    top = {line.split()[0] for line in lines if not line.startswith(" ")}
    return top, {line.split()[0] for line in lines if line.startswith("  ")}


def tracked(folder: Path) -> set[str]:
    found = subprocess.run(
        ["git", "ls-files", "."], cwd=folder, capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip("not a git checkout")
    names = found.stdout.splitlines()
    return {name.split("/")[0] + ("/" if "/" in name else "") for name in names}


def test_the_file_tree() -> None:
    top, package = tree()
    unlisted = {"README.md", ".gitignore"}
    assert tracked(ROOT) - unlisted <= top
    assert tracked(ROOT / "idealprompt_cli") - {"__init__.py", "py.typed"} <= package
    missing = [name for name in top if not (ROOT / name).exists()]
    missing += [name for name in package if not (ROOT / "idealprompt_cli" / name).exists()]
    assert not missing


def test_keys_and_metrics_are_all_named() -> None:
    for name in (*KEYS, *METRICS, *to_data(from_run(run_result()))):
        assert f"`{name}`" in README or f"{name}:" in README or name in README, name


def test_commands_and_options_exist() -> None:
    for command in re.findall(r"^idealprompt (\w+)", README, re.MULTILINE):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0, command
    words = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    helps = "".join(option for command in commands(get_command(app)) for option in command)
    assert not {word for word in words - {"--help"} if word not in helps}


def commands(top: Any) -> Iterator[list[str]]:
    """The option names of every command and of those inside it."""
    yield [name for parameter in top.params for name in parameter.opts]
    for inner in getattr(top, "commands", {}).values():
        yield from commands(inner)
