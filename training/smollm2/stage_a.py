"""Stage A: the tower learns to write a picture as the token embeddings of its fact sheet.

`python -m training.smollm2.stage_a --data DIR --out FILE --minutes 40` saves a checkpoint every
few minutes and resumes from it. The language model is not run; only its embeddings are used.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.device import DEVICE, autocast
from training.model import VisionModel
from training.muon import rates, schedule, split_optimisers, update
from training.smollm2.data import all_photos
from training.smollm2.embedding_loss import PooledHeads, SlotLoss
from training.smollm2.feed import Batch, Feed, Part, load_parts
from training.smollm2.gguf_text import find_text_gguf, read_embeddings, read_tokenizer
from training.smollm2.keep import Average, load_state, print_report, save_state
from training.smollm2.slots import UNKNOWN, SlotText
from training.smollm2.tower import CONFIG, start_projector, states_with_drops

CROSS = 0.3
POOLED = 0.3
MIX_UNTIL = 0.75
SHOWN = {
    "products": ("item", "color", "shade", "audience", "usage", "category", "place"),
    "textiles": ("condition",),
    "solar": ("condition",),
}


def mixed(batch: Batch, rng: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Blend (mixup) or paste (CutMix) a shuffled copy of the products into themselves.

    Returns pixels, the order of the second copy and the weight of the first.
    """
    x, n = batch.pixels.clone(), batch.products
    order = torch.arange(len(x))
    order[:n] = torch.randperm(n, generator=rng)
    share = float(torch.rand(1, generator=rng))
    if float(torch.rand(1, generator=rng)) < 0.5:
        keep = 1 - 0.4 * share
        x[:n] = keep * x[:n] + (1 - keep) * batch.pixels[order[:n]]
        return x, order, keep
    side = x.shape[-1]
    size = int(side * (0.25 + 0.35 * share))
    top, left = torch.randint(0, side - size, (2,), generator=rng).tolist()
    box = (slice(None, n), slice(None), slice(top, top + size), slice(left, left + size))
    x[box] = batch.pixels[order][box]
    return x, order, 1 - (size / side) ** 2


@torch.no_grad()
def scores(tower: VisionModel, loss: SlotLoss, parts: Sequence[Part]) -> dict[str, float]:
    """Share of pictures whose nearest words spell the fact, over the known ones."""
    result = {}
    tower.eval()
    for part in parts:
        reads = []
        for start in range(0, len(part.photos), 256):
            with autocast():
                out = tower.project(tower(part.whole(start, start + 256).to(DEVICE)))
            reads.append(loss.read(out))
        read = torch.cat(reads)
        for fact in SHOWN[part.domain]:
            at = loss.text.first(fact)
            slots = [i for i in range(at, at + 3) if i < 64 and loss.text.slots[i].fact == fact]
            known = part.tokens[:, at] != UNKNOWN
            right = (read[:, slots] == part.tokens[:, slots]).all(1)
            name = fact if part.domain == "products" else part.domain
            result[name] = float(right[known].float().mean())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--lr", type=float, default=0.008)
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=2.0, help="minutes between reports")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    path = find_text_gguf()
    text, embeddings = SlotText(read_tokenizer(path)), read_embeddings(path)
    photos = all_photos(options.data)
    train, valid = load_parts(photos, "train", text), load_parts(photos, "valid", text)
    seen = [p for part in train for p in part.photos]
    tower = VisionModel(CONFIG)
    start_projector(tower, embeddings)
    tower.whiten(torch.cat([p.whole(0, 600) for p in train]))
    tower.to(DEVICE)
    heads = PooledHeads(CONFIG.width, seen).to(DEVICE)
    loss_of = SlotLoss(embeddings, torch.cat([p.tokens for p in train]), text).to(DEVICE)
    optimisers = split_optimisers([tower, heads], options.lr, 1e-3)
    peak, average = rates(optimisers), Average(tower, 0.998)
    modules = {"tower": tower, "heads": heads, "average": average.model}
    step, before = load_state(options.out, modules, optimisers)
    feed = Feed(train, options.batch, options.seed + step)
    mixer = torch.Generator().manual_seed(options.seed + step)
    start, shown, due = time.time(), 0.0, before + options.every
    while (passed := before + (time.time() - start) / 60) < options.minutes:
        frac = passed / options.minutes
        schedule(optimisers, peak, step, frac, fall=0.7, floor=0.01)
        batch = feed.next()
        pixels, order, keep = batch.pixels, torch.arange(len(batch.photos)), 1.0
        if frac < MIX_UNTIL and step % 2:
            pixels, order, keep = mixed(batch, mixer)
        tokens, classes = batch.tokens.to(DEVICE), heads.classes(batch.photos).to(DEVICE)
        with autocast():
            states = states_with_drops(tower, pixels.to(DEVICE), options.drop)
            out = tower.project(states)

        def total(
            rows: Tensor,
            out: Tensor = out,
            states: Tensor = states,
            tokens: Tensor = tokens,
            classes: Tensor = classes,
        ) -> Tensor:
            t, c = tokens[rows], classes[rows]
            slots = loss_of.squared(out, t) + CROSS * loss_of.crossed(out, t)
            return (slots + POOLED * heads.loss(states, c)).mean()  # fmt: skip

        loss = total(torch.arange(len(tokens)))
        if keep < 1:
            loss = keep * loss + (1 - keep) * total(order)
        update(loss, optimisers)
        average.update(tower)
        step += 1
        shown = 0.98 * shown + 0.02 * loss.item() if shown else loss.item()
        if passed >= due:
            due += options.every
            report = scores(average.model, loss_of, valid)
            print_report(passed, step, options.batch, shown, report)
            save_state(options.out, modules, optimisers, step, passed)
    save_state(options.out, modules, optimisers, step, options.minutes)
    report = scores(average.model, loss_of, valid)
    print_report(options.minutes, step, options.batch, shown, report)


if __name__ == "__main__":
    main()
