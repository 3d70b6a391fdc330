"""Three workers with disks of their own, behind TLS; in network namespaces where possible."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from idealprompt_cli.runs.models import embedded_model

from .fleet_federation import environment

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "sample_tasks" / "grade"
WORKERS = ("a", "b", "c")
BUDGET = 120
NET = "10.77.0"
HOST = f"{NET}.1"


@dataclass(frozen=True)
class Site:
    """Where scheduler and workers run: `prefix` of the commands in each worker's namespace."""

    folder: Path
    namespaces: bool

    @property
    def host(self) -> str:
        return HOST if self.namespaces else "127.0.0.1"

    def prefix(self, name: str) -> list[str]:
        """A worker sees neither the coordinator's model nor its task folder."""
        if not self.namespaces:
            return []
        empty, hidden = self.folder / "empty", [self.folder / "coordinator", self.folder / "task"]
        for path in (empty, *hidden):
            path.mkdir(exist_ok=True)
        mounts = " && ".join(f"mount --bind {empty} {path}" for path in hidden)
        script = f'{mounts} && exec "$@"'
        return ["ip", "netns", "exec", f"fleet-{name}", "sh", "-c", script, "sh"]

    @property
    def tls(self) -> list[str]:
        """The options of our command for the certificate that all share here."""
        cert, key = str(self.folder / "cert.pem"), str(self.folder / "key.pem")
        return ["--tls-ca", cert, "--tls-cert", cert, "--tls-key", key]

    @property
    def dask_tls(self) -> list[str]:
        return [word.replace("--tls-ca", "--tls-ca-file") for word in self.tls]


def cluster(folder: Path) -> dict[str, Any]:
    """Equality, bytes, and runs in which a worker is killed or frozen."""
    with site(folder) as place, _scheduler(place):
        alone = _search(folder, "alone", [])
        with contextlib.ExitStack() as stack:
            for name in WORKERS:
                stack.enter_context(_worker(place, name))
            stack.enter_context(_worker(place, "other", other_model=True))
            done = _search(folder, "cluster", _cluster_words(place))
            compared, differing = _compared(folder / "alone", folder / "cluster")
            boxes = _boxes(done.stderr)
            faults = {
                "killed": _with_fault(place, "killed", signal.SIGKILL),
                "frozen": _with_fault(place, "frozen", signal.SIGSTOP),
            }
    evaluations = json.loads(alone.stdout)["cost"]["evaluations"]
    used = [box for name, box in boxes.items() if name in WORKERS]
    images = len(list((SAMPLE / "images").rglob("*.jpg")))
    return {
        "network": "in network namespaces, TLS" if place.namespaces else "on loopback, TLS",
        "compared": compared,
        "differing": differing,
        "images": images,
        "encoded": sum(box["encoded"] - _SELF_CHECK for box in used),
        "sent_per_evaluation": sum(box["sent"] for box in used) / evaluations,
        "received_per_evaluation": sum(box["received"] for box in used) / evaluations,
        "other_model": _other(done.stderr),
        "workers": [line for line in done.stderr.splitlines() if line.startswith("Worker ")],
        "faults": faults,
    }


_SELF_CHECK = 3
"""Images that each engine encodes to check itself, drawn by itself."""


