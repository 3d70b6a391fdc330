"""Tasks with written answers on the demonstration model: captions, JSON, numbers, several labels.

`python -m benchmarks.written [--tasks NAME ...] [--budget 600] [--seeds 0]` draws the pictures
(once, under `benchmarks/.work/written`), searches, and adds each result to
`benchmarks/results/written.json`. Results that are already there are not measured again, so an
interrupted run can be resumed. `--draw FOLDER` only draws the task folders.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.io.files import write_text
from idealprompt_cli.task import load_task
from training.draw import draw
from training.language.words import VALUES, describe, value
from training.scene import Scene, sample_scene

from .samples import DEMO, ROOT, one_run

RESULTS = ROOT / "benchmarks" / "results" / "written.json"
WORK = ROOT / "benchmarks" / ".work" / "written"
SIZE, TRAIN, TEST = 160, 24, 48
WORDS = ("red", "blue", "striped", "dotted", "mug", "shirt", "large", "scratched")


FIELDS = "fields:\n" + "".join(
    f"  {name}: [{', '.join(VALUES[name])}]\n" for name in ("kind", "colour", "pattern")
)


@dataclass(frozen=True)
class Written:
    """A task: question, settings of the answer in `task.yaml`, and the answer for a scene."""

    question: str
    settings: str
    answer: Callable[[Scene], Any]
    pins: dict[str, Any]


def attributes(scene: Scene) -> dict[str, str]:
    return {name: value(scene, name) for name in ("kind", "colour", "pattern")}


def ticked(scene: Scene) -> list[str]:
    shown = {value(scene, name) for name in ("kind", "colour", "pattern", "size", "condition")}
    return [word for word in WORDS if word in shown]


TASKS = {
    "caption": Written(
        "Please say what can be seen in this photograph.",
        "answer: text\nmetric: 1-wer\n", describe, {"layout": "single"},
    ),
    "attributes": Written(
        "What is it?", f"answer: json\n{FIELDS}", attributes, {"layout": "single"},
    ),
    "count": Written(
        "Say the number of goods.", "answer: number\n", lambda scene: scene.count, {},
    ),
    "tags": Written(
        "Tag the picture.", f"answer: labels\nlabels: [{', '.join(WORDS)}]\n",
        ticked, {"layout": "single"},
    ),
}  # fmt: skip


def draw_task(name: str, folder: Path) -> Path:
    """One task folder; one that is there is left alone."""
    place, task = folder / name, TASKS[name]
    if (place / "task.yaml").is_file():
        return place
    rng = Random(f"written {name}")
    rows = []
    for number in range(TRAIN + TEST):
        pins = {"count": rng.choice((1, 2, 3))} if name == "count" else task.pins
        scene = sample_scene(rng, **pins)
        file = f"images/{number:03d}.png"
        (place / "images").mkdir(parents=True, exist_ok=True)
        draw(scene, rng, SIZE).save(place / file)
        part = "train" if number < TRAIN else "test"
        rows.append({"file_name": file, "answer": task.answer(scene), "split": part})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (place / "metadata.jsonl").write_text(lines, encoding="utf-8")
    settings = f"name: {name}\nquestion: {json.dumps(task.question)}\n{task.settings}"
    (place / "task.yaml").write_text(settings, encoding="utf-8")
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--budget", default="600")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw the tasks, no more")
    options = parser.parse_args()
    if options.draw:
        for name in options.tasks:
            print(draw_task(name, options.draw))
        return
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    files = ModelRef(DEMO / "model.gguf", DEMO / "mmproj.gguf")
    engine = open_engine("llama_cpp", files, EngineOptions(threads=options.threads))
    for name in options.tasks:
        task = load_task(draw_task(name, WORK))
        for seed in options.seeds:
            key = f"{name} {options.budget} {seed} {engine.info().fingerprint}"
            if key not in found:
                found[key] = one_run(engine, task, options.budget, seed)
                write_text(RESULTS, json.dumps(found, indent=1) + "\n", RuntimeError)  # type: ignore[type-var]
            one = found[key]
            before, after = one["baseline"]["value"], one["winner"]["value"]
            print(f"{name} ({task.metric}, seed {seed}): {before:.3f} -> {after:.3f}", flush=True)
            print(f"  {one['prompt']}", flush=True)
    engine.close()


if __name__ == "__main__":
    main()
