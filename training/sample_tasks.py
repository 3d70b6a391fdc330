"""Draw the seven sample tasks: `python -m training.sample_tasks --out sample_tasks`.

Each task has private labels that no model can know: a rule over the content of an image. The rules
are here and under `benchmarks/`, never in a task folder; the model is trained without them. The
same seed draws the same images.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from training.draw import draw
from training.scene import KINDS, Scene, sample_scene

SIZE = 160
WEAR = ("shirt", "hat", "shoe", "bag")
TABLEWARE = ("mug", "bottle", "plate")
TOOLS = ("hammer", "gear")
LIGHTING = ("lamp",)


@dataclass(frozen=True)
class Recipe:
    """One task: its texts, the rule that labels a scene, and what to draw for each label."""

    name: str
    group: str
    question: str
    labels: tuple[str, ...]
    rule: Callable[[Scene], str | None]
    pins: Callable[[str, Random], dict[str, Any]]
    train: int
    test: int
    form: str  # "folders", "csv" or "jsonl"


def _grade(scene: Scene) -> str:
    if scene.condition != "intact":
        return "C"
    return "A" if scene.photo == "sharp" else "B"


def _grade_pins(label: str, rng: Random) -> dict[str, Any]:
    if label == "C":
        return {"layout": "single", "condition": rng.choice(("scratched", "stained"))}
    photo = "sharp" if label == "A" else rng.choice(("blurred", "dim"))
    return {"layout": "single", "condition": "intact", "photo": photo}


def _category(scene: Scene) -> str:
    kind = scene.items[0].kind
    codes = (("H3", LIGHTING), ("K7", TABLEWARE), ("M2", WEAR), ("T5", TOOLS))
    return next(code for code, kinds in codes if kind in kinds)


def _category_pins(label: str, rng: Random) -> dict[str, Any]:
    kinds = {"H3": LIGHTING, "K7": TABLEWARE, "M2": WEAR, "T5": TOOLS}[label]
    return {"layout": "single", "kind": rng.choice(kinds)}


def _style(scene: Scene) -> str:
    return {"plain": "S1", "striped": "S2"}.get(scene.items[0].pattern, "S3")


def _style_pins(label: str, rng: Random) -> dict[str, Any]:
    pattern = {"S1": ("plain",), "S2": ("striped",), "S3": ("dotted", "checked")}[label]
    return {"layout": "single", "kind": rng.choice(WEAR), "pattern": rng.choice(pattern)}


def _by(attribute: str, codes: dict[str, str]) -> dict[str, Any]:
    """Rule and pins of a task whose label is the value of one scene attribute."""
    values = {label: value for value, label in codes.items()}
    return {
        "rule": lambda scene: codes[getattr(scene, attribute)],
        "pins": lambda label, rng: {attribute: values[label]},
    }


RECIPES = (
    Recipe(
        "photo_quality", "Image", "Rate this photo: A1, B4 or C2?", ("A1", "B4", "C2"),
        **_by("photo", {"sharp": "A1", "blurred": "B4", "dim": "C2"}),
        train=24, test=72, form="folders",
    ),
    Recipe(
        "watermark", "Image", "Shall we HOLD or POST this picture?", ("HOLD", "POST"),
        **_by("mark", {"watermarked": "HOLD", "clean": "POST"}), train=16, test=60, form="csv",
    ),
    Recipe(
        "category_code", "Commodity", "Which category code is it, H3, K7, M2 or T5?",
        ("H3", "K7", "M2", "T5"), _category, _category_pins, train=32, test=80, form="csv",
    ),
    Recipe(
        "defect_routing", "Commodity", "Where does this go: D0, D4 or D9?", ("D0", "D4", "D9"),
        **_by("condition", {"intact": "D0", "scratched": "D4", "stained": "D9"}),
        train=24, test=72, form="folders",
    ),
    Recipe(
        "grade", "Commodity", "Grade the goods with A, B or C.", ("A", "B", "C"),
        _grade, _grade_pins, train=24, test=72, form="jsonl",
    ),
    Recipe(
        "matching_pair", "Outfit", "Do these belong together? Say P1 or P0.", ("P0", "P1"),
        lambda s: "P1" if s.items[0].colour == s.items[1].colour else "P0",
        lambda label, rng: {"layout": "pair"}, train=24, test=60, form="csv",
    ),
    Recipe(
        "style_code", "Outfit", "Style code (S1, S2 or S3)?", ("S1", "S2", "S3"),
        _style, _style_pins, train=24, test=72, form="jsonl",
    ),
)  # fmt: skip


def scenes_for(recipe: Recipe, rng: Random, count: int) -> list[tuple[Scene, str]]:
    """`count` scenes with labels as even as can be, drawn until the rule agrees."""
    found: list[tuple[Scene, str]] = []
    for i in range(count):
        label = recipe.labels[i % len(recipe.labels)]
        while True:
            scene = sample_scene(rng, **recipe.pins(label, rng))
            if recipe.rule(scene) == label:
                break
        found.append((scene, label))
    return found


def write_task(recipe: Recipe, root: Path, seed: int) -> None:
    """Draw one task folder and replace an old one."""
    folder = root / recipe.name
    if folder.exists():
        shutil.rmtree(folder)
    rng = Random(f"{recipe.name}:{seed}")
    rows: list[dict[str, str]] = []
    for split, count in (("train", recipe.train), ("test", recipe.test)):
        for i, (scene, label) in enumerate(scenes_for(recipe, rng, count)):
            place = f"{split}/{label}" if recipe.form == "folders" else f"images/{split}"
            name = f"{place}/{i:03d}.jpg"
            (folder / place).mkdir(parents=True, exist_ok=True)
            picture = draw(scene, rng, SIZE)
            picture.save(folder / name, quality=88, optimize=True)
            rows.append({"file_name": name, "label": label, "split": split})
    _write_table(recipe.form, folder, rows)
    labels = ", ".join(recipe.labels)
    (folder / "task.yaml").write_text(
        f"# Sample task, group {recipe.group}. Pictures are drawn, not photographed.\n"
        f"name: {recipe.name}\n"
        f"question: {json.dumps(recipe.question)}\n"
        f"labels: [{labels}]\n"
        "metric: accuracy\n",
        encoding="utf-8",
    )


def _write_table(form: str, folder: Path, rows: list[dict[str, str]]) -> None:
    if form == "csv":
        with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ("file_name", "label", "split"), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    elif form == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    assert {*WEAR, *TABLEWARE, *TOOLS, *LIGHTING} == set(KINDS)
    for recipe in RECIPES:
        write_task(recipe, options.out, options.seed)
        print(f"{options.out / recipe.name}: {recipe.train} + {recipe.test} pictures")


if __name__ == "__main__":
    main()
