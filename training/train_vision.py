"""Runs stage V (see vision.py) with checkpoints: `python -m training.train_vision --minutes 30`."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch

from training.model import VisionConfig, VisionModel
from training.muon import split_optimisers
from training.vision import Pictures, SlotHeads, augment, slot_accuracy, slot_loss, to_tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data, valid = Pictures(options.data), Pictures([options.valid])
    trunk = VisionModel(VisionConfig())
    heads = SlotHeads(trunk.c.width)
    run = torch.compile(trunk)
    optimisers = split_optimisers([trunk, heads], options.lr, 2e-3)
    base = [[g["lr"] for g in o.param_groups] for o in optimisers]
    rng = np.random.default_rng(options.seed)
    noise = torch.Generator().manual_seed(options.seed)
    start, step, shown = time.time(), 0, 0.0
    while (passed := (time.time() - start) / 60) < options.minutes:
        frac = passed / options.minutes
        rate = min(1.0, (step + 1) / 100) * min(1.0, (1 - frac) / 0.5 + 0.02)
        for o, rates in zip(optimisers, base, strict=True):
            for g, r in zip(o.param_groups, rates, strict=True):
                g["lr"] = r * rate
        rows = rng.integers(0, len(data), options.batch)
        x = augment(to_tensor(data.pixels[rows]), noise)
        with torch.autocast("cpu", torch.bfloat16):
            logits = heads(run(x))
        loss = slot_loss(logits, torch.from_numpy(data.classes[rows]))
        for o in optimisers:
            o.zero_grad(set_to_none=True)
        loss.backward()
        for o in optimisers:
            o.step()
        step += 1
        if step % 50 == 0:
            shown = loss.item() if not shown or math.isnan(shown) else 0.8 * shown + 0.2 * loss.item()
        if step % 500 == 0:
            seen = step * options.batch
            scores = slot_accuracy(trunk, heads, valid)
            line = " ".join(f"{k}={v:.3f}" for k, v in scores.items())
            print(f"{passed:.1f} min, {seen} pictures, loss {shown:.3f}: {line}", flush=True)
            torch.save({"trunk": trunk.state_dict(), "heads": heads.state_dict()}, options.out)
    torch.save({"trunk": trunk.state_dict(), "heads": heads.state_dict()}, options.out)


if __name__ == "__main__":
    main()
