"""Stages T and J: the text half on pseudo-pictures, then both halves on pictures.

Stage T needs no pixels: the 64 picture tokens are the embeddings of the scene's attribute words,
each slot's word four times with a learned slot vector and noise. It teaches reading attributes,
formats, yes/no, choices and definitions. Stage J first fits the projector so that the vision
trunk's tokens look like those pseudo-pictures, then trains everything on real pictures.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from training.device import DEVICE, autocast
from training.language import TEXT_MIXTURE, Turn, sample_turn
from training.model import TextConfig, TextModel, VisionConfig, VisionModel, additive
from training.muon import rates, schedule, split_optimisers
from training.rows import Batch, Packer
from training.scene import Scene, sample_scene
from training.tokens import load_tokenizer
from training.vision import (
    SLOT_TOKENS,
    SLOTS,
    Pictures,
    SlotHeads,
    augment,
    slot_loss,
    slot_values,
    to_tensor,
)

IMAGE_TOKENS = VisionConfig().tokens


class PseudoPictures(nn.Module):
    """Scene -> (IMAGE_TOKENS, width) stand-in for projected picture tokens."""

    def __init__(self, tokenizer: Tokenizer, width: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.randn(len(SLOTS), width) * 0.03)
        self.rest = nn.Parameter(torch.randn(IMAGE_TOKENS - len(SLOTS) * SLOT_TOKENS, width) * 0.03)
        words = {v for _, values in SLOTS for v in values}
        self.ids = {w: self._word(tokenizer, w) for w in words}

    @staticmethod
    def _word(tokenizer: Tokenizer, word: str) -> int:
        ids = tokenizer.encode(" " + ("unmarked" if word == "clean" else word)).ids
        return int(ids[-1] if word == "clean" else ids[0])

    def targets(self, scenes: list[Scene], embed: nn.Embedding) -> Tensor:
        """(B, len(SLOTS) * SLOT_TOKENS, width): word embedding plus slot vector."""
        ids = torch.tensor([[self.ids[v] for v in slot_values(s)] for s in scenes], device=DEVICE)
        return (embed(ids) + self.slots).repeat_interleave(SLOT_TOKENS, 1)

    def forward(self, scenes: list[Scene], embed: nn.Embedding, noise: float) -> Tensor:
        x = self.targets(scenes, embed)
        x = torch.cat((x, self.rest.expand(len(scenes), -1, -1)), 1)
        return x + noise * x.detach().std() * torch.randn_like(x)


def insert_pictures(embedded: Tensor, slots: Tensor, pictures: Tensor) -> Tensor:
    """Put (B, IMAGE_TOKENS, W) picture tokens where `slots` (B, L) is not negative."""
    index = slots.clamp(min=0)[..., None].expand(-1, -1, pictures.shape[-1])
    return torch.where(slots[..., None] >= 0, pictures.gather(1, index), embedded)


def with_blanks(pictures: Tensor, texts: int) -> Tensor:
    """Pictures (B, IMAGE_TOKENS, W) and nothing for the rows that have none."""
    return torch.cat((pictures, pictures.new_zeros(texts, *pictures.shape[1:])))


def language_loss(text: TextModel, run: nn.Module, batch: Batch, pictures: Tensor) -> Tensor:
    """Weighted next-token cross-entropy of a batch."""
    tokens, slots, positions, targets, weights, mask = (
        torch.from_numpy(a).to(DEVICE)
        for a in (
            batch.tokens, batch.slots, batch.positions, batch.targets.ravel(),
            batch.weights.ravel(), batch.mask(),
        )
    )  # fmt: skip
    x = insert_pictures(text.embed(tokens), slots, pictures.float())
    with autocast():
        states = run(x, additive(mask), positions)
        keep = weights > 0
        logits = text.logits(states.flatten(0, 1)[keep])
    losses = F.cross_entropy(logits.float(), targets[keep], reduction="none")
    return (losses * weights[keep]).sum() / weights.sum()


@torch.no_grad()
def tie_spaced_words(text: TextModel, tokenizer: Tokenizer) -> None:
    """Start "red" near " red": an answer is the same word as in the question, less its space."""
    vocab = tokenizer.get_vocab()
    weight = text.embed.weight
    offset = torch.randn(weight.shape[1]) * weight.std() * 0.6
    for token, index in vocab.items():
        spaced = vocab.get("\u0120" + token)
        if spaced is not None:
            weight[index] = 0.9 * weight[spaced] + offset + 0.3 * weight[index]


@torch.no_grad()
def answer_accuracy(
    text: TextModel, tokenizer: Tokenizer, turns: list[tuple[Turn, int]], pictures: Tensor
) -> dict[str, float]:
    """Teacher-forced exact-answer rate per skill; `turns` are (turn, row of `pictures`)."""
    packer = Packer(tokenizer, 1, IMAGE_TOKENS, 0)
    hits: dict[str, list[bool]] = {}
    for turn, row in turns:
        ids, _ = packer.branch(turn)
        alone = turn.skill.startswith("text_")
        head = [*packer.user] if alone else [*packer.user, *packer.image]
        whole = [*head, *ids]
        tokens = torch.tensor([[max(i, 0) for i in whole]], device=DEVICE)
        slots = torch.full_like(tokens, -1)
        if not alone:
            slots[0, len(packer.user) : len(head)] = torch.arange(IMAGE_TOKENS, device=DEVICE)
        x = insert_pictures(text.embed(tokens), slots, pictures[row : row + 1].float())
        n = len(whole)
        mask = additive(torch.ones(n, n, device=DEVICE).tril().bool())[None, None]
        with autocast():
            states = text(x, mask, torch.arange(n, device=DEVICE)[None])
            best = text.logits(states[0]).argmax(-1).cpu()
        answer = len(packer.ids(turn.answer)) + 1
        truth = torch.tensor(whole[-answer:])
        right = best[-answer - 1 : -1] == truth
        if turn.skill == "describe_first":
            right = right[-4:]
        hits.setdefault(turn.skill, []).append(bool(right.all()))
    return {k: float(np.mean(v)) for k, v in sorted(hits.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("T", "J"))
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="checkpoint to continue from")
    parser.add_argument("--vision", type=Path, help="stage J: checkpoint of stage V")
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--valid", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--texts", type=int, default=3, help="rows without a picture, besides")
    parser.add_argument("--pairs", type=float, default=0.4, help="share of rows with two items")
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.008)
    parser.add_argument("--lr-rest", type=float, default=1e-3)
    parser.add_argument("--pictures", type=int, default=48, help="stage J: seen per step")
    parser.add_argument("--side", type=float, default=1.0, help="stage J: weight of the slots")
    parser.add_argument(
        "--align", type=int, default=600, help="stage J: steps of projector fitting"
    )
    parser.add_argument("--fit-heads", type=int, default=0, help="stage J: steps of slot heads")
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    Run(parser.parse_args()).train()


class Run:
    """One stage: models, data, optimisers, and the loop with checkpoints."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.o = options
        if options.threads:
            torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self.rng = Random(options.seed + 77)
        self.tokenizer = load_tokenizer(options.tokenizer)
        self.text = TextModel(TextConfig(vocab=self.tokenizer.get_vocab_size()))
        self.text.mimetic_init()
        tie_spaced_words(self.text, self.tokenizer)
        self.pseudo = PseudoPictures(self.tokenizer, self.text.c.width)
        self.vision = VisionModel(VisionConfig(out=self.text.c.width))
        self.heads = SlotHeads(self.vision.c.width)
        for module in (self.text, self.pseudo, self.vision, self.heads):
            module.to(DEVICE)
        if options.start:
            self.load(torch.load(options.start, map_location=DEVICE))
        if options.vision:
            seen = torch.load(options.vision, map_location=DEVICE)
            self.vision.load_state_dict(seen["trunk"])
            self.heads.load_state_dict(seen["heads"])
        self.packer = Packer(self.tokenizer, options.length, IMAGE_TOKENS, options.seed)
        self.data = Pictures(options.data) if options.data else None
        self.pairs = (
            [i for i, s in enumerate(self.data.scenes) if s.layout == "pair"] if self.data else []
        )
        self.valid = Pictures([options.valid]) if options.valid else None
        self.run: nn.Module = torch.compile(self.text)
        self.see: nn.Module = torch.compile(self.vision)

    def load(self, state: dict[str, dict[str, Tensor]]) -> None:
        for name in ("text", "pseudo", "vision", "heads"):
            if name in state:
                getattr(self, name).load_state_dict(state[name])

    def save(self) -> None:
        names = ("text", "pseudo", "vision", "heads")
        temporary = self.o.out.with_suffix(".tmp")
        torch.save({n: getattr(self, n).state_dict() for n in names}, temporary)
        temporary.replace(self.o.out)

    def picture_batch(self) -> tuple[list[Scene], Tensor, Tensor]:
        """Scenes, pixels and slot classes of `--pictures` random pictures."""
        assert self.data is not None
        rows = np.array([self.pick_row() for _ in range(self.o.pictures)])
        noise = torch.Generator(DEVICE).manual_seed(self.rng.randrange(2**31))
        x = augment(to_tensor(self.data.pixels[rows]), noise)
        return (
            [self.data.scenes[r] for r in rows],
            x,
            torch.from_numpy(self.data.classes[rows]).to(DEVICE),
        )

    def pick_row(self) -> int:
        """A random picture, `--pairs` of them of two items."""
        pool = self.pairs if self.rng.random() < self.o.pairs else None
        return self.rng.randrange(len(self.data)) if pool is None else self.rng.choice(pool)

    def align(self) -> None:
        """Fit the projector to the pseudo-pictures, the trunk held still."""
        params = [*self.vision.mm0.parameters(), *self.vision.mm1.parameters()]
        optimiser = torch.optim.AdamW(params, 2e-3)
        n = len(SLOTS) * SLOT_TOKENS
        for step in range(self.o.align):
            scenes, x, _ = self.picture_batch()
            with torch.no_grad(), autocast():
                states = self.vision(x)
            out = self.vision.project(states.float())
            with torch.no_grad():
                target = self.pseudo.targets(scenes, self.text.embed)
            scale = target.var()
            loss = F.mse_loss(out[:, :n], target) / scale
            loss = loss + F.mse_loss(out[:, n:], self.pseudo.rest.expand_as(out[:, n:])) / scale
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 100 == 0:
                print(f"align {step}: {loss.item():.4f}", flush=True)

    def fit_heads(self) -> None:
        """Fit new slot heads to the trunk, which is held still (see `training.restore`)."""
        optimiser = torch.optim.AdamW(self.heads.parameters(), 3e-3)
        for step in range(self.o.fit_heads):
            _, x, classes = self.picture_batch()
            with torch.no_grad(), autocast():
                states = self.vision(x)
            loss = slot_loss(self.heads(states.float()), classes)
            loss = loss + slot_loss(self.heads.pooled(states.float()), classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 100 == 0:
                print(f"heads {step}: {loss.item():.4f}", flush=True)

    def loss(self, frac: float) -> Tensor:
        exercises = 0.15 if frac < 0.5 and self.o.stage == "T" else 0.02
        if self.o.stage == "T":
            scenes = [self.pick_scene() for _ in range(self.o.rows)]
            batch = self.packer.batch(scenes, exercises, self.o.texts)
            noise = self.rng.choice((0.1, 0.5, 1.0))
            pictures = self.pseudo(scenes, self.text.embed, noise)
            return language_loss(self.text, self.run, batch, with_blanks(pictures, self.o.texts))
        scenes, x, classes = self.picture_batch()
        batch = self.packer.batch(scenes[: self.o.rows], exercises, self.o.texts)
        with autocast():
            states = self.see(x)
            pictures = self.vision.project(states[: self.o.rows])
            slots, pooled = self.heads(states), self.heads.pooled(states)
        side = slot_loss(slots, classes) + 0.5 * slot_loss(pooled, classes)
        spoken = language_loss(self.text, self.run, batch, with_blanks(pictures, self.o.texts))
        return spoken + self.o.side * side

    def pick_scene(self) -> Scene:
        if self.rng.random() < self.o.pairs:
            return sample_scene(self.rng, layout="pair")
        return sample_scene(self.rng, layout=self.rng.choice(("single",) * 4 + ("group",)))

    @torch.no_grad()
    def report(self, count: int = 700) -> str:
        rng = Random(4242)
        if self.o.stage == "J":
            assert self.valid is not None
            scenes = self.valid.scenes[:100]
            with autocast():
                pictures = self.vision.project(self.vision(to_tensor(self.valid.pixels[:100])))
        else:
            scenes = [sample_scene(rng) for _ in range(100)]
            pictures = self.pseudo(scenes, self.text.embed, 0.1)
        turns = [
            (sample_turn(scenes[i % 100], rng, TEXT_MIXTURE if i % 4 == 0 else None), i % 100)
            for i in range(count)
        ]
        scores = answer_accuracy(self.text, self.tokenizer, turns, pictures)
        return " ".join(f"{k}={v:.2f}" for k, v in scores.items())

    def train(self) -> None:
        if self.o.stage == "J" and self.o.align:
            self.align()
        if self.o.stage == "J" and self.o.fit_heads:
            self.fit_heads()
        models: list[nn.Module] = [self.text]
        models += [self.pseudo] if self.o.stage == "T" else [self.vision, self.heads]
        optimisers = split_optimisers(models, self.o.lr, self.o.lr_rest)
        base = rates(optimisers)
        params = [p for m in models for p in m.parameters()]
        start, step, mean = time.time(), 0, math.nan
        while (passed := (time.time() - start) / 60) < self.o.minutes:
            frac = passed / self.o.minutes
            schedule(optimisers, base, step, frac, fall=0.4, floor=0.01)
            loss = self.loss(frac)
            for o in optimisers:
                o.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(params, 1.0)
            for o in optimisers:
                o.step()
            step += 1
            mean = loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
            if step % 100 == 0:
                print(f"{passed:.1f} min, step {step}, loss {mean:.3f}", flush=True)
            if step % self.o.every == 0:
                print(f"  {self.report()}", flush=True)
                self.save()
        print(f"done, step {step}: {self.report(800)}", flush=True)
        self.save()


if __name__ == "__main__":
    main()
