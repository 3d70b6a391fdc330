"""Adapters beside frozen weights: nothing changes at the start, only they learn, sizes by formula.

On a model of two layers with random weights; skipped where PyTorch is not installed.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from benchmarks.tuning.adapters import (  # noqa: E402
    ADAPTERS,
    Ia3,
    Lora,
    Pedro,
    rational,
    rational_start,
    start,
)
from benchmarks.tuning.model import (  # noqa: E402
    Ask,
    Shared,
    TunedLanguage,
    generate,
    option_scores,
)
from benchmarks.tuning.train import Hyper, accuracy, perplexity, train  # noqa: E402
from training.smollm2.language import Language, LanguageConfig  # noqa: E402

CONFIG = LanguageConfig(width=32, layers=2, heads=4, kv_heads=2)
HIDDEN, VOCABULARY = 48, 50
METHODS = sorted(ADAPTERS)


def made(method: str, tenants: int = 1, seed: int = 0) -> Any:
    if method == "lora":
        return Lora(CONFIG, tenants, seed=seed)
    return ADAPTERS[method](CONFIG, tenants=tenants, seed=seed, hidden=HIDDEN)


def stirred(adapter: Any, seed: int = 1) -> Any:
    """With other parameters than those of the start."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=rng)
    return adapter


@pytest.fixture
def language() -> Any:
    """Random weights in the layout of the GGUF."""
    rng = torch.Generator().manual_seed(0)

    def weight(*shape: int) -> Any:
        return torch.randn(shape, generator=rng) / shape[-1] ** 0.5

    kv = CONFIG.kv_heads * CONFIG.head_dim
    base = Language.__new__(Language)
    base.c, base.dtype, base.device = CONFIG, torch.float32, torch.device("cpu")
    base.weights = {
        "token_embd.weight": weight(VOCABULARY, CONFIG.width),
        "output_norm.weight": torch.ones(CONFIG.width),
    }
    for layer in range(CONFIG.layers):
        shapes = {
            "attn_q": (CONFIG.width, CONFIG.width), "attn_k": (kv, CONFIG.width),
            "attn_v": (kv, CONFIG.width), "attn_output": (CONFIG.width, CONFIG.width),
            "ffn_gate": (HIDDEN, CONFIG.width), "ffn_up": (HIDDEN, CONFIG.width),
            "ffn_down": (CONFIG.width, HIDDEN),
        }  # fmt: skip
        own = {f"blk.{layer}.{part}.weight": weight(*shape) for part, shape in shapes.items()}
        norms = {f"blk.{layer}.{part}_norm.weight": torch.ones(CONFIG.width)
                 for part in ("attn", "ffn")}  # fmt: skip
        base.weights |= own | norms
    base.embeddings = base.weights["token_embd.weight"]
    return TunedLanguage(base)


def asks(language: Any, count: int = 6) -> list[Any]:
    """Two labels that the first token decides, after a shared beginning."""
    rng = torch.Generator().manual_seed(3)
    shared = language.shared((1, 2, 3))
    found = []
    for number in range(count):
        tokens = torch.randint(10, 40, (4 + number % 3,), generator=rng)
        tokens[0] = 20 + number % 2
        inputs = language.embed(tokens)
        found.append(Ask(shared, inputs, ((5, 6), (5, 7)), (0, 1), (0.0, 0.0), number % 2))
    return found


