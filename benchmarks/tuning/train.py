"""Training an adapter on few examples, with or without a corpus against forgetting, and scores.

A run has a fixed number of steps, whatever the number of examples, so that none has to be kept back
to decide when to stop. Steps and learning rates were chosen on `dev` tasks (`HYPER`).
"""

from __future__ import annotations

import ctypes
import gc
import math
import random
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from .adapters import Adapter
from .model import Ask, TunedLanguage, label_scores, option_scores

BATCH, STEPS = 4, 40
PAIRS_AT_ONCE = 2
TEST_BATCH = 16


@dataclass(frozen=True)
class Hyper:
    """How a method is trained."""

    rate: float
    steps: int = STEPS


HYPER: Mapping[str, Hyper] = {
    "pedro": Hyper(5e-3, 60), "lora": Hyper(1e-2), "ia3": Hyper(1e-2),
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """CPU seconds of the training on one thread, the most bytes of memory that it took beyond what
    was there before, and the last losses' mean."""

    seconds: float
    bytes: int
    loss: float


def train(
    language: TunedLanguage, adapter: Adapter, asks: Sequence[Ask], pairs: Sequence[Ask],
    hyper: Hyper, seed: int,
) -> Trained:  # fmt: skip
    """Fit the adapter to the labels; with `pairs`, also to the model's own answers of a corpus. The
    loss is the cross-entropy over the labels' scores, the quantity that the package compares."""
    language.adapter = adapter
    optimiser = torch.optim.AdamW(adapter.parameters(), lr=hyper.rate, weight_decay=0.0)
    batches, others = _batches(asks, BATCH, seed), _batches(pairs, PAIRS_AT_ONCE, seed)
    before, started, losses = _memory(fresh=True), time.process_time(), []
    for step in range(hyper.steps):
        share = (step + 1) / hyper.steps
        for group in optimiser.param_groups:
            group["lr"] = hyper.rate * min(1.0, 8 * share) * (1 + math.cos(math.pi * share)) / 2
        some = next(batches)
        scores = [label_scores(a, s) for a, s in zip(some, option_scores(language, some),
                                                     strict=True)]  # fmt: skip
        loss = torch.stack([-s.log_softmax(0)[a.gold]
                            for a, s in zip(some, scores, strict=True)]).mean()  # fmt: skip
        losses.append(float(loss.detach()))
        if pairs:
            loss = loss + torch.stack(_losses(language, next(others))).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimiser.step()
    seconds = time.process_time() - started
    return Trained(seconds, max(0, _memory() - before), sum(losses[-4:]) / len(losses[-4:]))


def _losses(language: TunedLanguage, pairs: Sequence[Ask]) -> list[torch.Tensor]:
    """Mean loss a token of each answer."""
    scores = option_scores(language, pairs)
    return [-s[0] / len(a.options[0]) for a, s in zip(pairs, scores, strict=True)]


def _batches(asks: Sequence[Ask], size: int, seed: int) -> Iterator[list[Ask]]:
    """Endless batches; every ask once before any twice. Asks of one batch share their beginning."""
    rng, waiting = random.Random(seed), list[Ask]()
    while asks:
        while len(waiting) < size:
            waiting += rng.sample(list(asks), len(asks))
        yield waiting[:size]
        del waiting[:size]


@torch.no_grad()
def accuracy(language: TunedLanguage, asks: Sequence[Ask]) -> float:
    """Share of asks whose best label is right."""
    ordered = sorted(asks, key=lambda ask: len(ask.inputs))
    right = 0
    for start in range(0, len(ordered), TEST_BATCH):
        some = ordered[start : start + TEST_BATCH]
        for ask, scores in zip(some, option_scores(language, some), strict=True):
            right += int(label_scores(ask, scores).argmax()) == ask.gold
    return right / len(asks)


@torch.no_grad()
def lean(language: TunedLanguage, asks: Sequence[Ask]) -> list[float]:
    """Mean log-probability of each label among the labels."""
    rows = [label_scores(ask, scores).log_softmax(0) for start in range(0, len(asks), TEST_BATCH)
            for some in [asks[start : start + TEST_BATCH]]
            for ask, scores in zip(some, option_scores(language, some), strict=True)]  # fmt: skip
    return [float(mean) for mean in torch.stack(rows).mean(0)]


@torch.no_grad()
def perplexity(language: TunedLanguage, pairs: Sequence[Ask]) -> float:
    """Of the corpus's answers, the mean taken over answers."""
    losses = [float(one) for start in range(0, len(pairs), 4)
              for one in _losses(language, pairs[start : start + 4])]  # fmt: skip
    return math.exp(sum(losses) / len(losses))


def _memory(fresh: bool = False) -> int:
    """The most memory that this process had since it was last asked with `fresh`, in bytes. What
    earlier runs have freed is given back to the system first, so that it does not hide the peak."""
    if fresh:
        gc.collect()
        with suppress(OSError, AttributeError):  # not the C library of GNU
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