# --- machines -------------------------------------------------------------------------------------


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Three network namespaces on a bridge, removed at the end; the loopback interface where that
    is not allowed."""
    _certificate(folder)
    allowed = os.geteuid() == 0 and shutil.which("ip") is not None and _network()
    try:
        yield Site(folder, allowed)
    finally:
        if allowed:
            _remove_network()


def _network() -> bool:
    if Path("/run/netns/fleet-a").exists():  # another run's
        return False
    words = [
        ["link", "add", "fleet0", "type", "bridge"],
        ["addr", "add", f"{HOST}/24", "dev", "fleet0"],
        ["link", "set", "fleet0", "up"],
    ]
    for number, name in enumerate((*WORKERS, "other"), start=2):
        inside = ["-n", f"fleet-{name}"]
        words += [
            ["netns", "add", f"fleet-{name}"],
            ["link", "add", f"fl{number}", "type", "veth", "peer", "name", "eth0", "netns",
             f"fleet-{name}"],
            ["link", "set", f"fl{number}", "master", "fleet0", "up"],
            [*inside, "addr", "add", f"{NET}.{number}/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
            [*inside, "link", "set", "lo", "up"],
        ]  # fmt: skip
    for one in words:
        if subprocess.run(["ip", *one], capture_output=True, check=False).returncode:
            _remove_network()
            return False
    return True


def _remove_network() -> None:
    for name in (*WORKERS, "other"):
        subprocess.run(["ip", "netns", "del", f"fleet-{name}"], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", "fleet0"], capture_output=True, check=False)


def _certificate(folder: Path) -> None:
    """One certificate for all, its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=fleet", "-keyout", str(folder / "key.pem"),
         "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip


