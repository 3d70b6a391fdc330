"""The demonstration VLM in PyTorch, laid out exactly as llama.cpp computes it.

Text half: llama.cpp's `qwen2` architecture (RMSNorm, biased q/k/v, half-split RoPE, SwiGLU, tied
embeddings). Vision half: the SigLIP-style ViT of the `janus_pro` projector (learned positions,
pre-norm, tanh-GELU, final LayerNorm, two-layer GELU projector). Knows nothing of data or training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TextConfig:
    vocab: int = 1024
    width: int = 192
    layers: int = 6
    heads: int = 6
    hidden: int = 512
    rope_base: float = 10000.0
    eps: float = 1e-5


@dataclass(frozen=True)
class VisionConfig:
    image: int = 64
    patch: int = 8
    width: int = 128
    layers: int = 6
    heads: int = 4
    hidden: int = 512
    eps: float = 1e-6
    out: int = 192

    @property
    def tokens(self) -> int:
        return (self.image // self.patch) ** 2


def rope_tables(positions: Tensor, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """cos and sin, each (B, 1, L, head_dim / 2), of integer positions (B, L)."""
    half = head_dim // 2
    freq = base ** (-torch.arange(half, dtype=torch.float32, device=positions.device) / half)
    angle = positions[:, None, :, None].float() * freq
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on half-split pairs (i, i + head_dim / 2), llama.cpp's NEOX order."""
    a, b = x.chunk(2, -1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def additive(allowed: Tensor) -> Tensor:
    """A boolean attention mask as one that is added to the scores."""
    return torch.zeros(1, device=allowed.device).masked_fill(~allowed, -1e9)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        scale = torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + self.eps)
        return (x32 * scale * self.weight).to(x.dtype)


