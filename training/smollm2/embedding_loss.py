"""Stage A's loss: every picture token should lie *at* the embedding of its slot's word.

Squared distance in units of the embeddings' mean squared norm, plus a small cross-entropy over
negative squared distances among the words that a slot can hold. Cross-entropy alone puts the right
word nearest but leaves the vectors far away, where the language model reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.smollm2.data import Photo
from training.smollm2.slots import UNKNOWN, SlotText

CONSTANT_WEIGHT = 0.2


class SlotLoss(nn.Module):
    """`embeddings` (vocab, width) float32; `tokens` (N, slots) of all training pictures."""

    def __init__(self, embeddings: Tensor, tokens: Tensor, text: SlotText) -> None:
        super().__init__()
        self.text = text
        self.unit = float(embeddings.pow(2).sum(1).mean())
        self.varying = [i for i, s in enumerate(text.slots) if s.fact is not None]
        weights = torch.full((len(text.slots),), CONSTANT_WEIGHT)
        weights[self.varying] = 1.0
        self.register_buffer("weights", weights)
        self.candidates = {i: tokens[:, i].unique() for i in self.varying}
        for i, found in self.candidates.items():
            self.candidates[i] = found[found != UNKNOWN]
        self.register_buffer("embeddings", embeddings)

    def distances(self, outputs: Tensor, slot: int) -> Tensor:
        """(B, candidates) squared distances of one slot's outputs to the words it can hold."""
        words = self.embeddings[self.candidates[slot].to(outputs.device)]
        return (outputs[:, slot, None].float() - words).pow(2).sum(-1)

    def squared(self, outputs: Tensor, tokens: Tensor) -> Tensor:
        """(B,) weighted mean squared distance over the known slots."""
        known = tokens != UNKNOWN
        target = self.embeddings[tokens.clamp_min(0)]
        gap = (outputs.float() - target).pow(2).sum(-1) / self.unit
        weight = self.weights * known
        return (gap * weight).sum(1) / weight.sum(1)

    def crossed(self, outputs: Tensor, tokens: Tensor, smooth: float = 0.05) -> Tensor:
        """(B,) mean cross-entropy over the varying slots."""
        losses, counts = outputs.new_zeros(len(outputs)).float(), 0
        for slot in self.varying:
            words = self.candidates[slot].to(outputs.device)
            known = tokens[:, slot] != UNKNOWN
            index = torch.searchsorted(words, tokens[:, slot].clamp_min(int(words[0])))
            each = F.cross_entropy(
                -self.distances(outputs, slot), index, reduction="none", label_smoothing=smooth
            )
            losses, counts = losses + each * known, counts + known.float()
        return losses / counts.clamp_min(1)

    @torch.no_grad()
    def read(self, outputs: Tensor) -> Tensor:
        """(B, slots) nearest candidate token of every varying slot; constants as they are."""
        result = torch.tensor([s.token for s in self.text.slots]).repeat(len(outputs), 1)
        for slot in self.varying:
            best = self.distances(outputs, slot).argmin(1).cpu()
            result[:, slot] = self.candidates[slot][best]
        return result


HEADS = ("item", "color", "shade", "audience", "usage", "category", "place", "condition", "defect")


class PooledHeads(nn.Module):
    """Linear classifiers on the mean trunk state, for training only.

    Their gradient reaches every patch, which makes shapes form sooner.
    """

    def __init__(self, width: int, photos: Sequence[Photo]) -> None:
        super().__init__()
        found = [{getattr(p.facts, h) for p in photos} - {None} for h in HEADS]
        self.values = [sorted(values) for values in found]
        self.heads = nn.ModuleList(nn.Linear(width, len(v)) for v in self.values)

    def classes(self, photos: Sequence[Photo]) -> Tensor:
        """(B, heads) index of every fact's value, UNKNOWN where missing."""
        rows = []
        for photo in photos:
            facts = [getattr(photo.facts, h) for h in HEADS]
            pairs = zip(facts, self.values, strict=True)
            rows.append([v.index(f) if f is not None else UNKNOWN for f, v in pairs])
        return torch.tensor(rows)

    def loss(self, states: Tensor, classes: Tensor) -> Tensor:
        """(B,) mean cross-entropy over the heads."""
        mean = states.mean(1)
        each = [
            F.cross_entropy(
                head(mean).float(), classes[:, i], reduction="none", ignore_index=UNKNOWN,
                label_smoothing=0.05,
            )
            for i, head in enumerate(self.heads)
        ]  # fmt: skip
        return torch.stack(each).mean(0)
