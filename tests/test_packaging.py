"""The files around the code: they say the same thing, and name nothing of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement.strip())[0].lower().replace("_", "-")


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {name_of(line) for line in lines if line and not line.startswith("#")}


def test_every_dependency_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    wanted = {name_of(one) for group in (PROJECT["dependencies"], *extras) for one in group}
    assert wanted <= pinned()


def test_every_tested_version_has_hashes() -> None:
    """All but the extras for benchmarks and training, which `make setup` does not install."""
    text = (ROOT / "constraints-hashes.txt").read_text()
    entries = re.findall(r"^(\S+?)==(\S+).*?\\\n((?:    --hash=sha256:.*\n?)+)", text, re.MULTILINE)
    hashed = {(name_of(name), version) for name, version, _ in entries}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    tested = {
        (name_of(line), line.split("==")[1].split(";")[0].strip())
        for line in lines
        if line and not line.startswith("#")
    }
    groups = PROJECT["optional-dependencies"]
    extras = [
        one for name, group in groups.items() if name not in ("bench", "train") for one in group
    ]
    needed = {name_of(one) for one in (*PROJECT["dependencies"], *extras)}
    assert needed <= {name for name, _ in hashed}
    assert hashed <= tested, "run: sh .ci/hashes"


def test_no_registry_is_named() -> None:
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "constraints-hashes.txt",
        "Makefile",
        ".ci/setup",
        ".ci/hashes",
        ".ci/run",
    ):
        text = (ROOT / name).read_text()
        assert "index-url" not in text
        assert "://" not in text, name


def test_the_entry_point() -> None:
    from idealprompt_cli.cli.main import main

    assert callable(main)
    assert PROJECT["scripts"] == {"idealprompt": "idealprompt_cli.cli.main:main"}


@pytest.mark.parametrize(
    "target", ["setup", "demo", "test", "check", "demo-model", "bench", "clean"]
)
def test_make_help_lists(target: str) -> None:
    result = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True)
    assert f"  make {target} " in result.stdout


def test_setup_says_what_is_missing(tmp_path: Path) -> None:
    """On a machine without Python and compiler, in words and not in a traceback."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("dirname", "tr", "mkdir", "touch", "sh", "printf", "rm"):
        found = subprocess.run(["which", tool], capture_output=True, text=True).stdout.strip()
        if found:
            (tools / tool).symlink_to(found)
    copy = tmp_path / "clone"
    (copy / ".ci").mkdir(parents=True)
    for name in (".ci/setup", "pyproject.toml", "constraints.txt"):
        (copy / name).write_text((ROOT / name).read_text())

    def setup() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(tools / "sh"), str(copy / ".ci/setup")],
            env={"PATH": str(tools)},
            capture_output=True,
            text=True,
        )

    result = setup()
    assert result.returncode == 1
    assert result.stderr.startswith("setup: Python 3.10 or newer is needed and none was found.")
    bare = tools / "python3"
    bare.write_text(
        f'#!{tools}/sh\ncase "$2" in *llama_cpp*) exit 1;; esac\n'
        f'[ "$2" = venv ] && mkdir -p "$3/bin" && ln -sf "$0" "$3/bin/python"\nexit 0\n'
    )
    bare.chmod(0o755)
    (tools / "ln").symlink_to("/bin/ln")
    result = setup()
    assert result.returncode == 1
    assert "setup: a C++ compiler is needed to build llama.cpp and none was found." in result.stderr


def test_make_names_modules_that_exist() -> None:
    modules = re.findall(r"-m ([a-z]+\.[a-z_]+)", (ROOT / "Makefile").read_text())
    assert modules
    for module in modules:
        assert find_spec(module) is not None, module


def test_ci_runs_what_the_readme_says() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make test" in script
    assert "make test" in (ROOT / "README.md").read_text()
    task = re.search(r"DEMO_TASK \?= (\S+)", (ROOT / "Makefile").read_text())
    assert task is not None
    assert (ROOT / task[1] / "task.yaml").is_file()
