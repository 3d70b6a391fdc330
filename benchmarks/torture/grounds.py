"""A folder of valid inputs that the campaign damages: tasks, artifact, run, priors, models."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

import idealprompt_cli

from .command import run

DEMO = Path(idealprompt_cli.__file__).parent / "models" / "demo"
SCRIPT = {
    "name": "pretend",
    "n_ctx": 300,
    "rules": [
        {
            "image": "A/",
            "text": "A striped cup.",
            "scores": {"striped": -0.1, "A": -1.0, "B": -1.1},
        },
        {"image": "B/", "text": "A dotted cup.", "scores": {"dotted": -0.1, "A": -1.0, "B": -1.1}},
        {"image": "A/", "when": "A: ", "add": {"A": 1.5}},
        {"image": "B/", "when": "B: ", "add": {"B": 1.5}},
    ],
    "default": {"text": "A cup.", "score": -6},
}
COLOURS = {"A": (200, 30, 30), "B": (30, 30, 200)}


@dataclass(frozen=True)
class Grounds:
    """Valid files by role, all below `root`."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """Caches and priors of the campaign's own, so that the user's are not touched."""
        return {
            "IDEALPROMPT_CACHE": str(self.root / "cache"),
            "IDEALPROMPT_ANSWERS": str(self.root / "answers.sqlite"),
            "IDEALPROMPT_PRIORS": str(self.root / "priors.json"),
            "IDEALPROMPT_TUNE": "off",
            "OMP_NUM_THREADS": "1",
            "HOME": str(self.root / "home"),
        }


def make(root: Path) -> Grounds:
    """Write everything below `root`, and run one search for an artifact and a journal."""
    grounds = Grounds(root)
    (root / "home").mkdir(parents=True)
    _task(root / "folders")
    _table(root / "table")
    (root / "script.yaml").write_text(yaml.safe_dump(SCRIPT))
    (root / "foreign.txt").write_text("a file of somebody else\n")
    with contextlib.closing(sqlite3.connect(root / "foreign.sqlite")) as base, base:
        base.execute("CREATE TABLE mine (x)")
    for name in ("model.gguf", "mmproj.gguf"):
        shutil.copyfile(DEMO / name, root / name)
    (root / "template.jinja").write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    words = ["search", "folders", "-m", "script.yaml", "--budget", "200", "--run-dir", "run"]
    done = run([*words, "-o", "prompt.yaml", "-q"], root, grounds.environment)
    words = ["predict", "prompt.yaml", "folders/A/0.png", "-m", "model.gguf", "--mmproj"]
    seen = run([*words, "mmproj.gguf", "-q"], root, grounds.environment, seconds=300)
    if done.code or seen.code:
        raise SystemExit(f"a valid command failed: {done.stderr}{seen.stderr}")
    return grounds


def copied(grounds: Grounds, root: Path) -> Grounds:
    """A copy of the grounds; the models, which are large, are links."""
    models = ("model.gguf", "mmproj.gguf")
    shutil.copytree(grounds.root, root, symlinks=True, ignore=shutil.ignore_patterns(*models))
    for name in models:
        (root / name).symlink_to(grounds.root / name)
    return Grounds(root)


def memory_folder() -> str | None:
    """A folder in memory, where there is one: syncing to a disk takes most of a short run."""
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


def _task(folder: Path, per_label: int = 8) -> None:
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(per_label):
            shade = tuple(min(255, part + 3 * number) for part in colour)
            Image.new("RGB", (32, 32), shade).save(folder / label / f"{number}.png")
    (folder / "task.yaml").write_text(
        'question: "Is it A or B?"\nlabels: [A, B]\nmetric: accuracy\n'
    )


def _table(folder: Path, per_label: int = 8) -> None:
    rows = ["file_name,label,split,title"]
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(per_label):
            shade = tuple(min(255, part + 5 * number) for part in colour)
            Image.new("RGB", (32, 32), shade).save(folder / label / f"{number}.jpg")
            split = "test" if number % 3 == 0 else "train"
            rows.append(f"{label}/{number}.jpg,{label},{split},cup {number}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    (folder / "task.yaml").write_text('question: "Is it A or B?"\nlabels: [A, B]\n')
