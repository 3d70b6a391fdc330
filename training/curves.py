"""Draw the learning curves of the model card from the training logs (needs matplotlib)."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

TITLES = {
    "vision": "V: the vision trunk alone",
    "text": "T: text on pseudo-pictures",
    "joint": "J: both halves on pictures",
    "matched": "M: comparisons, phrasings, text jobs",
    "polished": "P: more of M",
}
NEW = (
    "attribute", "description", "which_side", "same", "definition", "text_difference",
    "text_separate", "text_lookup",
)  # fmt: skip
SHOWN = {
    "vision": ("kind", "colour", "pattern", "condition", "kind2", "pattern2"),
    "text": ("attribute", "description", "yes_no", "choice_letter", "definition", "checklist"),
    "joint": (
        "attribute",
        "description",
        "yes_no",
        "choice_letter",
        "definition",
        "definition_pair",
    ),
    "matched": NEW,
    "polished": NEW,
}
NUMBER = r"([0-9.]+)"


def read(log: Path) -> dict[str, list[tuple[float, float]]]:
    """Name -> (minutes, share right) of every report in a log; also `loss`."""
    curves: dict[str, list[tuple[float, float]]] = {}
    minutes = 0.0
    for line in log.read_text(encoding="utf-8").splitlines():
        passed = re.match(NUMBER + " min", line)
        if passed:
            minutes = float(passed[1])
        for name, value in re.findall(r"\b(\w+)=" + NUMBER, line):
            curves.setdefault(name, []).append((minutes, float(value)))
    return curves


def panel(axes: Axes, stage: str, curves: dict[str, list[tuple[float, float]]]) -> None:
    for name in SHOWN[stage]:
        if curves.get(name):
            axes.plot(*zip(*curves[name], strict=True), label=name.replace("_", " "), linewidth=1.5)
    axes.set_title(TITLES[stage], fontsize=10)
    axes.set_xlabel("minutes")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, required=True, help="folder with vision.log ...")
    parser.add_argument("--out", type=Path, required=True, help="PNG file")
    options = parser.parse_args()
    figure, panels = pyplot.subplots(1, len(TITLES), figsize=(4 * len(TITLES), 3.6), sharey=True)
    for axes, stage in zip(panels, TITLES, strict=True):
        panel(axes, stage, read(options.logs / f"{stage}.log"))
    panels[0].set_ylabel("share right on new scenes")
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)


if __name__ == "__main__":
    main()
