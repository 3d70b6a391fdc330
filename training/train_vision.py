"""Runs stage V (see vision.py) with checkpoints: `python -m training.train_vision --minutes 30`."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from training.device import DEVICE, autocast
from training.model import VisionConfig, VisionModel
from training.muon import rates, schedule, split_optimisers, update
from training.scene import Scene
from training.vision import Pictures, SlotHeads, augment, slot_accuracy, slot_loss, to_tensor


def is_easy(scene: Scene) -> bool:
    """One big item and nothing in the way: shapes form on these first."""
    clear = scene.condition == "intact" and scene.photo == "sharp" and scene.mark == "clean"
    return clear and scene.layout == "single" and scene.items[0].size != "small"


def pick_rows(
    rng: np.random.Generator, total: int, easy: np.ndarray, share: float, batch: int
) -> np.ndarray:
    """Indices (batch,) of pictures, about `share` of them from the easy ones."""
    chosen = rng.random(batch) < share
    return np.where(chosen, rng.choice(easy, batch), rng.integers(0, total, batch))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.008)
    parser.add_argument("--start", type=Path, help="checkpoint to continue from")
    parser.add_argument("--easy", type=float, default=0.35, help="share of the time that fades")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data, valid = Pictures(options.data), Pictures([options.valid])
    trunk = VisionModel(VisionConfig()).to(DEVICE)
    heads = SlotHeads(trunk.c.width).to(DEVICE)
    trunk.whiten(to_tensor(data.pixels[:4000]))
    if options.start:
        state = torch.load(options.start, map_location=DEVICE)
        trunk.load_state_dict(state["trunk"])
        heads.load_state_dict(state["heads"])
    run = torch.compile(trunk)
    easy = np.flatnonzero([is_easy(s) for s in data.scenes])
    optimisers = split_optimisers([trunk, heads], options.lr, 1e-3)
    base = rates(optimisers)
    rng = np.random.default_rng(options.seed)
    noise = torch.Generator(DEVICE).manual_seed(options.seed)
    start, step, shown = time.time(), 0, 0.0
    while (passed := (time.time() - start) / 60) < options.minutes:
        frac = passed / options.minutes
        schedule(optimisers, base, step, frac, fall=0.5, floor=0.02)
        share = 0.9 * max(0.0, 1 - frac / options.easy) if options.easy else 0.0
        rows = pick_rows(rng, len(data), easy, share, options.batch)
        x = augment(to_tensor(data.pixels[rows]), noise)
        with autocast():
            states = run(x)
            logits, pooled = heads(states), heads.pooled(states)
        classes = torch.from_numpy(data.classes[rows]).to(DEVICE)
        loss = slot_loss(logits, classes) + slot_loss(pooled, classes)
        update(loss, optimisers)
        step += 1
        if step % 50 == 0:
            shown = (
                loss.item() if not shown or math.isnan(shown) else 0.8 * shown + 0.2 * loss.item()
            )
        if step % 500 == 0:
            seen = step * options.batch
            scores = slot_accuracy(trunk, heads, valid)
            line = " ".join(f"{k}={v:.3f}" for k, v in scores.items())
            print(f"{passed:.1f} min, {seen} pictures, loss {shown:.3f}: {line}", flush=True)
            torch.save({"trunk": trunk.state_dict(), "heads": heads.state_dict()}, options.out)
    torch.save({"trunk": trunk.state_dict(), "heads": heads.state_dict()}, options.out)


if __name__ == "__main__":
    main()
