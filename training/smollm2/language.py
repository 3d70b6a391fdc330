"""SmolLM2 in PyTorch with the GGUF's own weights, frozen, laid out as llama.cpp computes it.

llama.cpp's `llama` architecture: RMSNorm, no biases, grouped keys and values, RoPE on interleaved
pairs, SwiGLU, tied embeddings. Gradients pass through it to the picture tokens; none reach its
weights. Knows nothing of pictures or questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from training.smollm2.gguf_text import read_tensors

Cache = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class LanguageConfig:
    width: int = 576
    layers: int = 30
    heads: int = 9
    kv_heads: int = 3
    rope_base: float = 100000.0
    eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on pairs (2 i, 2 i + 1) of (B, heads, L, head_dim); cos and sin (B, 1, L, half)."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Language:
    """`dtype` is that of weights and activations: bfloat16 to train, float32 to verify."""

    def __init__(self, path: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.c, self.dtype, self.device = LanguageConfig(), dtype, device
        self.weights = {k: v.to(device, dtype) for k, v in read_tensors(path).items()}
        self.embeddings = self.weights["token_embd.weight"]

    def embed(self, ids: Tensor) -> Tensor:
        return self.embeddings[ids]

    def product(self, x: Tensor, name: str) -> Tensor:
        """`x` through the named weight."""
        return F.linear(x, self.weights[name])

    def norm(self, x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, (self.c.width,), self.weights[name], self.c.eps)

    def tables(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin (B, 1, L, head_dim / 2) of positions (B, L)."""
        half = self.c.head_dim // 2
        steps = torch.arange(half, dtype=torch.float32, device=positions.device)
        angle = positions[:, None, :, None].float() * self.c.rope_base ** (-steps / half)
        return angle.cos().to(self.dtype), angle.sin().to(self.dtype)

    def attention(
        self, h: Tensor, layer: str, cos: Tensor, sin: Tensor, mask: Tensor, past: Cache | None,
        index: int,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # fmt: skip
        b, n, _ = h.shape
        q, k, v = (
            self.product(h, f"{layer}attn_{part}.weight")
            .view(b, n, -1, self.c.head_dim)
            .transpose(1, 2)
            for part in ("q", "k", "v")
        )
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        if past:
            k = torch.cat((past[index][0].expand(b, -1, -1, -1), k), 2)
            v = torch.cat((past[index][1].expand(b, -1, -1, -1), v), 2)
        groups = self.c.heads // self.c.kv_heads
        a = F.scaled_dot_product_attention(
            q, k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1), attn_mask=mask
        )
        out = self.product(a.transpose(1, 2).reshape(b, n, -1), f"{layer}attn_output.weight")
        return out, (k, v)

    def states(
        self, x: Tensor, mask: Tensor, positions: Tensor, past: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """Normed states (B, L, width) of embeddings (B, L, width), and keys and values.

        `mask` (B, 1, L, past + L) is added to the scores. `past` is a cache of one row (1, ...)
        that all rows share.
        """
        cos, sin = self.tables(positions)
        x, cache = x.to(self.dtype), []
        for i in range(self.c.layers):
            layer = f"blk.{i}."
            out, kept = self.attention(
                self.norm(x, f"{layer}attn_norm.weight"), layer, cos, sin, mask, past, i
            )
            cache.append(kept)
            x = x + out
            h = self.norm(x, f"{layer}ffn_norm.weight")
            gate = F.silu(self.product(h, f"{layer}ffn_gate.weight"))
            up = self.product(h, f"{layer}ffn_up.weight")
            x = x + self.product(gate * up, f"{layer}ffn_down.weight")
        return self.norm(x, "output_norm.weight"), cache

    def logits(self, states: Tensor) -> Tensor:
        """(..., vocab) float32."""
        return self.product(states, "token_embd.weight").float()

    @torch.no_grad()
    def prefix(self, ids: list[int]) -> Cache:
        """Keys and values of constant text at the start, for `states(past=...)`."""
        x = self.embed(torch.tensor([ids], device=self.device))
        n = len(ids)
        return self.states(x, causal(n, self.dtype, self.device), spread(0, n, self.device))[1]


def causal(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, 1, n, n) mask to add."""
    allowed = torch.ones(n, n, dtype=torch.bool, device=device).tril()
    return torch.zeros(n, n, dtype=dtype, device=device).masked_fill(~allowed, -1e9)[None, None]


def spread(start: int, count: int, device: torch.device) -> Tensor:
    """(1, count) positions."""
    return torch.arange(start, start + count, device=device)[None]
