"""Check that a refactoring keeps the behaviour: prompts and scores on the samples.

    python -m benchmarks.same_results write before.json      # on the code before the change
    python -m benchmarks.same_results check before.json      # on the code after it

Runs `search`, `search --reflect`, `reflect` and `eval` on every sample task with two seeds, through
the command line, with empty caches and without priors.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
SEEDS = (0, 1)
KEPT = ("prompt", "baseline", "scores", "recommended", "verdict")


def command(folder: Path, *words: str) -> str:
    """Standard output of one command, run with empty caches and priors in `folder`."""
    env = {
        **os.environ,
        "IDEALPROMPT_CACHE": str(folder / "cache"),
        "IDEALPROMPT_PRIORS": str(folder / "priors.json"),
        "IDEALPROMPT_ANSWERS": str(folder / "answers.sqlite"),
    }
    line = [sys.executable, "-m", "idealprompt_cli", *words]
    done = subprocess.run(line, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def adapted(folder: Path, *words: str) -> dict[str, object]:
    """What a run found: prompts, scores and verdict of its artifact, and its evaluations."""
    artifact = yaml.safe_load(command(folder, *words, "-q", "-o", "-"))
    found: dict[str, object] = {key: artifact[key] for key in KEPT}
    return {**found, "evaluations": artifact["cost"]["evaluations"]}


def measured(task: Path, seed: int) -> dict[str, object]:
    """All four commands on one task and seed. Commands see empty caches, each its own."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        common = (str(task), "--no-cache", "--no-priors", "--seed", str(seed))
        prompt = folder / "prompt.yaml"
        search = ("search", *common, "--budget", "600")
        found = {
            "search": adapted(folder, *search, "--run-dir", str(folder / "a")),
            "search --reflect": adapted(
                folder, *search, "--reflect", "--run-dir", str(folder / "b")
            ),
        }
        command(folder, *search, "--run-dir", str(folder / "c"), "-q", "-o", str(prompt))
        reflect = ("reflect", str(prompt), *common, "--budget", "300")
        found["reflect"] = adapted(folder, *reflect, "--run-dir", str(folder / "d"))
        answer = json.loads(command(folder, "eval", str(prompt), str(task), "--json", "-q"))
        found["eval"] = {key: answer[key] for key in ("value", "low", "high", "n")}
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["write", "check"])
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    tasks = sorted(path.parent for path in (ROOT / "sample_tasks").glob("*/task.yaml"))
    found = {
        f"{task.name}, seed {seed}": measured(task.relative_to(ROOT), seed)
        for task in tasks
        for seed in SEEDS
    }
    if options.action == "write":
        options.file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        return
    before = json.loads(options.file.read_text())
    different = [
        f"{name}: {stage}"
        for name, stages in before.items()
        for stage, value in stages.items()
        if json.loads(json.dumps(found[name][stage])) != value
    ]
    print("\n".join(different) or f"the same prompts and scores in {len(before)} x 4 runs")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
