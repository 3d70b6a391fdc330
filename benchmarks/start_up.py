"""What commands cost before they do anything: `python -m benchmarks.start_up [--repeats N]`.

Processor time (user and system) of fresh processes, which other work on the machine does not bend:
importing the package, help, and an answer about one image by the embedded model, with and without a
cache that knows the machine. Writes results/start_up.json; the limit for help is 0.3 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from idealprompt_cli.artifact import dump
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.runs.models import embedded_model
from idealprompt_cli.task import load_task

from .exports import artifact_of

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "start_up.json"
COMMAND = (sys.executable, "-m", "idealprompt_cli")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats: int = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: round(min(seconds(words, Path(folder)) for _ in range(repeats)), 3)
            for name, words in commands(Path(folder)).items()
        }
    print("| command | processor time, s |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.2f} |")
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def commands(folder: Path) -> Mapping[str, Sequence[str]]:
    """Name -> the words of a process."""
    task, ref = load_task(ROOT / "sample_tasks" / "grade"), embedded_model()
    assert ref is not None, "the embedded model is not built"
    prompt = folder / "prompt.yaml"
    prompt.write_text(dump(artifact_of(task, Prompt(task.question), ref)), encoding="utf-8")
    image = str(task.test[0].images[0])
    return {
        "Python alone": (sys.executable, "-c", "pass"),
        "import idealprompt_cli": (sys.executable, "-c", "import idealprompt_cli"),
        "--help": (*COMMAND, "--help"),
        "search --help": (*COMMAND, "search", "--help"),
        "predict, one image": (*COMMAND, "predict", str(prompt), image, "--threads", "1"),
    }


def seconds(words: Sequence[str], folder: Path) -> float:
    """Processor time of a process and all that it starts. Raises `CalledProcessError`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cache = {"IDEALPROMPT_TUNE": "off", "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run(words, capture_output=True, check=True, cwd=ROOT, env=os.environ | cache)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