@contextmanager
def _process(words: Sequence[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all that it starts, ended with the block."""
    process = subprocess.Popen(
        words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _scheduler(place: Site) -> Iterator[None]:
    module = "distributed.cli.dask_scheduler"
    words = [sys.executable, "-m", module, "--host", f"tls://{place.host}", "--port", "8786",
             "--no-dashboard", *place.dask_tls]  # fmt: skip
    with _process(words, environment(place.folder, "scheduler")):
        yield


@contextmanager
def _worker(place: Site, name: str, other_model: bool = False) -> Iterator[None]:
    """A worker with a disk of its own: a copy of the task and of the model, or of another one."""
    disk = place.folder / f"disk-{name}"
    shutil.copytree(SAMPLE, disk / "tasks" / "task")
    _copy_model(disk / "models", changed=not other_model)
    env = {**environment(place.folder, f"disk-{name}"), "IDEALPROMPT_MODELS": str(disk / "models"),
           "IDEALPROMPT_TASKS": str(disk / "tasks")}  # fmt: skip
    words = [*place.prefix(name), sys.executable, "-m", "distributed.cli.dask_worker",
             f"tls://{place.host}:8786", "--name", name, "--nthreads", "1", "--no-dashboard",
             "--local-directory", str(disk), *place.dask_tls]  # fmt: skip
    with _process(words, env):
        yield


# --- runs -----------------------------------------------------------------------------------------


def _model(folder: Path) -> list[str]:
    """The model under names that are only on the disks of coordinator and workers."""
    text, mmproj = _copy_model(folder / "coordinator", changed=True)
    return ["--model", str(text), "--mmproj", str(mmproj)]


def _copy_model(folder: Path, changed: bool) -> list[Path]:
    """The embedded model under other names. A byte behind the weights gives it a fingerprint that
    only these copies have."""
    folder.mkdir(exist_ok=True)
    model = embedded_model()
    assert model is not None
    assert model.mmproj is not None
    copies = []
    for file in (model.text, model.mmproj):
        copies.append(folder / f"copy-{file.name}")
        copies[-1].write_bytes(file.read_bytes() + b"x" * changed)
    return copies


def _words(folder: Path, run: str, more: Sequence[str]) -> list[str]:
    task = folder / "task"
    if not task.exists():
        shutil.copytree(SAMPLE, task)
    return [sys.executable, "-m", "idealprompt_cli", "search", str(task), "--budget", str(BUDGET),
            "--threads", "1", "--no-priors", "--no-cache", "--no-probe", "--json",
            "--run-dir", str(folder / run), *_model(folder), *more]  # fmt: skip


def _cluster_words(place: Site) -> list[str]:
    return ["--cluster", f"tls://{place.host}:8786", "--allow-network", "--worker-timeout", "15",
            *place.tls]  # fmt: skip


def _search(folder: Path, run: str, more: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        _words(folder, run, more), env=environment(folder, "coordinator"), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return done


def _with_fault(place: Site, run: str, number: int) -> dict[str, Any]:
    """A run in which the process of worker b gets a signal as soon as it has answered."""
    folder = place.folder
    process = subprocess.Popen(
        _words(folder, run, _cluster_words(place)), env=environment(folder, "coordinator"),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    journal = folder / run / "journal.jsonl"
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > 40:
            break
        time.sleep(0.05)
    for pid in _computing(place, "b"):
        os.kill(pid, number)
    _, stderr = process.communicate()
    if process.returncode:
        return {"compared": 0, "differing": -1, "stated": stderr.splitlines()[-1]}
    compared, differing = _compared(folder / "alone", folder / run)
    stated = [one for one in stderr.splitlines() if one.startswith("Worker b ")]
    return {"compared": compared, "differing": differing, "stated": " ".join(stated[:-1])}


def _computing(place: Site, name: str) -> list[int]:
    """The process of a worker that has the model open (its nanny has not)."""
    model = f"disk-{name}/models/copy-"
    found = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            if f"{place.folder}/{model}" in maps.read_text():
                found.append(int(maps.parent.name))
    return found


def _compared(first: Path, second: Path) -> tuple[int, int]:
    """How many answers and trials two runs have, and how many differ in any bit."""
    one, two = _found(first), _found(second)
    keys = one.keys() | two.keys()
    return len(keys), sum(one.get(key) != two.get(key) for key in keys)


def _found(run: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for row in map(json.loads, (run / "journal.jsonl").read_text().splitlines()):
        if row["kind"] == "score":
            found.update({(row["key"], option): s for option, s in row["scores"].items()})
        elif row["kind"] == "text":
            found[row["key"]] = row["text"]
        elif row["kind"] == "trial":
            found[row["id"]] = [row[key] for key in ("strategy", "state", "value", "prompt")]
    return found


def _boxes(stderr: str) -> dict[str, dict[str, float]]:
    """Each worker's account, as the command reports it."""
    units = {"bytes": 1, "kB": 1024, "MB": 1 << 20}
    found = {}
    for line in stderr.splitlines():
        made = re.match(
            r"Worker (\S+): \d+ requests, (\d+) images \((\d+) encoded\), .* s, "
            r"([\d.]+) (\w+) sent, ([\d.]+) (\w+) received",
            line,
        )
        if made:
            found[made[1]] = {
                "images": int(made[2]),
                "encoded": int(made[3]),
                "sent": float(made[4]) * units[made[5]],
                "received": float(made[6]) * units[made[7]],
            }
    return found


def _other(stderr: str) -> str:
    line = next((one for one in stderr.splitlines() if one.startswith("worker other")), "")
    return "refused by its fingerprint" if "fingerprint" in line else f"not refused: {line}"


# --- efficiency -----------------------------------------------------------------------------------


def efficiency(folder: Path) -> dict[str, Any]:
    """Two local workers with a thread each against one process with two threads, the better of two
    runs each."""
    load = os.getloadavg()[0]
    cases = {"one_process": ["--threads", "2"], "two_workers": ["--local-workers", "2"]}
    found: dict[str, Any] = {"load": load, "budget": BUDGET}
    for name, more in cases.items():
        runs = []
        for turn in range(2):
            before, started = _children(), time.monotonic()
            done = _search(folder, f"{name}-{turn}", more)
            wall, cpu = time.monotonic() - started, _children() - before
            model = json.loads(done.stdout)["cost"]["seconds"]
            runs.append({"wall": round(wall, 2), "cpu": round(cpu, 2), "model": model})
            shutil.rmtree(folder / "coordinator" / "cache", ignore_errors=True)
        found[name] = min(runs, key=lambda run: run["wall"])
    return found


def _children() -> float:
    """Processor seconds of all processes that were started and have ended."""
    times = os.times()
    return times.children_user + times.children_system
