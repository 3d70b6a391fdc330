"""Stage V: teach the vision trunk to see, as a classifier of scene attributes.

Every attribute of a scene is a slot; each slot owns four of the 64 image tokens, and a linear head
on those tokens must name its value. The slots only order the curriculum: once the text half is
joined, nothing but the language loss and a small share of this one holds them in place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.device import DEVICE, autocast
from training.scene import (
    COLOURS,
    CONDITIONS,
    KINDS,
    MARKS,
    PATTERNS,
    PHOTOS,
    SIZES,
    SURFACES,
    Scene,
    scene_from_dict,
)

NONE = "none"
COUNTS = ("one", "two", "three")
ITEM_SLOTS = (("kind", KINDS), ("colour", COLOURS), ("pattern", PATTERNS), ("size", SIZES))
SLOTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    *ITEM_SLOTS,
    *((f"{name}2", (NONE, *values)) for name, values in ITEM_SLOTS),
    ("surface", SURFACES),
    ("condition", CONDITIONS),
    ("photo", PHOTOS),
    ("mark", MARKS),
    ("count", COUNTS),
)
SLOT_TOKENS = 4


def slot_values(scene: Scene) -> list[str]:
    """The value of every slot, in the order of SLOTS."""
    first = scene.items[0]
    second = scene.items[1] if scene.layout == "pair" else None
    return [
        *(getattr(first, name) for name, _ in ITEM_SLOTS),
        *(getattr(second, name) if second else NONE for name, _ in ITEM_SLOTS),
        scene.surface,
        scene.condition,
        scene.photo,
        scene.mark,
        COUNTS[scene.count - 1],
    ]


def slot_indices(scene: Scene) -> list[int]:
    return [values.index(v) for v, (_, values) in zip(slot_values(scene), SLOTS, strict=True)]


class Pictures:
    """Rendered pictures (N, 64, 64, 3) uint8, their scenes and slot classes (N, len(SLOTS))."""

    def __init__(self, files: Sequence[Path]) -> None:
        parts = [np.load(f, allow_pickle=False) for f in files]
        self.pixels = np.concatenate([p["pictures"] for p in parts])
        texts = [t for p in parts for t in p["scenes"]]
        self.scenes = [scene_from_dict(json.loads(str(t))) for t in texts]
        self.classes = np.array([slot_indices(s) for s in self.scenes])

    def __len__(self) -> int:
        return len(self.scenes)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) in [-1, 1], as llama.cpp does with mean = std = 0.5."""
    return torch.from_numpy(pixels).to(DEVICE).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Shift by up to 3 pixels, gain, offset and noise; nothing that changes an attribute.

    `rng` lives on the device of `x`.
    """
    b = x.shape[0]
    where = {"generator": rng, "device": x.device}
    dx, dy = torch.randint(-3, 4, (2,), **where).tolist()
    x = torch.roll(F.pad(x, (3, 3, 3, 3), mode="replicate"), (dy, dx), (2, 3))[..., 3:-3, 3:-3]
    gain = 1 + 0.08 * torch.randn(b, 1, 1, 1, **where)
    offset = 0.03 * torch.randn(b, 3, 1, 1, **where)
    noise = 0.03 * torch.rand(b, 1, 1, 1, **where)
    return (x * gain + offset + noise * torch.randn(x.shape, **where)).clamp(-1, 1)


class SlotHeads(nn.Module):
    """Linear classifiers on the tokens of each slot; returns one (B, classes) tensor a slot.

    `pooled` does the same from the mean of all tokens: its gradient reaches every patch, which
    makes shapes form sooner.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width * SLOT_TOKENS, len(v)) for _, v in SLOTS)
        self.means = nn.ModuleList(nn.Linear(width, len(v)) for _, v in SLOTS)

    def pooled(self, states: Tensor) -> list[Tensor]:
        mean = states.mean(1)
        return [head(mean) for head in self.means]

    def forward(self, states: Tensor) -> list[Tensor]:
        return [
            head(states[:, i * SLOT_TOKENS : (i + 1) * SLOT_TOKENS].flatten(1))
            for i, head in enumerate(self.heads)
        ]


def slot_loss(logits: list[Tensor], classes: Tensor) -> Tensor:
    return torch.stack(
        [F.cross_entropy(x.float(), classes[:, i]) for i, x in enumerate(logits)]
    ).mean()


@torch.no_grad()
def slot_accuracy(
    trunk: nn.Module, heads: SlotHeads, pictures: Pictures, limit: int = 1500
) -> dict[str, float]:
    """Share of right values per slot; second-item slots on pictures of pairs only."""
    hits: list[np.ndarray] = []
    for start in range(0, min(limit, len(pictures)), 250):
        x = to_tensor(pictures.pixels[start : start + 250])
        with autocast():
            out = heads(trunk(x))
        truth = pictures.classes[start : start + 250]
        hits.append(
            np.stack([o.argmax(-1).cpu().numpy() == truth[:, i] for i, o in enumerate(out)], 1)
        )
    right = np.concatenate(hits)
    truth = pictures.classes[: len(right)]
    result = {}
    for i, (name, values) in enumerate(SLOTS):
        rows = truth[:, i] > 0 if values[0] == NONE else slice(None)
        result[name] = float(right[rows, i].mean())
    return result
