"""Makes the mmproj for SmolLM2 from nothing: `python -m training.smollm2.make --data DIR`.

Stage A, stage B, export, verification, measuring, curves and card. Every stage resumes from its
checkpoint in the work folder: an interrupted run restarts with the same command. `--scale`
multiplies the minutes of both stages; a GPU is used where PyTorch finds one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from training.make import ROOT, run
from training.smollm2.data import all_photos, data_hash

MINUTES = {"A": 36.0, "B": 45.0}
SEEDS = {"A": 1, "B": 2}


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
    run(
        "smollm2.stage_a", "--data", data, "--out", a, "--minutes", minutes["A"],
        "--seed", SEEDS["A"], log=work / "stage_a.log", append=True,
    )  # fmt: skip
    run(
        "smollm2.stage_b", "--data", data, "--start", a, "--out", b, "--minutes", minutes["B"],
        "--seed", SEEDS["B"], log=work / "stage_b.log", append=True,
    )  # fmt: skip
    record(work / "made.json", data, minutes)
    run("smollm2.export", "--checkpoint", b, "--out", mmproj)
    run("smollm2.verify", "--checkpoint", b, "--mmproj", mmproj, "--data", data)
    run(
        "smollm2.measure", "--checkpoint", b, "--mmproj", mmproj, "--data", data,
        "--made", work / "made.json", "--choices", work / "choices.json",
        "--out", model / "skills.json",
    )  # fmt: skip
    run("smollm2.curves", "--logs", work, "--out", model / "curves.png")
    run("smollm2.card", "--skills", model / "skills.json", "--out", model / "README.md")


if __name__ == "__main__":
    main()
