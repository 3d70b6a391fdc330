"""Ctrl-C, once and twice, and kill -9: a resumed run ends like the unbroken one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.runs.run import RUN

from ..conftest import MakeTask

# Moments in journal lines, and the pause between two Ctrl-C (none: once).
MOMENTS = ((3, None), (30, 0.0), (60, 0.05), (120, 0.3))


@pytest.fixture
def slow(tmp_path: Path, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of a search whose model takes its time."""
    monkeypatch.chdir(tmp_path)
    script = yaml.safe_load((Path(__file__).parents[1] / "script.yaml").read_text())
    Path("slow.yaml").write_text(yaml.safe_dump({**script, "seconds": 0.001}))
    task = make_task(per_label=10)
    words = (sys.executable, "-m", "idealprompt_cli", "search", str(task), "-m", "slow.yaml")
    return [
        *words,
        "--no-cache",
        "--no-priors",
        "--strategy",
        "cues",
        "--strategy",
        "role",
        "--budget",
        "400",
    ]


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def broken(
    words: list[str], moment: int, pause: float | None, number: int = signal.SIGINT
) -> tuple[int, str]:
    """Exit code and messages of a run that is interrupted once its journal is so long."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while lines(Path("broken/journal.jsonl")) < moment and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(number)
    if pause is not None:
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    return process.returncode, stderr


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_nothing_is_lost(slow: list[str]) -> None:
    whole = subprocess.run([*slow, "--run-dir", "whole", "-o", "whole.yaml"], capture_output=True)
    assert whole.returncode == 0
    ours = [*slow, "--run-dir", "broken", "-o", "broken.yaml"]
    for place, (moment, pause) in enumerate(MOMENTS):
        words = [*ours, "--resume"] if place else ours
        code, stderr = broken(words, moment, pause)
        assert code == 130, stderr
        assert "Traceback" not in stderr
        assert not Path("broken.yaml").exists()
        if pause != 0.0:
            assert "--run-dir broken -o broken.yaml --resume" in stderr
    last = subprocess.run([*ours, "--resume"], capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    made = [yaml.safe_load(Path(f"{name}.yaml").read_text()) for name in ("whole", "broken")]
    for data in made:
        data["cost"].pop("seconds")
    assert made[0] == made[1]


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_points(slow: list[str], seed: int) -> None:
    """Both stages on a cold cache: same result, same journal, and nothing asked twice."""
    words = [word for word in slow if word not in ("--no-cache", "--no-priors")] + ["--reflect"]

    def started(name: str, *more: str) -> subprocess.Popen[bytes]:
        own = {kind: f"{name}.{kind.lower()}" for kind in ("ANSWERS", "PRIORS")}
        return subprocess.Popen(
            [*words, "--run-dir", name, "-o", f"{name}.yaml", "-q", *more],
            stdout=subprocess.DEVNULL,
            env={**os.environ, **{f"IDEALPROMPT_{kind}": file for kind, file in own.items()}},
        )

    assert started("whole").wait(60) == 0
    journal, rng = Path("broken/journal.jsonl"), random.Random(seed)
    more: tuple[str, ...] = ()
    length = lines(Path("whole/journal.jsonl"))
    for moment in sorted(rng.sample(range(1, length), 4)):
        process = started("broken", *more)
        while lines(journal) < moment and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        assert process.wait(60) in (0, -signal.SIGKILL)
        more = ("--resume",)
    assert started("broken", *more).wait(60) == 0
    assert made("whole") == made("broken")
    kept = [records(Path(name, "journal.jsonl")) for name in ("whole", "broken")]
    assert kept[0] == kept[1]
    assert {"score", "text", "edit", "confusion"} <= {record["kind"] for record in kept[1]}
    learnt = [json.loads(Path(f"{name}.priors").read_text()) for name in ("whole", "broken")]
    assert [*learnt[0]["boxes"].values()] == [*learnt[1]["boxes"].values()]


def test_a_kill_between_the_priors_and_the_journal_counts_a_run_once(slow: list[str]) -> None:
    words = [word for word in slow if word != "--no-priors"]
    own = {**os.environ, "IDEALPROMPT_PRIORS": "once.priors"}
    code = (
        "import os; from idealprompt_cli.priors import store; from idealprompt_cli.cli.main import "
        "main\nwrite = store.write_text\n"
        "store.write_text = lambda *all: (write(*all), os.kill(os.getpid(), 9))\nmain()"
    )
    killed = [sys.executable, "-c", code, *words[3:], "--run-dir", "once", "-q"]
    assert subprocess.run(killed, env=own, check=False).returncode == -signal.SIGKILL
    before = json.loads(Path("once.priors").read_text())
    assert before["boxes"]
    again = [*words, "--run-dir", "once", "--resume", "-q"]
    subprocess.run(again, env=own, check=True, stdout=subprocess.DEVNULL)
    assert json.loads(Path("once.priors").read_text()) == before
    assert '"priors updated"' in Path("once/journal.jsonl").read_text()


def made(name: str) -> object:
    """An artifact without the time that it took."""
    data = yaml.safe_load(Path(f"{name}.yaml").read_text())
    data["cost"].pop("seconds")
    return data


def records(journal: Path) -> list[dict[str, object]]:
    """All of a journal but times and random names, in order."""
    found = [json.loads(line) for line in journal.read_text().splitlines()]
    found = [record for record in found if record.get("name") != RUN]
    return [{k: v for k, v in one.items() if k not in ("seconds", "mark")} for one in found]


BUSY = """
import hashlib, sys
from idealprompt_cli.cli.interrupts import resumable
with resumable(lambda text: print(text, file=sys.stderr, flush=True), lambda: "again like this"):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
def test_a_model_that_is_busy() -> None:
    """Python hears nothing of signals during native code, and yet the second one is the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.0)  # until it is within the native call
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("Stopping when the model has answered;")
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "error: stopped at once; what was computed is kept; again like this" in stderr


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_service_and_a_closed_terminal(slow: list[str], number: int) -> None:
    code, stderr = broken([*slow, "--run-dir", "broken"], 30, None, number)
    assert code == 130
    assert "Traceback" not in stderr
    assert "--run-dir broken --resume" in stderr
    assert lines(Path("broken/journal.jsonl")) >= 30
