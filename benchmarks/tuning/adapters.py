"""What is trained beside frozen weights: LoRA, (IA)3 and PEDRO, of the same size.

Every parameter has a first dimension of tenants: one while training, several where a batch holds
rows of several tenants on one backbone. An adapter leaves the model unchanged at the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.smollm2.language import LanguageConfig

HIDDEN = 1536
"""Width of the feed-forward of SmolLM2-135M."""
Product = Callable[[Tensor], Tensor]


def widths(c: LanguageConfig, hidden: int = HIDDEN) -> dict[str, tuple[int, int]]:
    """Part of a layer -> (input, output) width."""
    kv = c.kv_heads * c.head_dim
    return {
        "attn_q": (c.width, c.width), "attn_k": (c.width, kv), "attn_v": (c.width, kv),
        "attn_output": (c.width, c.width), "ffn_gate": (c.width, hidden),
        "ffn_up": (c.width, hidden), "ffn_down": (hidden, c.width),
    }  # fmt: skip


class Adapter(nn.Module):
    """Changes the products of frozen weights. `begin` is called before a batch of prompts with the
    place of each prompt's last token and the tenant of each row, `resume` before decoding on."""

    def __init__(self, tenants: int) -> None:
        super().__init__()
        self.tenants = tenants
        self.rows = self.last = torch.zeros(0, dtype=torch.long)

    def begin(self, last: Tensor, rows: Tensor) -> None:
        self.last, self.rows = last, rows

    def resume(self) -> None:
        """What follows are new tokens after the same prompts."""

    def product(self, layer: int, part: str, x: Tensor, base: Product) -> Tensor:
        """(B, L, output) of a part, from its input (B, L, input) and the frozen product."""
        raise NotImplementedError

    def of(self, values: Tensor) -> Tensor:
        """The values of each row's tenant: (B, ...); (1, ...) where there is one tenant."""
        return values if self.tenants == 1 else values[self.rows]

    @property
    def size(self) -> int:
        """Trainable parameters of one tenant."""
        return sum(p.numel() for p in self.parameters()) // self.tenants

    def take(self, adapters: list[Adapter]) -> None:
        """Hold the parameters of several trained adapters, one for each tenant."""
        others = [dict(one.named_parameters()) for one in adapters]
        with torch.no_grad():
            for name, own in self.named_parameters():
                own.copy_(torch.cat([other[name] for other in others]))


class Lora(Adapter):
    """Low-rank updates of the query and value products (arXiv 2106.09685)."""

    def __init__(self, c: LanguageConfig, tenants: int = 1, rank: int = 3, seed: int = 0) -> None:
        super().__init__(tenants)
        rng = torch.Generator().manual_seed(seed)
        self.scale = 2.0
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for layer in range(c.layers):
            for part in ("attn_q", "attn_v"):
                inner, outer = widths(c)[part]
                noise = torch.randn(tenants, inner, rank, generator=rng) / math.sqrt(inner)
                self.down[f"{layer}{part}"] = nn.Parameter(noise)
                self.up[f"{layer}{part}"] = nn.Parameter(torch.zeros(tenants, rank, outer))

    def product(self, layer: int, part: str, x: Tensor, base: Product) -> Tensor:
        key = f"{layer}{part}"
        if key not in self.down:
            return base(x)
        return base(x) + self.scale * (x @ self.of(self.down[key])) @ self.of(self.up[key])

    @staticmethod
    def count(c: LanguageConfig, rank: int = 3) -> int:
        kv = c.kv_heads * c.head_dim
        return c.layers * rank * (c.width + c.width + c.width + kv)


class Ia3(Adapter):
    """Vectors that multiply representations (arXiv 2205.05638). The paper has them on keys, values
    and the feed-forward's inner state; here they are on the outputs of all products and on the
    feed-forward's input, so that it has as many parameters as the others."""

    def __init__(
        self, c: LanguageConfig, tenants: int = 1, seed: int = 0, hidden: int = HIDDEN
    ) -> None:
        super().__init__(tenants)
        del seed  # nothing is random
        self.vectors = nn.ParameterDict()
        for layer in range(c.layers):
            self.vectors[f"{layer}ffn_input"] = nn.Parameter(torch.ones(tenants, 1, c.width))
            for part, (_, outer) in widths(c, hidden).items():
                self.vectors[f"{layer}{part}"] = nn.Parameter(torch.ones(tenants, 1, outer))

    def product(self, layer: int, part: str, x: Tensor, base: Product) -> Tensor:
        if part in ("ffn_gate", "ffn_up"):
            x = x * self.of(self.vectors[f"{layer}ffn_input"])
        return base(x) * self.of(self.vectors[f"{layer}{part}"])

    @staticmethod
    def count(c: LanguageConfig, hidden: int = HIDDEN) -> int:
        return c.layers * (c.width + sum(outer for _, outer in widths(c, hidden).values()))


