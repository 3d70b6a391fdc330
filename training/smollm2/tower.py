"""The vision tower: its size, its pictures, and a training-time forward pass.

128-pixel pictures and 16-pixel patches give 64 picture tokens. 4.2 M parameters, 8 MB as F16.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from training.model import VisionConfig, VisionModel

CONFIG = VisionConfig(image=128, patch=16, width=192, layers=8, heads=6, hidden=768, out=576)


def resized(pictures: Tensor, side: int = CONFIG.image) -> Tensor:
    """(B, 3, H, W) uint8 to (B, 3, side, side) in [-1, 1], as llama.cpp resizes for `janus_pro`.

    Pillow's bicubic with anti-aliasing, rounded to whole grey levels.
    """
    x = F.interpolate(pictures, (side, side), mode="bicubic", antialias=True)
    return x.float() / 127.5 - 1.0


def augmented(pictures: Tensor, domain: str, rng: torch.Generator) -> Tensor:
    """Like `resized` with random crop, flip, rotation, gain and erasing; colours keep their names.

    Textiles keep scale and direction of the weave, which separate good from wrong cloth.
    """
    b, side = pictures.shape[0], CONFIG.image

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(b, generator=rng)

    product = domain == "products"
    angle = uniform(-0.17, 0.17) if product else uniform(-0.03, 0.03)
    scale = uniform(0.72, 1.08) if product else uniform(0.94, 1.02)
    stretch = uniform(-0.12, 0.12).exp() if product else torch.ones(b)
    mirror = 1.0 - 2.0 * (torch.rand(b, generator=rng) < 0.5).float()
    turn = mirror if domain == "textiles" else 1.0 - 2.0 * (uniform(0, 1) < 0.5).float()
    flip_y = torch.ones(b) if product else turn
    room = (1.04 - scale).abs()
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0] = scale * stretch * angle.cos() * mirror
    theta[:, 0, 1] = -scale * angle.sin()
    theta[:, 1, 0] = scale * angle.sin() * mirror
    theta[:, 1, 1] = scale / stretch * angle.cos() * flip_y
    theta[:, 0, 2] = room * uniform(-1, 1)
    theta[:, 1, 2] = room * uniform(-1, 1)
    grid = F.affine_grid(theta, [b, 3, side, side], align_corners=True)
    x = F.grid_sample(
        pictures.float(), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    gain = uniform(0.88, 1.12)[:, None, None, None]
    noise = torch.randn(x.shape, generator=rng) * uniform(0, 0.04)[:, None, None, None]
    x = ((x / 127.5 - 1.0) * gain + uniform(-0.05, 0.05)[:, None, None, None] + noise).clamp(-1, 1)
    return erased(x, rng) if product else x


def erased(x: Tensor, rng: torch.Generator, share: float = 0.3) -> Tensor:
    """Paint one random rectangle of a third of the pictures in a random grey."""
    side = x.shape[-1]
    for i in torch.nonzero(torch.rand(len(x), generator=rng) < share).flatten().tolist():
        h, w = torch.randint(side // 8, side // 2, (2,), generator=rng).tolist()
        top = int(torch.randint(0, side - h, (1,), generator=rng))
        left = int(torch.randint(0, side - w, (1,), generator=rng))
        x[i, :, top : top + h, left : left + w] = 2 * torch.rand(1, generator=rng) - 1
    return x


def states_with_drops(tower: VisionModel, pixels: Tensor, drop: float) -> Tensor:
    """Trunk states (B, tokens, width); each picture skips a layer with chance up to `drop`.

    Stochastic depth (arXiv 1603.09382): later layers are skipped more often.
    """
    x = tower.patch(pixels).flatten(2).transpose(1, 2) + tower.positions
    for i, layer in enumerate(tower.layers):
        if not drop:
            x = layer(x)
            continue
        chance = drop * i / max(1, len(tower.layers) - 1)
        keep = (torch.rand(len(x), 1, 1, device=x.device) >= chance).to(x.dtype) / (1 - chance)
        x = x + keep * (layer(x) - x)
    return tower.post_ln(x)


@torch.no_grad()
def start_projector(tower: VisionModel, embeddings: Tensor) -> None:
    """Scale the projector so that its first outputs have the embeddings' size."""
    size = float(embeddings.pow(2).mean().sqrt())
    tower.mm1.weight.mul_(size * math.sqrt(3.0))
    tower.mm1.bias.zero_()
