"""The frozen language model with an adapter, and answers by it: scores of options, greedy text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from training.smollm2.language import Cache, Language, causal, spread

from .adapters import Adapter

FORBIDDEN = -1e9


class TunedLanguage(Language):
    """The frozen weights of `base`; with an adapter, its products go through it. With `half`, the
    products of layers are computed in bfloat16, all between them in float32: four times as fast on
    a CPU that multiplies bfloat16, and exact weights where the file has bfloat16 ones."""

    def __init__(self, base: Language, half: bool = False) -> None:
        self.c, self.dtype, self.device = base.c, base.dtype, base.device
        self.weights, self.embeddings = base.weights, base.embeddings
        self.adapter: Adapter | None = None
        self._half = {
            name: weight.bfloat16() for name, weight in base.weights.items()
            if half and name.startswith("blk.") and weight.dim() == 2
        }  # fmt: skip

    @property
    def products(self) -> str:
        """Type in which the products of layers are computed."""
        return "bfloat16" if self._half else "float32"

    def product(self, x: Tensor, name: str) -> Tensor:
        base = partial(self._frozen, name=name)
        if self.adapter is None or not name.startswith("blk."):
            return base(x)
        _, layer, part, _ = name.split(".")
        return self.adapter.product(int(layer), part, x, base)

    def _frozen(self, x: Tensor, name: str) -> Tensor:
        if name not in self._half:
            return super().product(x, name)
        return F.linear(x.bfloat16(), self._half[name]).float()

    @torch.no_grad()
    def shared(self, tokens: tuple[int, ...]) -> Shared:
        """The beginning of chats, computed without the adapter."""
        adapter, self.adapter = self.adapter, None
        try:
            return Shared(len(tokens), self.prefix(list(tokens)) if tokens else None)
        finally:
            self.adapter = adapter


@dataclass(frozen=True)
class Shared:
    """Keys and values of the `length` tokens that chats begin with."""

    length: int
    cache: Cache | None


@dataclass(frozen=True)
class Ask:
    """A chat after its shared beginning, embedded (n, width); the tokens of each option; the labels
    that the options stand for and what is added to each label's score; the right label."""

    shared: Shared
    inputs: Tensor
    options: tuple[tuple[int, ...], ...]
    label_of: tuple[int, ...]
    offsets: tuple[float, ...]
    gold: int

    @property
    def stems(self) -> tuple[tuple[int, ...], ...]:
        """What has to be read before the last tokens of the options; one that begins another one is
        read with it."""
        every = {option[:-1] for option in self.options}
        longer = [stem for stem in every
                  if not any(o != stem and o[: len(stem)] == stem for o in every)]  # fmt: skip
        return tuple(sorted(longer))


def option_scores(
    language: TunedLanguage, asks: Sequence[Ask], tenants: Sequence[int] | None = None
) -> list[Tensor]:
    """Log-probability of every option of each ask; all asks have the same shared beginning."""
    shared = asks[0].shared
    placed = [(index, stem) for index, ask in enumerate(asks) for stem in ask.stems]
    rows = [
        torch.cat((asks[i].inputs, language.embed(torch.tensor(stem, dtype=torch.long))))
        for i, stem in placed
    ]
    last = torch.tensor([len(asks[i].inputs) - 1 for i, _ in placed])
    owners = None if tenants is None else [tenants[i] for i, _ in placed]
    x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    begin(language, last, owners)
    n = x.shape[1]
    mask = torch.cat((torch.zeros(1, 1, n, shared.length), causal(n, x.dtype, x.device)), -1)
    places = spread(shared.length, n, x.device)
    states, _ = language.states(x, mask.to(x.dtype), places, shared.cache)
    found: list[dict[int, Tensor]] = [{} for _ in asks]
    for row, (index, stem) in enumerate(placed):
        place = int(last[row])
        logs = language.logits(states[row, place : place + len(stem) + 1]).log_softmax(-1)
        for number, option in enumerate(asks[index].options):
            if stem[: len(option) - 1] == option[:-1]:
                steps = torch.arange(len(option))
                found[index][number] = logs[steps, torch.tensor(option)].sum()
    return [torch.stack([own[number] for number in sorted(own)]) for own in found]


def begin(language: TunedLanguage, last: Tensor, tenants: Sequence[int] | None) -> None:
    if language.adapter is not None:
        rows = torch.tensor(tenants if tenants is not None else [0] * len(last))
        language.adapter.begin(last, rows)


def label_scores(ask: Ask, scores: Tensor) -> Tensor:
    """(labels,) scores: the sum of a label's words, and its offset."""
    words = torch.tensor(ask.label_of)
    own = [scores[words == label].logsumexp(0) for label in range(len(ask.offsets))]
    return torch.stack(own) + torch.tensor(ask.offsets)


@torch.no_grad()
def generate(
    language: TunedLanguage, prompt: Sequence[int], count: int, cached: bool = True
) -> list[int]:
    """`count` greedy tokens after a prompt; uncached, all is computed again for every token."""
    tokens = list(prompt)
    last = torch.tensor([len(prompt) - 1])
    cache: Cache | None = None
    for step in range(count):
        known = len(tokens) - 1 if cached and step else 0
        if known and language.adapter is not None:
            language.adapter.resume()
        elif not known:
            begin(language, last, None)
        x = language.embed(torch.tensor([tokens[known:]]))
        n = x.shape[1]
        mask = torch.zeros(1, 1, n, known + n)
        mask[..., known:] = causal(n, x.dtype, x.device)
        states, cache = language.states(
            x, mask, spread(known, n, x.device), cache if known else None
        )
        tokens.append(int(language.logits(states[0, -1]).argmax()))
    return tokens[len(prompt) :]