# --- PEDRO ----------------------------------------------------------------------------------------

NUMERATOR, DENOMINATOR = 6, 4


def rational_start() -> tuple[Tensor, Tensor]:
    """Coefficients with which P(x) / (1 + |x Q(x)|) is near GELU on [-3, 3] (least squares of
    P - GELU * Q = GELU, all of Q's terms even, so that the bars change nothing)."""
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    goal = F.gelu(x)
    powers = torch.stack([x**k for k in range(NUMERATOR)], 1)
    even = torch.stack([x**2, x**4], 1)
    system = torch.cat((powers, -goal[:, None] * even), 1)
    found = torch.linalg.lstsq(system, goal[:, None]).solution[:, 0].float()
    q = torch.zeros(DENOMINATOR)
    q[1], q[3] = found[NUMERATOR], found[NUMERATOR + 1]
    return found[:NUMERATOR], q


def rational(x: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """P(x) / (1 + |x Q(x)|) with coefficients (B or 1, terms), a safe Pade unit (arXiv 1907.06732)
    of x (B, r)."""
    top = sum((p[:, k : k + 1] * x**k for k in range(NUMERATOR)), torch.zeros_like(x))
    low = sum((q[:, k : k + 1] * x ** (k + 1) for k in range(DENOMINATOR)), torch.zeros_like(x))
    return top / (1 + low.abs())


class Pedro(Adapter):
    """Vectors that depend on the prompt (arXiv 2409.17834). In each layer a generator (down
    projection, learned rational activation, up projection) makes of the state of the prompt's last
    token what multiplies queries, values and the feed-forward's up representation, then and while
    decoding."""

    PARTS = ("attn_q", "attn_v", "ffn_up")

    def __init__(
        self, c: LanguageConfig, tenants: int = 1, rank: int = 1, seed: int = 0,
        hidden: int = HIDDEN,
    ) -> None:  # fmt: skip
        super().__init__(tenants)
        rng = torch.Generator().manual_seed(seed)
        self.sizes = [widths(c, hidden)[part][1] for part in self.PARTS]
        p, q = rational_start()
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        self.p, self.q, self.bias = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for _ in range(c.layers):
            noise = torch.randn(tenants, c.width, rank, generator=rng) / math.sqrt(c.width)
            self.down.append(nn.Parameter(noise))
            self.up.append(nn.Parameter(torch.zeros(tenants, rank, sum(self.sizes))))
            self.bias.append(nn.Parameter(torch.ones(tenants, 1, sum(self.sizes))))
            self.p.append(nn.Parameter(p.repeat(tenants, 1)))
            self.q.append(nn.Parameter(q.repeat(tenants, 1)))
        self.generated: dict[int, dict[str, Tensor]] = {}
        self.decoding = False

    def begin(self, last: Tensor, rows: Tensor) -> None:
        super().begin(last, rows)
        self.generated, self.decoding = {}, False

    def resume(self) -> None:
        self.decoding = True

    def product(self, layer: int, part: str, x: Tensor, base: Product) -> Tensor:
        if part == "attn_q" and not self.decoding:
            self.generated[layer] = self._generate(layer, x)
        if part not in self.PARTS:
            return base(x)
        return base(x) * self.generated[layer][part]

    def _generate(self, layer: int, x: Tensor) -> dict[str, Tensor]:
        """(B, 1, width) vectors of each part, from normed states (B, L, width)."""
        state = x[torch.arange(len(x)), self.last][:, None]
        inner = (state @ self.of(self.down[layer]))[:, 0]
        inner = rational(inner, self.of(self.p[layer]), self.of(self.q[layer]))
        vectors = self.of(self.bias[layer]) + inner[:, None] @ self.of(self.up[layer])
        return dict(zip(self.PARTS, vectors.split(self.sizes, -1), strict=True))

    @staticmethod
    def count(c: LanguageConfig, rank: int = 1, hidden: int = HIDDEN) -> int:
        vectors = c.width + c.kv_heads * c.head_dim + hidden
        return c.layers * (rank * (c.width + vectors) + vectors + NUMERATOR + DENOMINATOR)


ADAPTERS: Mapping[str, type[Adapter]] = {"pedro": Pedro, "lora": Lora, "ia3": Ia3}


def start(method: str, c: LanguageConfig, tenants: int = 1, seed: int = 0) -> Adapter:
    """An adapter that changes nothing yet."""
    return ADAPTERS[method](c, tenants=tenants, seed=seed)  # type: ignore[call-arg, arg-type]
