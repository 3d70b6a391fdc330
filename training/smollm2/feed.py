"""Batches of augmented pictures from three domains, with a fixed share each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.smollm2.data import Photo, chosen, pixels
from training.smollm2.slots import SlotText
from training.smollm2.tower import augmented, resized

DOMAINS = ("products", "textiles", "solar")
SHARES = (0.74, 0.11, 0.15)


@dataclass(frozen=True)
class Part:
    """One domain's pictures of one split: pixels (N, 3, H, W) uint8 and slot tokens (N, 64)."""

    domain: str
    photos: list[Photo]
    pixels: Tensor
    tokens: Tensor
    weights: np.ndarray

    def whole(self, start: int, stop: int) -> Tensor:
        """Pictures as llama.cpp will see them."""
        return resized(self.pixels[start:stop])


def rarity(photos: Sequence[Photo]) -> np.ndarray:
    """Sampling weights: one over the root of how often a label occurs, up to 8 times the least."""
    counts = Counter(p.label for p in photos)
    raw = np.array([counts[p.label] ** -0.5 for p in photos])
    raw = np.minimum(raw, 8 * raw.min())
    return np.asarray(raw / raw.sum())


def load_parts(photos: Sequence[Photo], split: str, text: SlotText) -> list[Part]:
    parts = []
    for domain in DOMAINS:
        some = chosen(photos, domain, split)
        table = text.table([p.facts for p in some])
        parts.append(Part(domain, some, pixels(some), table, rarity(some)))
    return parts


@dataclass(frozen=True)
class Batch:
    """Pictures (B, 3, side, side) in [-1, 1], slot tokens (B, 64), photos, number of products."""

    pixels: Tensor
    tokens: Tensor
    photos: list[Photo]
    products: int


class Feed:
    def __init__(self, parts: Sequence[Part], batch: int, seed: int) -> None:
        self.parts = parts
        self.sizes = [max(1, round(batch * share)) for share in SHARES]
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator().manual_seed(seed)

    def next(self) -> Batch:
        pictures, tokens, photos = [], [], []
        for part, size in zip(self.parts, self.sizes, strict=True):
            rows = self.rng.choice(len(part.photos), size, replace=False, p=part.weights)
            pictures.append(augmented(part.pixels[rows], part.domain, self.noise))
            tokens.append(part.tokens[rows])
            photos += [part.photos[i] for i in rows]
        return Batch(torch.cat(pictures), torch.cat(tokens), photos, self.sizes[0])