class TextLayer(nn.Module):
    def __init__(self, c: TextConfig) -> None:
        super().__init__()
        self.heads = c.heads
        self.attn_norm = RMSNorm(c.width, c.eps)
        self.q, self.k, self.v = (nn.Linear(c.width, c.width) for _ in range(3))
        self.o = nn.Linear(c.width, c.width, bias=False)
        self.ffn_norm = RMSNorm(c.width, c.eps)
        self.gate, self.up = (nn.Linear(c.width, c.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(c.hidden, c.width, bias=False)

    def forward(self, x: Tensor, mask: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, n, w = x.shape
        h = self.attn_norm(x)
        q, k, v = (
            p(h).view(b, n, self.heads, w // self.heads).transpose(1, 2)
            for p in (self.q, self.k, self.v)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q.dtype))
        x = x + self.o(a.transpose(1, 2).reshape(b, n, w))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class TextModel(nn.Module):
    """(B, L, width) embeddings to (B, L, width) normed states; logits through the embeddings."""

    def __init__(self, c: TextConfig) -> None:
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.width)
        self.layers = nn.ModuleList(TextLayer(c) for _ in range(c.layers))
        self.norm = RMSNorm(c.width, c.eps)
        self._init_weights()

    def _init_weights(self) -> None:
        c = self.c
        nn.init.normal_(self.embed.weight, std=0.5 / math.sqrt(c.width))
        for layer in self.layers:
            for p in (layer.q, layer.k, layer.v, layer.gate, layer.up):
                nn.init.normal_(p.weight, std=c.width**-0.5)
            for p in (layer.q, layer.k, layer.v):
                nn.init.zeros_(p.bias)
            for p in (layer.o, layer.down):
                nn.init.normal_(p.weight, std=(p.in_features * 2 * c.layers) ** -0.5)

    @torch.no_grad()
    def mimetic_init(self) -> None:
        """Start some heads where match-and-copy circuits end up anyway; all stays trainable.

        Layer 0 and 1 have heads that attend to the token 1, 2 or 3 back (constant q and k biases
        that RoPE turns into a relative-position kernel). Half of the heads of every layer start
        with q = k on the slowly rotating dimensions, so that alike states attend to each other and
        copy what they find (mimetic initialisation, arXiv 2305.09828). Two heads of layer 1 take
        the place of their keys from what layer 0's first two heads moved there: induction heads.
        """
        dim = self.c.width // self.c.heads
        for index, offsets in ((0, (1, 1, 2, 3)), (1, (1, 2))):
            for head, offset in enumerate(offsets):
                self._look_back(self.layers[index], head, offset)
        for index, layer in enumerate(self.layers):
            for head in range(self.c.heads // 2 + (index == 0), self.c.heads):
                weight = torch.randn(dim, self.c.width)
                self._match(layer, head, weight, weight)
        first, second = self.layers[0], self.layers[1]
        for source, head in ((0, 4), (1, 5)):
            rows = slice(source * dim, (source + 1) * dim)
            read = first.v.weight[rows] / first.v.weight[rows].std()
            moved = first.o.weight[:, rows].T / first.o.weight[:, rows].std()
            self._match(second, head, read, moved)

    def _look_back(self, layer: nn.Module, head: int, offset: int, strength: float = 36.0) -> None:
        dim = self.c.width // self.c.heads
        half = dim // 2
        freq = self.c.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)
        amp = torch.where(torch.arange(half) < 4, math.sqrt(strength), 0.0)
        rows = slice(head * dim, (head + 1) * dim)
        layer.q.weight[rows] *= 0.1
        layer.k.weight[rows] *= 0.1
        layer.k.bias[rows] = torch.cat((amp, torch.zeros(half)))
        layer.q.bias[rows] = torch.cat(
            (amp * torch.cos(freq * offset), -amp * torch.sin(freq * offset))
        )
        layer.o.weight[:, rows] = nn.init.orthogonal_(torch.empty(self.c.width, dim))

    def _match(self, layer: nn.Module, head: int, query: Tensor, key: Tensor) -> None:
        """Attend where `key` (dim, width) of a state equals `query` of this one, and copy it."""
        dim = self.c.width // self.c.heads
        slow = (torch.arange(dim) % (dim // 2) >= dim // 4).float()[:, None]
        rows = slice(head * dim, (head + 1) * dim)
        scale = 1.5 * self.c.width**-0.5
        layer.q.weight[rows] = scale * slow * query + 0.1 * layer.q.weight[rows]
        layer.k.weight[rows] = scale * slow * key + 0.1 * layer.k.weight[rows]
        copy = nn.init.orthogonal_(torch.empty(dim, self.c.width))
        layer.v.weight[rows] = copy
        layer.o.weight[:, rows] = 0.5 * copy.T

    def forward(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        cos, sin = rope_tables(positions, self.c.width // self.c.heads, self.c.rope_base)
        for layer in self.layers:
            x = layer(x, mask, cos, sin)
        return self.norm(x)

    def logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.embed.weight)


POSITION_DIMS = 32
NEIGHBOURS = (
    ((0, 1), (0, -1), (1, 0), (-1, 0)),
    ((1, 1), (1, -1), (-1, 1), (-1, -1)),
    ((0, 2), (0, -2), (2, 0), (-2, 0)),
    ((2, 2), (-2, -2)),
)


def grid_positions(side: int, width: int) -> Tensor:
    """Start of the positions (side * side, width), row by row: cosines and sines in the last
    POSITION_DIMS dimensions, so that any offset is a rotation; nothing in the others."""
    bands = POSITION_DIMS // 4
    wave = math.pi / bands * torch.arange(side)[:, None] * torch.arange(bands)
    line = torch.cat((wave.cos(), wave.sin()), 1)
    rows = line[:, None].expand(side, side, -1)
    columns = line[None].expand(side, side, -1)
    where = torch.cat((rows, columns), -1).reshape(side * side, POSITION_DIMS)
    return torch.cat((torch.zeros(side * side, width - POSITION_DIMS), where), 1)


def offset_rotation(dy: int, dx: int) -> Tensor:
    """(POSITION_DIMS, POSITION_DIMS) matrix that moves a position by (dy, dx) patches."""
    bands = POSITION_DIMS // 4
    matrix = torch.zeros(POSITION_DIMS, POSITION_DIMS)
    for axis, offset in enumerate((dy, dx)):
        at = axis * 2 * bands
        for band in range(bands):
            angle = math.pi / bands * band * offset
            i, j = at + band, at + bands + band
            matrix[i, i] = matrix[j, j] = math.cos(angle)
            matrix[i, j], matrix[j, i] = -math.sin(angle), math.sin(angle)
    return matrix


class VisionLayer(nn.Module):
    def __init__(self, c: VisionConfig) -> None:
        super().__init__()
        self.heads = c.heads
        self.ln1, self.ln2 = (nn.LayerNorm(c.width, eps=c.eps) for _ in range(2))
        self.q, self.k, self.v, self.o = (nn.Linear(c.width, c.width) for _ in range(4))
        self.up, self.down = nn.Linear(c.width, c.hidden), nn.Linear(c.hidden, c.width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, w = x.shape
        h = self.ln1(x)
        q, k, v = (
            p(h).view(b, n, self.heads, w // self.heads).transpose(1, 2)
            for p in (self.q, self.k, self.v)
        )
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.o(a.transpose(1, 2).reshape(b, n, w))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class VisionModel(nn.Module):
    """(B, 3, image, image) pixels in [-1, 1] to (B, tokens, width) trunk states; `project` maps
    them to (B, tokens, out) text embeddings."""

    def __init__(self, c: VisionConfig) -> None:
        super().__init__()
        self.c = c
        self.patch = nn.Conv2d(3, c.width, c.patch, c.patch)
        self.positions = nn.Parameter(grid_positions(c.image // c.patch, c.width))
        self.layers = nn.ModuleList(VisionLayer(c) for _ in range(c.layers))
        self.post_ln = nn.LayerNorm(c.width, eps=c.eps)
        self.mm0 = nn.Linear(c.width, c.out)
        self.mm1 = nn.Linear(c.out, c.out)
        for layer in self.layers:
            for p in (layer.o, layer.down):
                nn.init.normal_(p.weight, std=(p.in_features * 2 * c.layers) ** -0.5)
        self._look_around()

    @torch.no_grad()
    def _look_around(self, strength: float = 1.5) -> None:
        """Start the heads of the first layers as the taps of a convolution.

        Each attends to one neighbouring patch, by the position dimensions alone (structured
        initialisation, arXiv 2404.01139): small ViTs otherwise spend most of their training on
        finding out what is next to what. Everything stays trainable.
        """
        dim = self.c.width // self.c.heads
        where = slice(self.c.width - POSITION_DIMS, self.c.width)
        for layer, offsets in zip(self.layers, NEIGHBOURS, strict=False):
            for head, (dy, dx) in enumerate(offsets):
                rows = slice(head * dim, (head + 1) * dim)
                layer.q.weight[rows] = 0.0
                layer.k.weight[rows] = 0.0
                layer.q.weight[rows, where] = strength * offset_rotation(dy, dx)
                layer.k.weight[rows, where] = strength * torch.eye(POSITION_DIMS)
                nn.init.normal_(layer.v.weight[rows], std=self.c.width**-0.5)
                nn.init.normal_(layer.o.weight[:, rows], std=0.7 * self.c.width**-0.5)
            for written in (layer.o.weight, layer.down.weight, layer.o.bias, layer.down.bias):
                written[where] = 0.0

    @torch.no_grad()
    def whiten(self, pixels: Tensor, floor: float = 2e-3) -> None:
        """Start the patch embedding as the leading principal components of `pixels`, whitened.

        Edges carry little of the variance of a patch but all of its shape; whitened, they are
        as loud as the mean colour from the first step on (the first layer of airbench,
        arXiv 2404.00498). `floor` is the noise level, as a share of the largest eigenvalue.
        """
        p, w = self.c.patch, self.c.width - POSITION_DIMS
        patches = F.unfold(pixels.float(), p, stride=p).transpose(1, 2).reshape(-1, 3 * p * p)
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        values, vectors = values.flip(0)[:w], vectors.flip(1)[:, :w]
        kernel = (vectors / (values + floor * values[0]).sqrt()).T
        self.patch.weight.zero_()
        self.patch.bias.zero_()
        self.patch.weight[:w] = kernel.view(w, 3, p, p)
        self.patch.bias[:w] = -kernel @ mean

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch(pixels).flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.post_ln(x)

    def project(self, states: Tensor) -> Tensor:
        return self.mm1(F.gelu(self.mm0(states), approximate="tanh"))


def load_models(checkpoint: Path) -> tuple[TextModel, VisionModel]:
    """Both halves of a checkpoint, on the CPU."""
    state = torch.load(checkpoint, map_location="cpu")
    text = TextModel(TextConfig(vocab=state["text"]["embed.weight"].shape[0]))
    text.load_state_dict(state["text"])
    vision = VisionModel(VisionConfig(out=text.c.width))
    vision.load_state_dict(state["vision"])
    return text, vision
