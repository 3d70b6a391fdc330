"""Linear probes: what a linear classifier finds in the mean of a picture's 64 output tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.device import autocast
from training.model import VisionModel
from training.smollm2.data import Photo, chosen, pixels
from training.smollm2.export import load_tower
from training.smollm2.tower import resized

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
LABELS = {
    "textiles": {"nominal": "nominal", "local": "local", "global": "global"},
    "solar": {"0": "accept", "1/3": "check", "2/3": "check", "1": "reject"},
}


@torch.no_grad()
def pooled(tower: VisionModel, photos: Sequence[Photo]) -> np.ndarray:
    """(N, width) mean projector outputs."""
    found = []
    for start in range(0, len(photos), 128):
        with autocast():
            out = tower.project(tower(resized(pixels(photos[start : start + 128]))))
        found.append(out.float().mean(1))
    return np.asarray(torch.cat(found).numpy())


def ridge(x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """Weights (width + 1, classes) of regularised least squares on one-hot targets."""
    x = np.concatenate((x, np.ones((len(x), 1))), 1)
    penalty = strength * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y))


def applied(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.asarray((np.concatenate((x, np.ones((len(x), 1))), 1) @ weights).argmax(1))


def probe(
    tower: VisionModel, photos: Sequence[Photo], domain: str, names: dict[str, str]
) -> dict[str, Any]:
    """Fitted on train, its strength chosen on valid, reported on bench."""
    values = sorted(set(names.values()))
    parts = {s: chosen(photos, domain, s) for s in ("train", "valid", "bench")}
    truth = {s: np.array([values.index(names[p.label]) for p in some]) for s, some in parts.items()}
    x = {s: pooled(tower, some) for s, some in parts.items()}
    mean, scale = x["train"].mean(0), x["train"].std(0) + 1e-6
    x = {s: (v - mean) / scale for s, v in x.items()}
    targets = np.eye(len(values))[truth["train"]]
    fits = [ridge(x["train"], targets, len(targets) * s) for s in STRENGTHS]
    best = max(fits, key=lambda w: float((applied(w, x["valid"]) == truth["valid"]).mean()))
    guess, right = applied(best, x["bench"]), truth["bench"]
    recalls = [float((guess[right == i] == i).mean()) for i in range(len(values))]
    return {
        "domain": domain,
        "n": len(right),
        "value": round(float((guess == right).mean()), 4),
        "majority": round(float(np.bincount(right).max() / len(right)), 4),
        "recall": {v: round(r, 4) for v, r in zip(values, recalls, strict=True)},
    }


def probes(checkpoint: Path, photos: Sequence[Photo]) -> list[dict[str, Any]]:
    tower = load_tower(checkpoint)
    return [probe(tower, photos, domain, names) for domain, names in LABELS.items()]
