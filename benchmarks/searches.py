"""What the second and third search on the same folder cost: `python -m benchmarks.searches --name
NAME --model M --mmproj P [--task FOLDER] [--budget N]`.

Processor time (user and system) of `idealprompt search` in fresh processes with one thread, tuning
off, on caches that were empty before the first: the same command again, another seed, twice the
budget (answers that are known cost nothing, so a search then goes further); and without the
response cache, so that only what is kept of the images (and a bfloat16
copy of the weights, `--weights`) is used. Without `--task`, six pictures of the engine's
benchmark with labels in turn. Writes results/searches.json under the name.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.engine.workload import OPTIONS, pictures

RESULTS = Path(__file__).resolve().parent / "results" / "searches.json"
PICTURES, TEST = 6, 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="of the row")
    parser.add_argument("--model", required=True)
    parser.add_argument("--mmproj")
    parser.add_argument("--task", type=Path, help="a task folder")
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--weights", choices=("auto", "file", "bf16"), default="file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task: Path = (options.task or made_task(folder)).absolute()
        words = [str(task), "-m", options.model, "--weights", options.weights, "--threads", "1"]
        words += ["--mmproj", options.mmproj] if options.mmproj else []
        found = {
            search: measured([*words, *more], folder)
            for search, more in searches(options.budget).items()
        }
    report = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    report[options.name] = {"budget": options.budget, "searches": found}
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table())


def searches(budget: int) -> Mapping[str, Sequence[str]]:
    """Name -> options, in the order in which they run."""
    once, twice = ("--budget", str(budget)), ("--budget", str(2 * budget))
    return {
        "first": once,
        "again": once,
        "again, no response cache": (*once, "--no-cache"),
        "another seed": (*once, "--seed", "1"),
        "twice the budget": twice,
    }


def made_task(folder: Path) -> Path:
    """A task folder of the engine's pictures; there is nothing to learn in it."""
    task = folder / "task"
    for index, path in enumerate(pictures(PICTURES, folder / "made")):
        split = "test" if index >= PICTURES - TEST else "train"
        place = task / split / OPTIONS[index % 2]
        place.mkdir(parents=True, exist_ok=True)
        path.replace(place / path.name)
    (task / "task.yaml").write_text(
        "question: What is the main colour of the item?\n", encoding="utf-8"
    )
    return task


def measured(words: Sequence[str], folder: Path) -> dict[str, float]:
    """Processor time of a search, and the evaluations that were computed, the held-out test's
    included. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "idealprompt_cli", "search", *words, "--no-priors", "--force"]
    command += ["-q", "--json", "-o", str(folder / "prompt.yaml"), "--run-dir", str(folder / "run")]
    caches = {
        "IDEALPROMPT_TUNE": "off",
        "IDEALPROMPT_CACHE": str(folder / "cache"),
        "IDEALPROMPT_ANSWERS": str(folder / "answers.sqlite"),
        "OMP_NUM_THREADS": "1",
    }
    shutil.rmtree(folder / "run", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | caches)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    evaluations: int = json.loads(done.stdout)["cost"]["evaluations"]
    return {"seconds": round(seconds, 2), "evaluations": evaluations}


def table() -> str:
    """The table of `results/searches.json`, for `benchmarks/README.md`."""
    report = json.loads(RESULTS.read_text(encoding="utf-8"))
    names = list(searches(0))
    rows = [f"| model, task, budget | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, entry in report.items():
        cells = [
            f"{one['seconds']:.1f} s, {one['evaluations']} evaluations"
            for one in (entry["searches"][search] for search in names)
        ]
        rows.append(f"| {name}, {entry['budget']} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
