"""No command talks to the network, whatever it does with images, models, runs and artifacts.

Checked from outside: under strace no command opens an internet socket, and in a network namespace
without any interface every command still works.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TASK = ROOT / "sample_tasks" / "category_code"
NAMESPACE = ("unshare", "--map-root-user", "--net")
STRACE = ("strace", "-f", "-qq", "-e", "trace=%network", "-o")

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("doctor", "--json"),
    ("search", str(TASK), "--budget", "60", "--reflect", "--run-dir", "run", "-o", "prompt.yaml"),
    ("reflect", "prompt.yaml", str(TASK), "--budget", "60", "--run-dir", "second", "--no-test"),
    ("eval", "prompt.yaml", str(TASK), "--json"),
    ("predict", "prompt.yaml", "photo.jpg"),
    ("report", "run", "-o", "report.html"),
    ("export", "prompt.yaml", "--to", "openai"),
    ("init", "new", "--from", str(TASK / "metadata.csv")),
    ("priors", "list"),
)


def works(*prefix: str) -> bool:
    """Whether a tool is here and may do its job (containers often forbid it)."""
    if shutil.which(prefix[0]) is None:
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0


ISOLATED = works(*NAMESPACE)
TRACED = works(*STRACE, os.devnull)


def run_all(folder: Path, *prefix: str) -> None:
    """Run every command in `folder`, each with `prefix` in front."""
    image = next(TASK.rglob("*.jpg"))
    shutil.copy(image, folder / "photo.jpg")
    env = {
        **os.environ,
        "IDEALPROMPT_CACHE": str(folder / "cache"),
        "IDEALPROMPT_PRIORS": str(folder / "priors.json"),
        "IDEALPROMPT_ANSWERS": str(folder / "answers.sqlite"),
        "PYTHONPATH": str(ROOT),
    }
    for words in COMMANDS:
        line = [*prefix, sys.executable, "-m", "idealprompt_cli", *words]
        done = subprocess.run(
            line, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@pytest.mark.skipif(not (ISOLATED or TRACED), reason="neither namespaces nor strace here")
def test_no_command_needs_or_tries_a_network(tmp_path: Path) -> None:
    log = tmp_path / "network.log"
    log.touch()
    trace = (*STRACE, str(log), "-A") if TRACED else ()
    run_all(tmp_path, *(NAMESPACE if ISOLATED else ()), *trace)
    assert (tmp_path / "report.html").is_file()
    assert not re.findall(r"socket\(AF_INET.*", log.read_text(encoding="utf-8"))


@pytest.mark.skipif(not TRACED, reason="no strace here")
def test_an_internet_socket_would_be_seen(tmp_path: Path) -> None:
    log = tmp_path / "network.log"
    code = "import socket; socket.socket().close()"
    subprocess.run([*STRACE, str(log), sys.executable, "-c", code], check=True)
    assert "socket(AF_INET" in log.read_text(encoding="utf-8")
