"""The grid of runs: tasks, numbers of examples, methods, with and without a corpus, prompts.

Every run is a line of `tuning.jsonl`; one that is there is not made again, so the command can be
stopped at any time. The order of runs is such that a part of them is a fair sample.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.compare import keep, kept
from benchmarks.real.catalogue import EVERY
from benchmarks.real.methods import EXPERT
from idealprompt_cli.core.errors import TaskError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.task import Task
from idealprompt_cli.io.yaml import plain_data
from idealprompt_cli.prompts.serialisation import from_dict, to_dict
from idealprompt_cli.synthesis.corpus import read_pairs
from idealprompt_cli.task import load_task
from idealprompt_cli.task.sampling import subsample

from .adapted import search_prompt
from .adapters import ADAPTERS, start
from .examples import Reader
from .model import Ask
from .train import HYPER, Hyper, accuracy, lean, perplexity, train

SIZES = (32, 8, 64, 16)
HELD = ("six_codes", "style_code", "eight_desks", "range_size", "five_trays")
OTHER = {
    "six_codes": "eight_desks", "eight_desks": "six_codes", "style_code": "range_size",
    "range_size": "style_code", "five_trays": "six_codes", "queue_short": "six_codes",
    "warehouse_code": "style_code",
}  # fmt: skip
TEST, OTHER_TEST, KEPT_PAIRS = 72, 24, 12
Run = dict[str, Any]


@dataclass(frozen=True, order=True)
class Key:
    """What a run is: `method` "none" only scores the prompt, "weighted" one prompt with weighted
    answer words; `prompt` is "seed" or "adapted"; with `corpus` the tree-generated pairs are mixed
    in."""

    task: str
    examples: int
    method: str
    prompt: str
    corpus: bool
    seed: int
    rate: float = 0.0
    steps: int = 0

    @staticmethod
    def of(run: Run) -> Key:
        return Key(*(run[name] for name in Key.__dataclass_fields__))


Cell = tuple[str, str, bool]
"""Method, prompt, and whether the corpus is mixed in."""
SCORED: tuple[Cell, ...] = (
    ("none", "seed", False), ("none", "adapted", False), ("weighted", "adapted", False),
)  # fmt: skip
TUNED: tuple[Cell, ...] = tuple((method, "seed", False) for method in ADAPTERS)
BESIDE: tuple[Cell, ...] = (
    ("pedro", "adapted", False), *((method, "seed", True) for method in ADAPTERS),
)  # fmt: skip


def grid(tasks: Sequence[str], sizes: Sequence[int], seeds: Sequence[int]) -> Iterator[Key]:
    """All runs: the methods themselves with the first seed, what is beside them for the first size,
    then the other seeds and the rest."""
    for n in sizes:
        yield from _keys(tasks, n, (*SCORED, *TUNED), seeds[0])
    yield from _keys(tasks, sizes[0], BESIDE, seeds[0])
    for seed in seeds:
        for n in sizes:
            yield from _keys(tasks, n, (*SCORED, *TUNED), seed)
    for seed in seeds:
        for n in sizes:
            yield from _keys(tasks, n, BESIDE, seed)


def _keys(tasks: Sequence[str], n: int, cells: Sequence[Cell], seed: int) -> Iterator[Key]:
    for method, prompt, corpus in cells:
        hyper = HYPER.get(method, Hyper(0.0, 0))
        for task in tasks:
            yield Key(task, n, method, prompt, corpus, seed, hyper.rate, hyper.steps)


@dataclass
class Bench:
    """What runs share: the model, tasks, prompts and figures that need no training."""

    reader: Reader
    folder: Path
    work: Path
    model: Path
    mmproj: Path
    corpus: Path
    _tasks: dict[tuple[str, int, int], Task] = field(default_factory=dict)
    _asks: dict[tuple[str, int, str, str, int], list[Ask]] = field(default_factory=dict)
    _experts: dict[str, Prompt] = field(default_factory=dict)
    _pairs: tuple[list[Ask], list[Ask]] | None = None
    _kept: dict[str, tuple[float, float]] = field(default_factory=dict)

    def task(self, name: str, examples: int, seed: int) -> Task:
        key = (name, examples, seed)
        if key not in self._tasks:
            whole = load_task(self.folder / name)
            test = min(TEST, len(whole.test))
            # The held-out examples are the same for all sizes and seeds.
            held = subsample(whole, 0, test).test
            part = subsample(whole, examples, 0, seed)
            self._tasks[key] = replace(part, test=held)
        return self._tasks[key]

    def prompt(self, name: str, examples: int, which: str, seed: int) -> Prompt:
        task = self.task(name, examples, seed)
        if which == "seed":
            return Prompt(task.question)
        if which == "expert":
            return self._expert(task)
        return from_dict(self._searched(task, examples, seed)["winner"], name)

    def _expert(self, task: Task) -> Prompt:
        """The prompt by hand; what the untuned model leans to on training examples is taken off."""
        if task.name not in self._experts:
            text = (EXPERT / f"{task.name}.yaml").read_text("utf-8")
            prompt = from_dict(plain_data(text, task.name, TaskError), task.name)
            asks = self.reader.asks(prompt, task, task.train[:OTHER_TEST])
            means = lean(self.reader.language, asks)
            offsets = tuple((label, -mean) for label, mean in zip(task.labels, means, strict=True))
            self._experts[task.name] = prompt.with_(calibration=offsets)
        return self._experts[task.name]

    def _searched(self, task: Task, examples: int, seed: int) -> Run:
        """The adapted prompt, found once."""
        place = self.work / "prompts.jsonl"
        mark = {"task": task.name, "examples": examples, "seed": seed}
        for run in kept(place):
            if all(run[key] == value for key, value in mark.items()):
                return dict(run)
        found = search_prompt(task, self.model, self.mmproj, seed)
        run = {**mark, "winner": to_dict(found.prompt), "seconds": found.seconds,
               "evaluations": found.evaluations, "weighted": found.weighted}  # fmt: skip
        keep(place, [run])
        return run

    def asks(self, name: str, examples: int, which: str, part: str, seed: int) -> list[Ask]:
        """The asks of a part ("train", "test", "few": some held-out ones) under a prompt."""
        own = which == "adapted" or part == "train"
        key = (name, examples if own else 0, which, part, seed if own else 0)
        if key not in self._asks:
            task = self.task(name, examples, seed)
            some = {"train": task.train, "test": task.test, "few": task.test[:OTHER_TEST]}[part]
            self._asks[key] = self.reader.asks(self.prompt(name, examples, which, seed), task, some)
        return self._asks[key]

    def pairs(self) -> tuple[list[Ask], list[Ask]]:
        """(mixed in, kept apart to measure) pairs of the corpus; those that are kept apart are on
        other topics of the first level than those mixed in, as far as there are several."""
        if self._pairs is not None:
            return self._pairs
        _, found = read_pairs(self.corpus)
        first = min(pair.path[:1] for pair in found)
        apart = [pair for pair in found if pair.path[:1] == first][:KEPT_PAIRS]
        mixed = [pair for pair in found if pair.path[:1] != first]
        self._pairs = self.reader.pairs(mixed), self.reader.pairs(apart)
        return self._pairs

    def forgetting(self, name: str) -> tuple[float, float]:
        """Accuracy on a task that was not tuned on, with its expert prompt, and perplexity of the
        model's own answers, with the adapter that is on."""
        language = self.reader.language
        if language.adapter is None and name in self._kept:
            return self._kept[name]
        other = self.asks(OTHER[name], max(SIZES), "expert", "few", 0)
        found = (
            round(accuracy(language, other), 4), round(perplexity(language, self.pairs()[1]), 4)
        )  # fmt: skip
        if language.adapter is None:
            self._kept[name] = found
        return found

    def run(self, key: Key) -> Run:
        """Train and measure one cell of the grid."""
        language = self.reader.language
        language.adapter = None
        test = self.asks(key.task, key.examples, key.prompt, "test", key.seed)
        run: Run = {**asdict(key), "parameters": 0, "train_seconds": 0.0, "train_bytes": 0,
                    "products": language.products}  # fmt: skip
        if key.method in ADAPTERS:
            # The expert prompt of the other task is calibrated on the untuned model.
            self.asks(OTHER[key.task], max(SIZES), "expert", "few", 0)
            adapter = start(key.method, language.c, seed=key.seed)
            asks = self.asks(key.task, key.examples, key.prompt, "train", key.seed)
            mixed = self.pairs()[0] if key.corpus else ()
            done = train(language, adapter, asks, mixed, Hyper(key.rate, key.steps), key.seed)
            run |= {"parameters": adapter.size, "train_seconds": round(done.seconds, 2),
                    "train_bytes": done.bytes, "loss": round(done.loss, 4)}  # fmt: skip
            language.adapter = adapter.requires_grad_(False)
        elif key.prompt == "adapted":
            task = self.task(key.task, key.examples, key.seed)
            searched = self._searched(task, key.examples, key.seed)
            run["train_seconds"] = searched["seconds"]
        run["test"] = (
            searched["weighted"] if key.method == "weighted" else round(accuracy(language, test), 4)
        )
        run["other"], run["perplexity"] = self.forgetting(key.task)
        run["prompt_tokens"] = test[0].shared.length + min(len(ask.inputs) for ask in test)
        language.adapter = None
        return run


