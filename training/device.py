"""Where training runs: a GPU when PyTorch sees one, else the CPU; bfloat16 autocast on both."""

from __future__ import annotations

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast() -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16)
