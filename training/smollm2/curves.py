"""Draws the learning curves of the model card from the logs of both stages (needs matplotlib)."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from training.curves import read

PANELS = (
    ("stage_a", "A: nearest words, token embeddings only",
     ("item", "color", "audience", "usage", "category", "textiles", "solar")),
    ("stage_b", "B: nearest words, through the language model",
     ("item", "color", "audience", "usage", "category", "textiles", "solar")),
    ("stage_b", "B: whole answers of the language model",
     ("ask_plain", "ask_choice", "ask_yes_no", "ask_code", "ask_description", "ask_textiles",
      "ask_solar")),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, required=True, help="folder of stage_a.log, ...")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    options = parser.parse_args()
    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(13, 3.8), sharey=True)
    for axes, (stage, title, names) in zip(panels, PANELS, strict=True):
        curves = read(options.logs / f"{stage}.log")
        for name in names:
            if curves.get(name):
                label = name.removeprefix("ask_").replace("_", " ")
                axes.plot(*zip(*curves[name], strict=True), label=label, linewidth=1.5)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("minutes")
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    panels[0].set_ylabel("share right on held-back train pictures")
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
