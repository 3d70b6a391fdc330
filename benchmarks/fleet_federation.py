"""Three boxes as processes behind recording proxies: what travels, and what a killed one costs."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample_tasks" / "grade"
NAMES = ("north", "south", "west")
TRAIN = 16
BUDGET = 120
SECRETS = ("patientdoe", "secretfolder", "4111222233334444")
"""Parts of file names and of the folders' names. Beside them, bytes of every image are searched."""


def federation(folder: Path) -> dict[str, Any]:
    """A whole search, then one with a box that is killed, then one whose coordinator is killed."""
    boxes = [_box_folder(folder, place, name) for place, name in enumerate(NAMES)]
    traffic: list[bytes] = []
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(_served(folder, one)) for one in boxes]
        proxies = [stack.enter_context(recorded(port, traffic)) for port, _, _ in served]
        tokens = [token for _, token, _ in served]
        _write_members(folder, proxies, tokens)
        done = _search(folder, "whole")
        found = json.loads(done.stdout)
        sent, received = _bytes(done.stderr)
        whole = b"".join(traffic)
        trials = _records(folder / "whole", "trial")
        images = [path for box in boxes for path in box.rglob("*.jpg")]
        secrets = [one.encode() for one in (*SECRETS, *(path.name for path in images))]
        secrets += [path.read_bytes()[-64:-16] for path in images]
        hits = [one for one in secrets if one in whole]
        _resumed(folder)
        killed = _killed(folder, served[-1][2])
        measured, twice = _measured_twice(folder)
    return {
        "before": found["scores"]["baseline"]["test"]["value"],
        "after": found["scores"]["winner"]["test"]["value"],
        "trials": len(trials),
        "bytes_per_prompt_and_box": round((sent + received) / (len(trials) * len(NAMES)), 1),
        "recorded_bytes": len(whole),
        "secrets": len(secrets),
        "secrets_found": len(hits),
        "killed_box": killed,
        "measured": measured,
        "measured_twice": twice,
    }


def _box_folder(folder: Path, place: int, name: str) -> Path:
    """A third of the sample task, with file names that are secrets."""
    rows = [json.loads(line) for line in (SAMPLE / "metadata.jsonl").read_text().splitlines()]
    random.Random(1).shuffle(rows)
    box = folder / f"secretfolder-{name}"
    (box / "images").mkdir(parents=True)
    lines = []
    for number, row in enumerate(rows[place::3]):
        target = f"images/patientdoe-4111222233334444-{name}-{number}.jpg"
        shutil.copy(SAMPLE / row["file_name"], box / target)
        split = "train" if number < TRAIN else "test"
        lines.append(json.dumps({"file_name": target, "label": row["label"], "split": split}))
    (box / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copy(SAMPLE / "task.yaml", box / "task.yaml")
    return box


def environment(folder: Path, name: str) -> dict[str, str]:
    """The variables of a process with caches and accounts of its own."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
        "IDEALPROMPT_CACHE": str(folder / name / "cache"),
        "IDEALPROMPT_ANSWERS": str(folder / name / "answers.sqlite"),
        "IDEALPROMPT_PRIORS": str(folder / name / "priors.json"),
        "IDEALPROMPT_FLEET": str(folder / name / "fleet"),
        "IDEALPROMPT_TUNE": "off",
    }


@contextmanager
def _served(folder: Path, box: Path) -> Iterator[tuple[int, str, subprocess.Popen[str]]]:
    """(port, token, process) of a box."""
    words = ["fleet", "serve", str(box), "--json", "-q", "--threads", "1", "--listen",
             "tcp://127.0.0.1:0"]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "idealprompt_cli", *words],
        env=environment(folder, f"state-{box.name}"), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        found = json.loads(process.stdout.readline())
        yield int(found["address"].rpartition(":")[2]), found["token"], process
    finally:
        process.kill()
        process.wait()


@contextmanager
def recorded(port: int, traffic: list[bytes]) -> Iterator[int]:
    """The port of a proxy that keeps all bytes that pass, both ways."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                traffic.append(data)
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    near.close()
                    continue
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _write_members(folder: Path, ports: list[int], tokens: list[str]) -> None:
    lines = [
        f"  - {{name: {name}, address: 'tcp://127.0.0.1:{port}', token: '{token}'}}"
        for name, port, token in zip(NAMES, ports, tokens, strict=True)
    ]
    (folder / "fleet.yaml").write_text("members:\n" + "\n".join(lines) + "\n")


def _words(run: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "idealprompt_cli", "fleet", "search", "--members", "fleet.yaml",
            "--budget", str(BUDGET), "--no-priors", "--run-dir", run, "--json",
            "--box-timeout", "20", *more]  # fmt: skip


def _search(folder: Path, run: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _words(run, *more), cwd=folder, env=environment(folder, "state"), text=True,
        capture_output=True, check=True,
    )  # fmt: skip


def _bytes(stderr: str) -> tuple[int, int]:
    """Bytes of questions and answers, as the command reports them."""
    sizes = {"bytes": 1, "kB": 1024, "MB": 1 << 20}
    totals = []
    for word in ("sent", "received"):
        found = re.findall(rf"([\d.]+) (bytes|kB|MB) {word}", stderr)
        totals.append(round(sum(float(n) * sizes[unit] for n, unit in found)))
    return totals[0], totals[1]


def _records(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def _interrupted(folder: Path, run: str, answers: int) -> subprocess.Popen[str]:
    """A search that has written so many answers into its journal."""
    process = subprocess.Popen(
        _words(run, "--seed", "1"), cwd=folder, env=environment(folder, "state"), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    journal = folder / run / "journal.jsonl"
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b'"kind": "score"') >= answers:
            break
        time.sleep(0.05)
    return process


def _resumed(folder: Path) -> None:
    """Kill a coordinator in mid-run and resume it."""
    process = _interrupted(folder, "resumed", BUDGET // 3)
    process.kill()
    process.communicate()
    _search(folder, "resumed", "--seed", "1", "--resume")


def _killed(folder: Path, box: subprocess.Popen[str]) -> str:
    """What a run says and finds whose last box is killed in mid-run."""
    process = _interrupted(folder, "killed", BUDGET // 4)
    box.kill()
    stdout, stderr = process.communicate()
    if process.returncode:
        return f"failed: {stderr.splitlines()[-1]}"
    said = next(line for line in stderr.splitlines() if "left out" in line)
    left = len(json.loads(stdout)["boxes"])
    return f"{said.split(' (')[0]}; left out; {left} boxes in the result"


def _measured_twice(folder: Path) -> tuple[int, int]:
    """Releases of all boxes over all runs, and how many of them are there twice."""
    keys = [
        (path, row["split"], row["prompt"], row["group"])
        for path in folder.glob("state-*/fleet/*/releases.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    ]
    return len(keys), len(keys) - len(set(keys))
