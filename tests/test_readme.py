"""The file tree, keys, commands, options and links in README and docs match the package."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from docs.generate import pages
from idealprompt_cli.artifact import from_run, to_data
from idealprompt_cli.cli.main import app
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.task.settings import KEYS

from .support.factories import run_result

ROOT = Path(__file__).parent.parent
OTHER_TOOLS = {  # of jq, llama-server, benchmarks and Dask
    "--arg", "--mmproj", "--seeds", "--parts", "--corpus", "--work", "--runs", "--tasks",
    "--host", "--name", "--nthreads", "--port", "--resources", "--tls-ca-file",
}  # fmt: skip
README = (ROOT / "README.md").read_text(encoding="utf-8")
WRITTEN = {  # pages that people write; the others are generated, see test_docs.py
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs").glob("*.md"))
    if path.name not in pages()
} | {"README.md": README}


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


def test_a_newcomer_can_read_the_readme() -> None:
    assert len(README.splitlines()) <= 200


def test_every_key_and_metric_is_documented() -> None:
    for name in (*KEYS, *METRICS):
        assert f"`{name}`" in WRITTEN["tasks.md"], name
    for name in to_data(from_run(run_result())):
        assert f"`{name}`" in WRITTEN["artifact.md"], name


@pytest.mark.parametrize("page", WRITTEN)
def test_commands_and_options_exist(page: str) -> None:
    known = commands(get_command(app))
    text = WRITTEN[page].replace("\\\n", " ")
    for line in re.findall(r"^idealprompt (\w+[^|#\n]*)", text, re.MULTILINE):
        command, *words = line.split()
        assert command in known, line
        options = {word.strip("[]") for word in words if re.match(r"\[?--[a-z]", word)}
        assert options <= known[command], line
    every = set().union(*known.values(), OTHER_TOOLS)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert not named - every


@pytest.mark.parametrize("page", WRITTEN)
def test_links_lead_somewhere(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", WRITTEN[page]):
        file = folder / (target or page)
        assert file.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads
            }


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Markdown renderers make them."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_is_reachable_from_the_readme() -> None:
    for path in (ROOT / "docs").iterdir():
        if path.suffix in (".md", ".json"):
            assert f"docs/{path.name}" in README, path.name


def commands(top: Any, name: str = "") -> dict[str, set[str]]:
    """Command name -> the options of the command and of those inside it."""
    own = {
        option
        for parameter in top.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}
    inner = {key: commands(one, key) for key, one in getattr(top, "commands", {}).items()}
    for key, found in inner.items():
        own = own | found[key] if name else own
    return {name: own} | {key: found[key] for key, found in inner.items()}
