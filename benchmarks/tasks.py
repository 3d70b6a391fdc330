"""Tasks beside the samples, in two sets that share no rule, label or picture.

    python -m benchmarks.tasks --out DIR --set held
    python -m benchmarks.tasks --out DIR --set priors

"priors" is what the starting priors are learned on and what the search may be tuned on. "held" is
for measuring only: nothing is tuned on it, and a change of it must not follow from its scores.
They are harder than the samples: several values per label, rules over two attributes, exceptions,
counts, pairs, two to six labels, labels of several words, labels that mislead, wordy questions. The
same seed draws the same pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from training.sample_tasks import Recipe, write_task
from training.scene import Scene

Rule = Callable[[Scene], str | None]
TEST = 60


def grouped(attribute: str, groups: Mapping[str, tuple[Any, ...]]) -> Rule:
    """A label per group of values of an attribute, of the scene or of its first item."""
    label_of = {value: label for label, values in groups.items() for value in values}

    def rule(scene: Scene) -> str | None:
        holder = scene if hasattr(scene, attribute) else scene.items[0]
        return label_of.get(getattr(holder, attribute))

    return rule


def recipe(
    name: str, question: str, labels: tuple[str, ...], rule: Rule, *,
    train: int, form: str = "csv", layout: str = "single",
) -> Recipe:  # fmt: skip
    """A task whose pictures all have one layout ("any" for whatever comes)."""
    fixed: dict[str, Any] = {} if layout == "any" else {"layout": layout}

    def pins(label: str, rng: Random) -> dict[str, Any]:
        del label, rng
        return dict(fixed)

    return Recipe(name, "Benchmark", question, labels, rule, pins, train, TEST, form)


# --- held apart -----------------------------------------------------------------------------------


def _returns(scene: Scene) -> str:
    if scene.condition == "intact":
        return "back to the shelf"
    return "return to maker" if scene.items[0].pattern == "plain" else "sell as seconds"


def _desk(scene: Scene) -> str:
    if scene.mark == "watermarked":
        return "V2"
    return "V1" if scene.photo == "sharp" else "V3"


def _wall(scene: Scene) -> str:
    dark = scene.items[0].colour in ("black", "blue", "purple", "green")
    return "MURAL" if dark == (scene.surface in ("dark", "wooden")) else "PLINTH"


HELD = (
    recipe(
        "ledger_class",
        "Kindly state for our ledger whether this article belongs to N-11, N-12 or N-13.",
        ("N-11", "N-12", "N-13"),
        grouped("colour", {
            "N-11": ("red", "orange", "yellow", "pink"), "N-12": ("green", "blue", "purple"),
            "N-13": ("black", "white"),
        }), train=24,
    ),
    recipe(
        "six_crates", "Crate?", ("CR1", "CR2", "CR3", "CR4", "CR5", "CR6"),
        grouped("kind", {
            "CR1": ("mug", "plate"), "CR2": ("bottle",), "CR3": ("shirt", "hat"),
            "CR4": ("shoe", "bag"), "CR5": ("lamp",), "CR6": ("hammer", "gear"),
        }), train=36, form="folders",
    ),
    recipe(
        "returns_desk", "What shall the returns desk do with it?",
        ("back to the shelf", "return to maker", "sell as seconds"), _returns, train=24,
        form="jsonl",
    ),
    recipe(
        "red_or_blue", "Is it red or is it blue?", ("red", "blue"),
        grouped("size", {"red": ("large",), "blue": ("small",)}), train=16,
    ),
    recipe(
        "tally", "Which lot is this: L1, L2 or L3?", ("L1", "L2", "L3"),
        grouped("count", {"L1": (2,), "L2": (3,), "L3": (1,)}), train=24, layout="any",
        form="folders",
    ),
    recipe(
        "port_side", "Port or starboard?", ("port", "starboard"),
        grouped("kind", {
            "port": ("shirt", "hat", "shoe", "bag"),
            "starboard": ("mug", "bottle", "plate", "lamp", "hammer", "gear"),
        }), train=20, layout="pair", form="jsonl",
    ),
    recipe(
        "twin_check", "TW or XX?", ("TW", "XX"),
        lambda s: "TW" if s.items[0].kind == s.items[1].kind else "XX", train=24, layout="pair",
    ),
    recipe(
        "pass_fail", "According to the rules of the house, does the article PASS or FAIL?",
        ("PASS", "FAIL"),
        grouped("pattern", {"PASS": ("plain", "checked"), "FAIL": ("striped", "dotted")}), train=16,
        form="folders",
    ),
    recipe("photo_desk", "V1, V2 or V3?", ("V1", "V2", "V3"), _desk, train=30, layout="any"),
    recipe(
        "timber_note", "Write the timber note: Ash, Birch, Oak or Lime.",
        ("Ash", "Birch", "Oak", "Lime"),
        grouped("surface", {
            "Ash": ("tiled",), "Birch": ("dark",), "Oak": ("light",), "Lime": ("wooden",),
        }), train=28, layout="any", form="jsonl",
    ),
    recipe("mural", "MURAL or PLINTH?", ("MURAL", "PLINTH"), _wall, train=24, form="folders"),
)  # fmt: skip

# --- for learning and tuning ----------------------------------------------------------------------


def _wear(scene: Scene) -> str:
    if scene.surface not in ("light", "tiled"):
        return "Y3"
    return "Y1" if scene.condition == "intact" else "Y2"


def _retake(scene: Scene) -> str:
    if scene.photo == "dim":
        return "take it again"
    return "cut the corner" if scene.mark == "watermarked" else "use it as it is"


def _both(scene: Scene) -> str:
    item = scene.items[0]
    return "G+" if item.size == "large" and item.pattern == "plain" else "G-"


PRIORS = (
    recipe(
        "shelves", "Which of the shelves W3, W6 or W9 is this for?", ("W3", "W6", "W9"),
        grouped("kind", {
            "W3": ("mug", "bag", "gear"), "W6": ("plate", "shoe", "lamp"),
            "W9": ("bottle", "shirt", "hat", "hammer"),
        }), train=30,
    ),
    recipe(
        "dye_vat", "D7 or D8, please?", ("D7", "D8"),
        grouped("colour", {
            "D7": ("red", "green", "white", "purple"),
            "D8": ("orange", "yellow", "blue", "pink", "black"),
        }), train=20, form="folders",
    ),
    recipe("wear_and_tear", "Y1, Y2, Y3: which one is right?", ("Y1", "Y2", "Y3"), _wear, train=24,
           form="jsonl"),
    recipe(
        "hat_size", "Tell me its cap: Z0, Z1 or Z2.", ("Z0", "Z1", "Z2"),
        grouped("size", {"Z0": ("large",), "Z1": ("small",), "Z2": ("medium",)}), train=24,
    ),
    recipe(
        "freight", "Does the freight office take it as E or as F?", ("E", "F"),
        grouped("count", {"E": (1,), "F": (2, 3)}), train=16, layout="any", form="folders",
    ),
    recipe(
        "right_hand", "Now then, J or K?", ("J", "K"),
        lambda s: "J" if s.items[1].pattern == "plain" else "K", train=20, layout="pair",
        form="jsonl",
    ),
    recipe(
        "kin", "AA or AB?", ("AA", "AB"),
        lambda s: "AA" if s.items[0].pattern == s.items[1].pattern else "AB", train=24,
        layout="pair",
    ),
    recipe(
        "routes", "Which route does the parcel with this article take?",
        ("north gate", "south gate", "river gate", "hill gate"),
        grouped("pattern", {
            "north gate": ("checked",), "south gate": ("plain",), "river gate": ("dotted",),
            "hill gate": ("striped",),
        }), train=28, form="folders",
    ),
    recipe(
        "spotless", "Is it spotless or soiled?", ("spotless", "soiled"),
        grouped("condition", {"spotless": ("stained",), "soiled": ("intact", "scratched")}),
        train=16, form="jsonl",
    ),
    recipe(
        "retake", "What is to be done with this picture?",
        ("use it as it is", "take it again", "cut the corner"), _retake, train=24, layout="any",
    ),
    recipe("g_sign", "G+ or G-?", ("G+", "G-"), _both, train=24, form="folders"),
    recipe(
        "five_dyes", "Code Q1, Q2, Q3, Q4 or Q5?", ("Q1", "Q2", "Q3", "Q4", "Q5"),
        grouped("colour", {
            "Q1": ("red", "black"), "Q2": ("yellow", "purple"), "Q3": ("green", "pink"),
            "Q4": ("blue",), "Q5": ("white", "orange"),
        }), train=30,
    ),
)  # fmt: skip

SETS: dict[str, tuple[Recipe, ...]] = {"held": HELD, "priors": PRIORS}
SEEDS = {"held": 77_001, "priors": 12_001}


def draw(name: str, out: Path, seed: int | None = None) -> list[Path]:
    """Draws a set's task folders into `out`, those that are there already left alone."""
    folders = [out / one.name for one in SETS[name]]
    for one, folder in zip(SETS[name], folders, strict=True):
        if folder.exists():
            continue
        # Drawn elsewhere and moved into place whole: two processes may draw at a time.
        with tempfile.TemporaryDirectory(dir=_made(out)) as place:
            write_task(one, Path(place), SEEDS[name] if seed is None else seed)
            with contextlib.suppress(OSError):
                (Path(place) / one.name).rename(folder)
    return folders


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--seed", type=int, help="of the pictures; default: the set's own")
    options = parser.parse_args()
    for folder in draw(options.set, options.out, options.seed):
        print(folder)


if __name__ == "__main__":
    main()
