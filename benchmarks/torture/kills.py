"""SIGKILL at random moments: after the last resume everything is there, and nothing paid twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .grounds import SCRIPT, Grounds

LINES: dict[str, tuple[str, ...]] = {
    "search": ("search", "folders", "-m", "slow.yaml", "--budget", "240"),
    "search --reflect": ("search", "folders", "-m", "slow.yaml", "--budget", "240", "--reflect"),
    "reflect": ("reflect", "prompt.yaml", "folders", "-m", "slow.yaml", "--budget", "160"),
}


@dataclass(frozen=True)
class Kills:
    """How often a command was killed, and what was wrong afterwards."""

    killed: dict[str, int]
    lost: tuple[str, ...]
    paid_twice: tuple[str, ...]


def campaign(grounds: Grounds, count: int, seed: int, left: Callable[[], float]) -> Kills:
    """At least `count` kills over all commands, or as many as fit the time that is `left`."""
    (grounds.root / "slow.yaml").write_text(yaml.safe_dump({**SCRIPT, "seconds": 0.0005}))
    rng = random.Random(seed)
    killed = dict.fromkeys(LINES, 0)
    lost: list[str] = []
    twice: list[str] = []
    whole = {name: _whole(grounds, name) for name in LINES}
    while sum(killed.values()) < count and left() > 0:
        for name in LINES:
            folder = grounds.root / "killed"
            shutil.rmtree(folder, ignore_errors=True)
            for file in grounds.root.glob("killed.*"):
                file.unlink()
            killed[name] += _broken(grounds, name, rng, whole[name][1])
            problem = _resumed(grounds, name, whole[name][0])
            if problem:
                lost.append(f"{name}: {problem}")
            twice += [f"{name}: {key}" for key in _paid_twice(folder / "journal.jsonl")]
    return Kills(killed, tuple(lost), tuple(twice))


def _start(grounds: Grounds, name: str, run: str, *more: str) -> subprocess.Popen[bytes]:
    words = [*LINES[name], "--run-dir", run, "-o", f"{run}.out.yaml", "-q", "--no-priors"]
    env = {**os.environ, **grounds.environment, "IDEALPROMPT_ANSWERS": f"{run}.sqlite"}
    line = [sys.executable, "-m", "idealprompt_cli", *words, *more]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, cwd=grounds.root, env=env, **pipes)  # type: ignore[call-overload,no-any-return]


def _whole(grounds: Grounds, name: str) -> tuple[Any, float]:
    """The result of an uninterrupted run, and its seconds."""
    run = f"whole-{name.replace(' ', '')}"
    start = time.monotonic()
    process = _start(grounds, name, run)
    if process.wait(120):
        raise SystemExit(f"the uninterrupted {name} failed: {process.communicate()[1].decode()}")
    return _artifact(grounds.root / f"{run}.out.yaml"), time.monotonic() - start


def _broken(grounds: Grounds, name: str, rng: random.Random, seconds: float) -> int:
    """Kill a run and its resumes up to five times; how many of the kills hit a living process."""
    hits = 0
    for attempt in range(rng.randint(2, 5)):
        more = ("--resume",) if attempt else ()
        process = _start(grounds, name, "killed", *more)
        time.sleep(_moment(rng, seconds))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            hits += 1
        process.communicate(timeout=120)
    return hits


def _moment(rng: random.Random, seconds: float) -> float:
    """Seconds until a kill: anywhere in the run, or at its end, where the artifact is written."""
    return seconds * (rng.uniform(0.25, 1.0) if rng.random() < 0.7 else rng.uniform(0.9, 1.05))


def _resumed(grounds: Grounds, name: str, whole: Any) -> str:
    """Resume to the end; what is wrong with the result, or ""."""
    output = grounds.root / "killed.out.yaml"
    if output.exists():
        try:
            _artifact(output)
        except (yaml.YAMLError, KeyError, TypeError):
            return "a half-written artifact"
    process = _start(grounds, name, "killed", "--resume")
    _, err = process.communicate(timeout=120)
    if process.returncode:
        return f"resume ended with {process.returncode}: {err.decode()[-300:]}"
    return "" if _artifact(output) == whole else "another result than the uninterrupted run"


def _artifact(path: Path) -> Any:
    data = yaml.safe_load(path.read_text())
    data["cost"].pop("seconds")
    return data


def _paid_twice(journal: Path) -> list[str]:
    """Keys of answers that are in the journal more than once with a price."""
    seen: set[tuple[str, str]] = set()
    twice = []
    for line in journal.read_text().splitlines():
        record = json.loads(line)
        if record.get("kind") not in ("score", "text") or record.get("found"):
            continue
        for option in record.get("scores") or {"": 0.0}:
            place = (record["key"], option)
            if place in seen:
                twice.append(record["key"])
            seen.add(place)
    return twice
