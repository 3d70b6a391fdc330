"""One contender in a process of its own, so that its memory is its own and a crash is seen:
`python -m benchmarks.engine.worker JOB` prints what was measured as the last line."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

from .figures import Measured
from .jobs import Job

RUNS: dict[str, tuple[str, str]] = {
    "naive": ("naive", "measure"),
    "server": ("server", "measure"),
    "server-tuned": ("server", "measure_tuned"),
    "server-tuned-bf16": ("server", "measure_tuned"),
    "ours": ("ours", "measure"),
    "ours-bf16": ("ours", "measure"),
    "batched-bench": ("limit", "measure"),
    "batched-bench-bf16": ("limit", "measure"),
    "search": ("searching", "measure"),
    "search-bf16": ("searching", "measure"),
}
"""Contender -> (module, function); imported in the worker alone, since they load libraries."""


class WorkerError(Exception):
    """A contender failed; the message says how."""


def run(job: Job) -> list[Measured]:
    """Measure in a child process. Raises `WorkerError` with the end of the child's stderr."""
    command = [sys.executable, "-m", "benchmarks.engine.worker", job.dump()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        raise WorkerError(f"exit code {done.returncode}: {said[-1][:300]}")
    return [Measured.parse(one) for one in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a server ends with its worker
    job = Job.parse(sys.argv[1])
    module, name = RUNS[job.contender]
    measure: Callable[[Job], list[Measured]] = getattr(
        importlib.import_module(f"benchmarks.engine.{module}"), name
    )
    print("\n" + json.dumps([asdict(measured) for measured in measure(job)]))


if __name__ == "__main__":
    main()
