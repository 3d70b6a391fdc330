"""Makes the mmproj for SmolLM2 from nothing: `python -m training.smollm2.make --data DIR`.

Stage A, stage B, export, verification, measuring, curves and card. Every stage resumes from its
checkpoint in the work folder: an interrupted run restarts with the same command. `--scale`
multiplies the minutes of both stages; a GPU is used where PyTorch finds one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from training.smollm2.data import all_photos, data_hash

ROOT = Path(__file__).resolve().parent.parent.parent
MINUTES = {"A": 36.0, "B": 45.0}
SEEDS = {"A": 1, "B": 2}


def run(module: str, *arguments: object, log: Path | None = None) -> None:
    """One step in a process of its own; its output also goes to the end of `log`."""
    command = [sys.executable, "-u", "-m", f"training.smollm2.{module}", *map(str, arguments)]
    print("+", " ".join(command[2:]), flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (log or Path(os.devnull)).open("a", encoding="utf-8") as copy, subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            print(line, end="", flush=True)
            copy.write(line)
            copy.flush()
    if process.returncode:
        raise SystemExit(f"training.smollm2.{module} failed; run the same command to resume")


def record(path: Path, data: Path, minutes: dict[str, float]) -> None:
    """What the model was made from: seeds, minutes, counts and the hash of every picture."""
    photos = all_photos(data)
    counts: dict[str, int] = {}
    for photo in photos:
        key = f"{photo.domain} {photo.split}"
        counts[key] = counts.get(key, 0) + 1
    made = {"seeds": SEEDS, "minutes": minutes, "pictures": counts}
    made["data_sha256"] = data_hash(photos)
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, default=ROOT / "training" / "out" / "smollm2")
    parser.add_argument(
        "--model", type=Path, default=ROOT / "idealprompt_cli" / "models" / "smollm2"
    )
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    work, model, data = options.work.resolve(), options.model.resolve(), options.data.resolve()
    minutes = {k: v * options.scale for k, v in MINUTES.items()}
    for folder in (work, model):
        folder.mkdir(parents=True, exist_ok=True)
    a, b, mmproj = work / "stage_a.pt", work / "stage_b.pt", model / "mmproj.gguf"
    run("stage_a", "--data", data, "--out", a, "--minutes", minutes["A"], "--seed", SEEDS["A"],
        log=work / "stage_a.log")  # fmt: skip
    run("stage_b", "--data", data, "--start", a, "--out", b, "--minutes", minutes["B"],
        "--seed", SEEDS["B"], log=work / "stage_b.log")  # fmt: skip
    record(work / "made.json", data, minutes)
    run("export", "--checkpoint", b, "--out", mmproj)
    run("verify", "--checkpoint", b, "--mmproj", mmproj, "--data", data)
    run("measure", "--checkpoint", b, "--mmproj", mmproj, "--data", data,
        "--made", work / "made.json",
        "--choices", work / "choices.json", "--out", model / "skills.json")  # fmt: skip
    run("curves", "--logs", work, "--out", model / "curves.png")
    run("card", "--skills", model / "skills.json", "--out", model / "README.md")


if __name__ == "__main__":
    main()
