"""The search against its peers and yardsticks on real tasks.

    python -m benchmarks.real compare --tasks dev --seeds 0 --budgets 100 300 --workers 2

Every run is appended to `.work/real.jsonl` as soon as it ends, and the model's answers are cached
beside it, so the command can be interrupted and called again. Pairs of task and seed are divided
among `--workers` processes. `--torch cuda` computes the forward passes in PyTorch
(`torch_engine.py`); its answers and records are kept apart by the model's fingerprint.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.compare import identity, keep, kept
from benchmarks.contest import LEARNING
from benchmarks.memo import MemoEngine
from benchmarks.priors import made, rows_of
from idealprompt_cli.core.errors import IdealPromptError
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.priors import Priors
from idealprompt_cli.storage.response_cache import open_cache
from idealprompt_cli.task import load_task

from .catalogue import TASKS
from .methods import METHODS, compared, text_requests

if TYPE_CHECKING:
    from .torch_engine import TorchEngine

MEMO_BYTES = 8 << 30


@dataclass(frozen=True)
class Call:
    """What one call of the command compares, and where it keeps its runs."""

    tasks: Path
    work: Path
    model: Path
    mmproj: Path
    torch: str
    methods: tuple[str, ...]
    budgets: tuple[int, ...]
    threads: int = 0
    until: float = 0.0
    writer: Path | None = None

    @staticmethod
    def of(options: argparse.Namespace) -> Call:
        """What the options of `add_arguments` ask for."""
        until = time.time() + 60 * options.minutes if options.minutes else 0.0
        options.work.mkdir(parents=True, exist_ok=True)
        return Call(
            options.folder, options.work, options.model, options.mmproj, options.torch,
            tuple(options.methods), tuple(sorted(options.budgets)), options.threads, until,
            options.writer,
        )  # fmt: skip


class Opened:
    """A model as a `MemoEngine`, and its embeddings of examples."""

    def __init__(self, call: Call, pictures: bool) -> None:
        ref = ModelRef(call.model, call.mmproj if pictures else None)
        self._torch: TorchEngine | None = None
        if call.torch:
            from .torch_engine import open_language, open_torch

            language = open_language(call.model, call.torch)
            engine: Any = open_torch(ref, language, EngineOptions(threads=call.threads))
            self._torch = engine
        else:
            engine = open_engine("llama_cpp", ref, EngineOptions(threads=call.threads), print)
        self._engine = engine
        cache = open_cache(call.work / "answers.sqlite", engine.info(), print, limit=MEMO_BYTES)
        self.memo = MemoEngine(engine, cache)

    def embed(self, task: Task, examples: Sequence[Example]) -> np.ndarray:
        """(examples, width): the mean of a picture's tokens; the mean of the states of a text."""
        if any(example.images for example in examples):
            return np.asarray(self._engine.embed([example.images[0] for example in examples]))
        if self._torch is None:
            raise IdealPromptError("embeddings of texts need --torch")
        return np.asarray(self._torch.text_embeddings(text_requests(task, examples)))


@dataclass
class Models:
    """The model with and without its vision tower, and the writer, each opened when needed."""

    call: Call
    opened: dict[bool, Opened] = field(default_factory=dict)

    @cached_property
    def writer(self) -> MemoEngine | None:
        """The second model that writes for GEPA."""
        if self.call.writer is None:
            return None
        options = EngineOptions(threads=self.call.threads)
        engine = open_engine("llama_cpp", ModelRef(self.call.writer, None), options, print)
        cache = open_cache(self.call.work / "writer.sqlite", engine.info(), print, limit=MEMO_BYTES)
        return MemoEngine(engine, cache)

    def of(self, task: Task) -> Opened:
        if task.pictured not in self.opened:
            self.opened[task.pictured] = Opened(self.call, task.pictured)
        return self.opened[task.pictured]


def run_pairs(call: Call, pairs: Sequence[tuple[str, int]], place: int) -> None:
    """All runs of some pairs of task and seed that are not kept yet."""
    models = Models(call)
    done = {identity(record) for record in kept(call.work / "real.jsonl")}
    for name, seed in pairs:
        task = load_task(call.tasks / name)
        opened = models.of(task)
        start = time.perf_counter()
        for method in call.methods:
            if call.until and time.time() > call.until:
                return
            writer = models.writer if method.endswith("+writer") else None
            _run(call, opened, done, method, task, seed, writer)
        print(f"[{place}] {name} {seed}: {time.perf_counter() - start:.0f} s", flush=True)


def _run(
    call: Call,
    opened: Opened,
    done: set[tuple[Any, ...]],
    method: str,
    task: Task,
    seed: int,
    writer: MemoEngine | None,
) -> None:
    info = opened.memo.info()
    head = {"model": info.fingerprint, "pool": "by strength", "set": TASKS[task.name].part}
    mark = {**head, "method": method, "task": task.name, "fingerprint": task.fingerprint}
    budgets = [b for b in call.budgets
               if identity({**mark, "seed": seed, "budget": b}) not in done]  # fmt: skip
    if not budgets:
        return
    start = time.perf_counter()
    try:
        found = compared(
            method, opened.memo, task, seed, budgets, lambda some: opened.embed(task, some), writer,
            learnt_elsewhere(call.work / "priors.jsonl", method, task.name),
        )  # fmt: skip
    except Exception:  # one method that fails must not end the others' runs
        print(f"{method} {task.name} {seed}: {traceback.format_exc(limit=-3)}", flush=True)
        return
    keep(call.work / "real.jsonl", [{**head, **record} for record in found])
    tests = " ".join(f"{100 * record['test']:.0f}" for record in found)
    took = time.perf_counter() - start
    print(f"{task.name} {seed} {method}: {tests} ({took:.0f} s)", flush=True)


def learnt_elsewhere(lines: Path, method: str, name: str) -> Priors | None:
    """What the kept lessons of the dev tasks but `name` amount to; of every other one of those for
    "puct+box", which stands for one of two boxes. None for methods that learn nothing."""
    if method not in LEARNING:
        return None
    others = [one for one, task in TASKS.items() if task.part == "dev" and one != name]
    return made(rows_of(lines, others[::2] if method == "puct+box" else others))


def chosen(names: Sequence[str]) -> list[str]:
    """Tasks by name, or by part: "dev", "held", "all"."""
    parts = {"dev", "held"} & set(names) or ({"dev", "held"} if "all" in names else set())
    return [name for name, task in TASKS.items() if name in names or task.part in parts]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="task folders, as `write` made them")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where runs and answers are kept")
    parser.add_argument(
        "--tasks", nargs="+", default=["all"], choices=("dev", "held", "all", *TASKS)
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 300, 800])
    parser.add_argument("--torch", default="", help='compute in PyTorch on this device ("cuda")')
    parser.add_argument(
        "--writer", type=Path, help='second model, for methods that end in "+writer"'
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no run after this time")


def compare(options: argparse.Namespace) -> int:
    """Run what is asked for; seeds first to last, so that a part of them is a fair sample."""
    call = Call.of(options)
    pairs = [(name, seed) for seed in options.seeds for name in chosen(options.tasks)]
    parts = [pairs[place :: options.workers] for place in range(options.workers)]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=run_pairs, args=(call, part, place))
        for place, part in enumerate(parts) if part
    ]  # fmt: skip
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max((abs(worker.exitcode or 0) for worker in workers), default=0)
