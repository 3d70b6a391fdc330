"""Train the demonstration model from scratch: `python -m training.make` (see `make demo-model`).

Draw images, train the tokenizer (unless `training/tokenizer.json` exists, as in the repository),
train the stages with checkpoints, export and quantise, measure every skill through llama.cpp, and
write the model card. Stages with a checkpoint are skipped, so an interrupted run resumes; `--scale`
multiplies the minutes of every stage (defaults: those of the model in the package, on two cores).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MINUTES = {"V": 12.0, "T": 12.0, "J": 36.0, "F": 9.0, "M": 62.0, "P": 19.0}


def run(module: str, *arguments: object, log: Path | None = None, append: bool = False) -> None:
    """Run one step in its own process and copy its output to `log`, at its end if `append`; a
    failure ends everything."""
    command = [sys.executable, "-u", "-m", f"training.{module}", *map(str, arguments)]
    print("+", " ".join(command[2:]), flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    mode = "a" if append else "w"
    with (log or Path(os.devnull)).open(mode, encoding="utf-8") as copy, subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        for line in process.stdout or ():
            print(line, end="", flush=True)
            copy.write(line)
            copy.flush()
    if process.returncode:
        raise SystemExit(f"training.{module} failed ({process.returncode}); run again to resume")


def once(result: Path, module: str, *arguments: object) -> None:
    """Run a step unless its result exists. The result is renamed to its name when complete."""
    if result.exists():
        print(f"  {result.name}: there already", flush=True)
        return
    partial = result.with_name(f"partial-{result.name}")
    run(module, *arguments, "--out", partial, log=result.with_suffix(".log"))
    partial.replace(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "training" / "out")
    parser.add_argument("--model", type=Path, default=ROOT / "idealprompt_cli" / "models" / "demo")
    parser.add_argument("--pictures", type=int, default=120000)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    work, minutes = options.work, {k: v * options.scale for k, v in MINUTES.items()}
    work.mkdir(parents=True, exist_ok=True)
    train, valid = work / "train.npz", work / "valid.npz"
    vision, text, joint, finished, matched, polished = (
        work / f"{name}.pt"
        for name in ("vision", "text", "joint", "finished", "matched", "polished")
    )
    words = ROOT / "training" / "tokenizer.json"
    once(train, "render", "--count", options.pictures, "--seed", 21, "--workers", os.cpu_count())
    once(valid, "render", "--count", 3000, "--seed", 901, "--workers", os.cpu_count())
    once(words, "tokens")
    once(vision, "train_vision", "--data", train, "--valid", valid, "--minutes", minutes["V"])
    once(text, "train_text", "T", "--tokenizer", words, "--minutes", minutes["T"], "--seed", 3)
    once(
        joint, "train_text", "J", "--tokenizer", words, "--start", text, "--vision", vision,
        "--data", train, "--valid", valid, "--minutes", minutes["J"], "--lr", 0.006,
        "--align", 400, "--seed", 4,
    )  # fmt: skip
    once(
        finished, "train_text", "J", "--tokenizer", words, "--start", joint, "--data", train,
        "--valid", valid, "--minutes", minutes["F"], "--align", 0, "--pictures", 56,
        "--lr", 0.003, "--lr-rest", 0.0005, "--seed", 9,
    )  # fmt: skip
    once(
        matched, "train_text", "J", "--tokenizer", words, "--start", finished, "--data", train,
        "--valid", valid, "--minutes", minutes["M"], "--align", 0, "--pictures", 40,
        "--rows", 11, "--texts", 3, "--pairs", 0.4, "--lr", 0.005, "--lr-rest", 0.0008,
        "--every", 800, "--seed", 31,
    )  # fmt: skip
    once(
        polished, "train_text", "J", "--tokenizer", words, "--start", matched, "--data", train,
        "--valid", valid, "--minutes", minutes["P"], "--align", 0, "--pictures", 48,
        "--rows", 11, "--texts", 3, "--pairs", 0.5, "--side", 2, "--lr", 0.004,
        "--lr-rest", 0.0006, "--seed", 32,
    )  # fmt: skip
    run("export", "--checkpoint", polished, "--tokenizer", words, "--out", options.model)
    run("verify", "--checkpoint", polished, "--tokenizer", words, "--model", options.model)
    run("measure", "--model", options.model, "--out", options.model / "skills.json")
    run("curves", "--logs", work, "--out", options.model / "curves.png")
    run("card", "--skills", options.model / "skills.json", "--out", options.model / "README.md")


if __name__ == "__main__":
    main()
