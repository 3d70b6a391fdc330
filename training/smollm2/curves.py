"""Draws the learning curves of the model card from the stages' logs (needs matplotlib).

The horizontal axis counts pictures, not minutes: on shared cores a minute is no measure of work.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

FACTS = ("category", "usage", "audience", "item", "color", "textiles", "solar")
ANSWERS = tuple(
    f"ask_{k}"
    for k in ("plain", "choice", "yes_no", "code", "description", "textiles", "solar")
)  # fmt: skip
PANELS = (
    ("stage_a", "A: nearest words, token embeddings only", FACTS),
    ("stage_b", "B: nearest words, through the language model", FACTS),
    ("stage_b", "B: whole answers of the language model", ANSWERS),
)
REPORT = re.compile(r"min, (\d+) steps of (\d+)")
Curve = list[tuple[int, float]]


def read(log: Path) -> dict[str, Curve]:
    """Name -> (pictures seen, share right) of every report in a log."""
    curves: dict[str, Curve] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        if found := REPORT.search(line):
            pictures = int(found[1]) * int(found[2])
            for name, value in re.findall(r"\b(\w+)=([0-9.]+)", line):
                curves.setdefault(name, []).append((pictures, float(value)))
    return curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, required=True, help="folder of stage_a.log, ...")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    options = parser.parse_args()
    shown = [p for p in PANELS if (options.logs / f"{p[0]}.log").exists()]
    size = (1.5 + 4.5 * len(shown), 3.8)
    figure, grid = pyplot.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False)
    for axes, (stage, title, names) in zip(grid[0], shown, strict=True):
        curves = read(options.logs / f"{stage}.log")
        for name in names:
            if curves.get(name):
                label = name.removeprefix("ask_").replace("_", " ")
                axes.plot(*zip(*curves[name], strict=True), label=label, linewidth=1.5)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("pictures seen")
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    grid[0][0].set_ylabel("share right, held-back train pictures")
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
