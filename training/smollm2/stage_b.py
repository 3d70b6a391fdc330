"""Stage B: the tower learns through the frozen language model, from answers to questions.

`python -m training.smollm2.stage_b --data DIR --start A.pt --out B.pt --minutes 40`. Each step
asks several questions on each of a few pictures (see branches.py); only the answers are learned,
only the tower changes. Stage A's loss continues beside it on more pictures, so that the tokens keep
the meaning that the language model can read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from training.device import DEVICE, autocast
from training.model import VisionModel
from training.muon import rates, schedule, split_optimisers, update
from training.smollm2.branches import branch_mask, layout
from training.smollm2.data import Photo, all_photos
from training.smollm2.embedding_loss import HEADS, PooledHeads, SlotLoss
from training.smollm2.feed import Feed, Part, load_parts
from training.smollm2.gguf_text import SYSTEM, find_text_gguf, read_tokenizer
from training.smollm2.keep import Average, load_state, print_report, save_state
from training.smollm2.language import Cache, Language
from training.smollm2.questions import Turn, Values, questions
from training.smollm2.slots import SlotText
from training.smollm2.stage_a import CROSS, POOLED, scores
from training.smollm2.tower import CONFIG, states_with_drops


def values_of(parts: Sequence[Part]) -> dict[str, dict[str, list[str]]]:
    """Domain -> fact -> its values, the more frequent ones first."""
    found: dict[str, dict[str, list[str]]] = {}
    for part in parts:
        for name in HEADS:
            seen = [getattr(p.facts, name) for p in part.photos]
            counts = {v: seen.count(v) for v in set(seen) if v}
            keep = sorted(counts, key=lambda v: (-counts[v], v))[:30]
            found.setdefault(part.domain, {})[name] = keep
    return found


class Reader:
    """The frozen language model with the chat's constant head already read."""

    def __init__(self, path: Path, dtype: torch.dtype) -> None:
        self.language = Language(path, dtype, DEVICE)
        self.tokenizer = read_tokenizer(path)
        self.head = self.tokenizer.encode(SYSTEM).ids
        self.past: Cache = self.language.prefix(self.head)

    def answer_logits(
        self, pictures: Tensor, turns: Sequence[Sequence[Turn]]
    ) -> tuple[Tensor, Tensor]:
        """Logits (T, vocab) and targets (T,) of the answer tokens; pictures (B, tokens, width)."""
        head, count = len(self.head), pictures.shape[1]
        rows = layout(turns, self.tokenizer, head + count)
        words = self.language.embed(rows.ids.to(DEVICE))
        x = torch.cat((pictures.to(words.dtype), words), 1)
        before = torch.arange(head, head + count).expand(len(x), -1)
        positions = torch.cat((before, rows.positions), 1).to(DEVICE)
        mask = branch_mask(rows, head, count, self.language.dtype).to(DEVICE)
        states, _ = self.language.states(x, mask, positions, self.past)
        picked = states[rows.rows, rows.places + count]
        return self.language.logits(picked), rows.targets.to(DEVICE)

    def loss(self, pictures: Tensor, turns: Sequence[Sequence[Turn]]) -> Tensor:
        logits, targets = self.answer_logits(pictures, turns)
        return F.cross_entropy(logits, targets)


def asked(
    photos: Sequence[Photo], values: Mapping[str, Values], count: int, rng: Random
) -> list[list[Turn]]:
    return [questions(p.facts, p.domain, values[p.domain], count, rng) for p in photos]


@torch.no_grad()
def right_answers(
    tower: VisionModel, reader: Reader, parts: Sequence[Part], values: Mapping[str, Values]
) -> dict[str, float]:
    """Share of answers whose every token is the likeliest, by skill (48 products, 16 others)."""
    rng, hits = Random(5), dict[str, list[bool]]()
    for part in parts:
        for start in range(0, 48 if part.domain == "products" else 16, 16):
            photos = part.photos[start : start + 16]
            turns = asked(photos, values, 6, rng)
            with autocast():
                out = tower.project(tower(part.whole(start, start + 16).to(DEVICE)))
            logits, targets = reader.answer_logits(out.float(), turns)
            good = (logits.argmax(-1) == targets).tolist()
            for turn in (t for some in turns for t in some):
                count = len(reader.tokenizer.encode(turn.answer).ids) + 1
                name = turn.skill if part.domain == "products" else part.domain
                hits.setdefault(name, []).append(all(good[:count]))
                good = good[count:]
    return {f"ask_{k}": sum(v) / len(v) for k, v in sorted(hits.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--pictures", type=int, default=12, help="through the language model")
    parser.add_argument("--batch", type=int, default=48, help="through stage A's loss")
    parser.add_argument("--questions", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="weight of stage A's loss")
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--average", type=float, default=0.99, help="decay of the kept average")
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--every", type=float, default=4.0, help="minutes between reports")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    path = find_text_gguf()
    reader = Reader(path, torch.bfloat16)
    text = SlotText(reader.tokenizer)
    photos = all_photos(options.data)
    train, valid = load_parts(photos, "train", text), load_parts(photos, "valid", text)
    values = values_of(train)
    tower = VisionModel(CONFIG).to(DEVICE)
    heads = PooledHeads(CONFIG.width, [p for part in train for p in part.photos]).to(DEVICE)
    embeddings = reader.language.embeddings.float()
    loss_of = SlotLoss(embeddings, torch.cat([p.tokens for p in train]), text).to(DEVICE)
    begun = torch.load(options.start, map_location=DEVICE)["modules"]
    tower.load_state_dict(begun["average"])
    heads.load_state_dict(begun["heads"])
    optimisers = split_optimisers([tower, heads], options.lr, 3e-4)
    peak, average = rates(optimisers), Average(tower, options.average)
    modules = {"tower": tower, "heads": heads, "average": average.model}
    step, before = load_state(options.out, modules, optimisers)
    seed = options.seed + step
    asking, seeing = Feed(train, options.pictures, seed), Feed(train, options.batch, seed + 1)
    rng, start, shown, due = Random(seed), time.time(), 0.0, before + options.every
    while (passed := before + (time.time() - start) / 60) < options.minutes:
        warm = 10 * step  # ten steps of warm-up instead of schedule's hundred: steps are few here
        schedule(optimisers, peak, warm, passed / options.minutes, fall=0.6, floor=0.01)
        batch, more = asking.next(), seeing.next()
        both = torch.cat((batch.pixels, more.pixels)).to(DEVICE)
        with autocast():
            states = states_with_drops(tower, both, options.drop)
            out = tower.project(states)
        known = [*batch.photos, *more.photos]
        tokens = torch.cat((batch.tokens, more.tokens)).to(DEVICE)
        slots = loss_of.squared(out, tokens) + CROSS * loss_of.crossed(out, tokens)
        pooled = heads.loss(states, heads.classes(known).to(DEVICE))
        turns = asked(batch.photos, values, options.questions, rng)
        answers = reader.loss(out[: len(batch.photos)], turns)
        loss = answers + options.share * (slots + POOLED * pooled).mean()
        update(loss, optimisers)
        average.update(tower)
        step += 1
        shown = 0.97 * shown + 0.03 * answers.item() if shown else answers.item()
        if passed >= due:
            due += options.every
            report = scores(average.model, loss_of, valid)
            report |= right_answers(average.model, reader, valid, values)
            print_report(passed, step, options.pictures, shown, report)
            save_state(options.out, modules, optimisers, step, passed)
    save_state(options.out, modules, optimisers, step, options.minutes)


if __name__ == "__main__":
    main()
