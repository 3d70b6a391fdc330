"""The coordinator of a federation alone: boxes are in this process, and their time is not counted.

A box has 20 training and 20 held-out examples in groups of 5. Its answers come from a scripted
model. What the coordinator spends is the processor time of the run less that of the boxes; its
share is taken of that and the time that a box of PACE seconds an example would take, all boxes at
once.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.engines.scripted import ScriptedEngine
from idealprompt_cli.fleet.federation.box import Box
from idealprompt_cli.fleet.federation.comm import Lost
from idealprompt_cli.fleet.federation.federation import Federation
from idealprompt_cli.fleet.federation.privacy import Policy
from idealprompt_cli.fleet.federation.run import run_federation
from idealprompt_cli.runs.config import RunConfig

BOXES = {1: 30, 10: 30, 100: 30, 1000: 8}
"""Number of boxes -> the budget: so many prompts on every group."""
PACE = 0.078
"""Seconds for a prompt on an image whose prefix is kept: a model of 256M parameters with 8-bit
weights on two cores."""
SCRIPT: Mapping[str, Any] = {
    "rules": [
        {"image": "A/", "scores": {"A": -1.0, "B": -1.1}, "text": "A striped cup."},
        {"image": "B/", "scores": {"A": -1.0, "B": -1.1}, "text": "A dotted cup."},
        {"image": "A/", "when": "label", "add": {"A": 0.4}},
        {"image": "B/", "when": "label", "add": {"B": 0.4}},
    ],
    "default": {"text": "A cup.", "score": -6.0},
}


class Timed:
    """A transport to boxes in this process that adds up their processor time."""

    def __init__(self, boxes: Mapping[str, Box]) -> None:
        self.boxes, self.seconds, self.asked = boxes, 0.0, 0

    def ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        started = time.process_time()
        answers = {name: self.boxes[name].ask(data) for name, data in questions.items()}
        self.seconds += time.process_time() - started
        next(iter(self.boxes.values()))._engine.calls.clear()  # type: ignore[attr-defined]
        self.asked += sum(len(json.loads(data).get("asks", ())) for data in questions.values())
        return answers


def scale(folder: Path) -> dict[str, Any]:
    """Every size in a process of its own, for its memory."""
    del folder
    rows = []
    for count in BOXES:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fleet_scale", str(count)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        rows.append(json.loads(done.stdout))
    return {"pace": PACE, "rows": rows}


def one(count: int) -> dict[str, Any]:
    """A search over so many boxes."""
    engine = ScriptedEngine(SCRIPT)
    boxes = {f"box-{n:04}": Box(_task(n), engine, Policy()) for n in range(count)}
    transport = Timed(boxes)
    found = Federation(transport, lambda line: None)
    before = _memory()
    started = time.process_time()
    found.join(list(boxes))
    groups = 4 * count
    config = RunConfig(budget=str(BOXES[count] * 2 * count), priors=False)
    made = run_federation(found, list(boxes), config)
    own = time.process_time() - started - transport.seconds
    evaluations = transport.asked
    prompts = evaluations / groups
    box_seconds = prompts * 20 * PACE
    travelled = sum(a.sent + a.received for a in found.accounts.values())
    return {
        "boxes": count,
        "trials": len(made.result.trials),
        "evaluations": evaluations,
        "coordinator_seconds": round(own, 3),
        "microseconds": round(1e6 * own / evaluations, 1),
        "share": round(own / (own + box_seconds), 4),
        "memory_mib": round(_memory() - before, 1),
        "bytes_per_prompt_and_box": round(travelled / (prompts * count), 1),
    }


def _task(number: int) -> Task:
    def example(place: int, split: str) -> Example:
        label = "AB"[place % 2]
        name = f"{label}/{number}-{split}-{place}.png"
        return Example(name, (Path(name),), label, "made here")

    return Task(
        name="codes",
        root=Path("codes"),
        question="Which code?",
        labels=("A", "B"),
        metric="accuracy",
        train=tuple(example(place, "train") for place in range(20)),
        test=tuple(example(place, "test") for place in range(20)),
    )


def _memory() -> float:
    """The process's largest resident memory so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]))))
