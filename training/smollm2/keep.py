"""What a stage keeps: checkpoints that survive a kill, a running average of the weights, a log."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn


class Average:
    """Exponential moving average of a module's weights; it warms up over the first steps."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(module).requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 9))
        for mine, theirs in zip(self.model.parameters(), module.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)


def save_state(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Sequence[torch.optim.Optimizer],
    step: int,
    minutes: float,
) -> None:
    """Write to a temporary name in the same folder, then rename."""
    state = {
        "modules": {k: m.state_dict() for k, m in modules.items()},
        "optimisers": [o.state_dict() for o in optimisers],
        "step": step,
        "minutes": minutes,
    }
    partial = path.with_name(f"partial-{path.name}")
    torch.save(state, partial)
    partial.replace(path)


def load_state(
    path: Path, modules: Mapping[str, nn.Module], optimisers: Sequence[torch.optim.Optimizer]
) -> tuple[int, float]:
    """Restore everything; returns the steps and minutes done, zero where there is no file."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu")
    for name, module in modules.items():
        module.load_state_dict(state["modules"][name])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"]), float(state["minutes"])


def print_report(
    minutes: float, step: int, batch: int, loss: float, figures: Mapping[str, float]
) -> None:
    """A line of the log, as `curves` reads it."""
    line = " ".join(f"{name}={value:.3f}" for name, value in figures.items())
    print(f"{minutes:.1f} min, {step} steps of {batch}, loss {loss:.3f}: {line}", flush=True)
