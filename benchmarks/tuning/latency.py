"""What an answer takes on one backbone: for one tenant, and for eight tenants in one batch.

Times are CPU seconds of one thread in PyTorch without a cache but that of the shared beginning, the
best of some repetitions, so that work beside them on the machine counts little. They compare the
methods with each other; llama.cpp is faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from benchmarks.compare import keep, kept

from .adapters import ADAPTERS, Adapter, start
from .examples import Reader
from .measure import Bench, Run
from .model import Ask, TunedLanguage, option_scores

TENANTS, REPEATS = 8, 3


def latency(options: argparse.Namespace) -> int:
    """One line of `latency.jsonl` for each task and method that has none yet."""
    options.work.mkdir(parents=True, exist_ok=True)
    place = options.work / "latency.jsonl"
    done = {(run["task"], run["method"]) for run in kept(place)}
    bench = Bench(
        Reader.open(options.model, options.mmproj), options.folder, options.work, options.model,
        options.mmproj, options.corpus,
    )  # fmt: skip
    for task in options.tasks:
        for method in ("none", *ADAPTERS):
            if (task, method) not in done:
                run = timed(bench, task, method)
                keep(place, [run])
                print(run, flush=True)
    return 0


def timed(bench: Bench, task: str, method: str) -> Run:
    """Seconds an answer of a batch of eight, for one tenant and for eight; and of a single one."""
    language = bench.reader.language
    asks = bench.asks(task, 8, "seed", "test", 0)[:TENANTS]
    run: Run = {"task": task, "method": method, "tokens": len(asks[0].inputs)}
    for name, tenants in (("one_tenant", 1), ("eight_tenants", TENANTS)):
        language.adapter = _moved(method, language, tenants)
        rows = [0] * TENANTS if tenants == 1 else list(range(TENANTS))
        run[name] = round(_best(language, asks, rows) / TENANTS, 4)
        if tenants == 1:
            run["single"] = round(_best(language, asks[:1], [0]), 4)
    language.adapter = None
    return run


def _moved(method: str, language: TunedLanguage, tenants: int) -> Adapter | None:
    """An adapter whose parameters are not those of the start, so that nothing is a product by 1."""
    if method == "none":
        return None
    torch.manual_seed(0)
    adapter = start(method, language.c, tenants).requires_grad_(False)
    for parameter in adapter.parameters():
        parameter += 0.01 * torch.randn_like(parameter)
    return adapter


@torch.no_grad()
def _best(language: TunedLanguage, asks: Sequence[Ask], rows: Sequence[int]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        option_scores(language, asks, rows)
        times.append(time.process_time() - started)
    return min(times)