def measure(options: argparse.Namespace) -> int:
    """Make the runs that are missing until the time is over."""
    torch.manual_seed(0)
    end = time.time() + 60 * options.minutes if options.minutes else float("inf")
    options.work.mkdir(parents=True, exist_ok=True)
    place = options.work / "tuning.jsonl"
    done = {Key.of(run) for run in kept(place)}
    bench = Bench(
        Reader.open(options.model, options.mmproj), options.folder, options.work, options.model,
        options.mmproj, options.corpus,
    )  # fmt: skip
    keys = chosen(options)
    for key in keys:
        if key in done or time.time() > end:
            continue
        try:
            run = bench.run(key)
        except ValueError as problem:
            print(f"{key}: left out: {problem}", flush=True)
            continue
        keep(place, [run])
        print(json.dumps(run), flush=True)
    return 0


def chosen(options: argparse.Namespace) -> list[Key]:
    """The cells that are asked for; `rates` replace the chosen learning rates, on dev tasks only.
    Raises SystemExit where a rate is tried on a held task."""
    keys = list(dict.fromkeys(grid(options.tasks, options.sizes, options.seeds)))
    if not options.rates:
        return [
            key for key in keys
            if (not options.methods or key.method in options.methods)
            and key.prompt in options.prompts and not (key.corpus and options.no_corpus)
        ]  # fmt: skip
    if any(EVERY[name].part == "held" for name in options.tasks):
        raise SystemExit("learning rates are chosen on dev tasks: name some with --tasks")
    return [
        Key(task, n, method, "seed", False, seed, rate, options.steps)
        for seed in options.seeds for n in options.sizes for task in options.tasks
        for method in options.methods or ADAPTERS for rate in options.rates
    ]  # fmt: skip