@pytest.mark.parametrize("method", METHODS)
def test_unchanged_at_the_start(language: Any, method: str) -> None:
    some = asks(language)
    before = option_scores(language, some)
    language.adapter = made(method)
    after = option_scores(language, some)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    language.adapter = stirred(language.adapter)
    moved = option_scores(language, some)
    assert not any(torch.allclose(a, b) for a, b in zip(before, moved, strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_the_adapter_alone(language: Any, method: str) -> None:
    language.adapter = stirred(made(method))
    torch.stack(option_scores(language, asks(language))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in language.adapter.parameters())
    assert all(w.grad is None and not w.requires_grad for w in language.weights.values())


@pytest.mark.parametrize("method", METHODS)
def test_training_changes_no_weight(language: Any, method: str) -> None:
    kept = {name: weight.clone() for name, weight in language.weights.items()}
    adapter, some = made(method), asks(language)
    done = train(language, adapter, some, (), Hyper(0.05, 30), seed=0)
    assert done.loss < 0.6, "two labels, known by one token"
    assert accuracy(language, some) >= 5 / 6
    assert all(torch.equal(kept[name], weight) for name, weight in language.weights.items())


@pytest.mark.parametrize("method", METHODS)
def test_products_in_bfloat16_are_close_and_learn_as_well(language: Any, method: str) -> None:
    half = TunedLanguage(language, half=True)
    assert (language.products, half.products) == ("float32", "bfloat16")
    some = asks(language)
    for whole, near in zip(option_scores(language, some), option_scores(half, some), strict=True):
        assert 0 < (whole - near).abs().max() < 0.1
        assert near.dtype == torch.float32
    assert train(half, made(method), some, (), Hyper(0.05, 30), seed=0).loss < 0.6
    assert accuracy(half, some) >= 5 / 6


def test_sizes() -> None:
    real = LanguageConfig()
    for method in METHODS:
        assert start(method, real).size == ADAPTERS[method].count(real)
    assert Lora.count(real) == Ia3.count(real) == 172_800 == 30 * 3 * (3 * 576 + 192)
    vectors = 576 + 192 + 1536
    assert Pedro.count(real) == 155_820 == 30 * (576 + vectors + vectors + 10)
    assert Pedro.count(real) / Lora.count(real) == pytest.approx(1, abs=0.1)
    assert made("pedro").size == Pedro.count(CONFIG, hidden=HIDDEN)


@pytest.mark.parametrize("method", METHODS)
def test_cached_generation_equals_uncached(language: Any, method: str) -> None:
    language.adapter = stirred(made(method), 2).requires_grad_(False)
    prompt = [4, 8, 15, 16, 23]
    cached = generate(language, prompt, 12)
    assert cached == generate(language, prompt, 12, cached=False)
    language.adapter = None
    assert cached != generate(language, prompt, 12)


@pytest.mark.parametrize("method", METHODS)
def test_tenants_of_one_batch_are_apart(language: Any, method: str) -> None:
    some, own = asks(language, 3), [stirred(made(method), seed) for seed in (1, 2, 3)]
    alone = []
    for ask, adapter in zip(some, own, strict=True):
        language.adapter = adapter
        alone += option_scores(language, [ask])
    language.adapter = made(method, tenants=3)
    language.adapter.take(own)
    together = option_scores(language, some, [0, 1, 2])
    for a, b in zip(alone, together, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_options_with_stems_of_their_own(language: Any) -> None:
    [one] = asks(language, 1)
    options = ((5, 6), (9,), (5, 7, 8), (11, 12))
    both = Ask(one.shared, one.inputs, options, (0, 1, 1, 0), (0.0, 0.0), 0)
    assert both.stems == ((5, 7), (11,))
    [scores] = option_scores(language, [both])
    for place, option in enumerate(options):
        single = Ask(one.shared, one.inputs, (option,), (0,), (0.0,), 0)
        [[alone]] = option_scores(language, [single])
        assert torch.allclose(scores[place], alone, atol=1e-5)


def test_a_shared_beginning_changes_nothing_without_an_adapter(language: Any) -> None:
    tokens = torch.tensor([1, 2, 3, 20, 21])
    whole = Ask(Shared(0, None), language.embed(tokens), ((5, 6),), (0,), (0.0,), 0)
    rest = Ask(language.shared((1, 2, 3)), language.embed(tokens[3:]), ((5, 6),), (0,), (0.0,), 0)
    [one], [other] = option_scores(language, [whole]), option_scores(language, [rest])
    assert torch.allclose(one, other, atol=1e-5)
    assert perplexity(language, [whole]) > 1


def test_a_corpus_holds_the_model_back(language: Any) -> None:
    some = asks(language)
    pair = Ask(language.shared(()), language.embed(torch.tensor([30, 31])), ((8, 9, 10),), (0,),
               (0.0,), 0)  # fmt: skip
    found = {}
    for pairs in ((), (pair,)):
        train(language, made("ia3"), some, pairs, Hyper(0.05, 30), seed=0)
        found[bool(pairs)] = perplexity(language, [pair])
    assert found[True] < found[False]


def test_the_rational_activation_starts_as_gelu() -> None:
    x = torch.linspace(-3, 3, 61)[:, None]
    p, q = rational_start()
    gap = (rational(x, p[None], q[None]) - torch.nn.functional.gelu(x)).abs().max()
    assert gap < 0.03
