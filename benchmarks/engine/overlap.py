"""What encoding images beside the evaluation could save: `python -m benchmarks.engine.overlap
--model M --mmproj P`.

An image is encoded and then evaluated, each with two threads, or one image is encoded while the one
before is evaluated, with a thread each. That can save only what two threads lose on one task, and
only where both are to be done. Measures wall time of the two ways on cores that must be idle
(`taskset` chooses them; engines with one and two threads, in turn), and with `--search N` on one
thread how much of a search of N evaluations could be overlapped: in each call that encodes, the
smaller of encoding and the rest. Writes results/overlap.json under the model's name.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.searches import made_task
from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import Scored, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.engines.options import WeightsChoice
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.task import load_task

from .workload import OPTIONS, fresh, pictures

RESULTS = Path(__file__).parents[1] / "results" / "overlap.json"


@dataclass(frozen=True)
class Options:
    """What is measured; `search` 0 or None for no search."""

    model: Path
    mmproj: Path
    weights: WeightsChoice = "file"
    prompts: int = 4
    rounds: int = 3
    search: int | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--weights", choices=("file", "bf16"), default="file")
    parser.add_argument("--prompts", type=int, default=4, help="prompts on each image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--search", type=int, help="only a search of so many evaluations")
    options = Options(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        found = (searched if options.search else compared)(options, Path(folder))
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    kept.setdefault(f"{options.model.stem}, weights {options.weights}", {}).update(found)
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def compared(options: Options, folder: Path) -> dict[str, Any]:
    """Seconds of wall time, medians over the rounds."""
    images = iter(pictures(6 * options.rounds + 4, folder / "pictures"))
    seconds: dict[str, list[float]] = {}
    with ExitStack() as stack:
        runs = {}
        for threads in (1, 2):
            encoder, evaluator = (
                stack.enter_context(_opened(options, folder / f"{threads}{part}", threads))
                for part in ("encode", "evaluate")
            )
            runs[threads] = _Pair(encoder, evaluator, options.prompts)
        for pair in runs.values():  # the first use of each engine
            pair.encode(next(images))()
            pair.evaluate(next(images))()
        for _ in range(options.rounds):
            for threads, pair in runs.items():
                for part in ("encode", "evaluate"):
                    step = getattr(pair, part)(next(images))
                    seconds.setdefault(f"{part} {threads}", []).append(_timed(step))
            both = _together(runs[1].encode(next(images)), runs[1].evaluate(next(images)))
            seconds.setdefault("both", []).append(_timed(both))
    middle = {name: round(median(values), 3) for name, values in seconds.items()}
    parts = ("encode", "evaluate")
    return {
        "prompts": options.prompts,
        "one thread": {part: middle[f"{part} 1"] for part in parts},
        "two threads": {part: middle[f"{part} 2"] for part in parts},
        "at the same time, a thread each": middle["both"],
        "efficiency of two threads": {
            part: round(middle[f"{part} 1"] / middle[f"{part} 2"] / 2, 2) for part in parts
        },
    }


def searched(options: Options, folder: Path) -> dict[str, Any]:
    """Shares of the seconds of a search with one thread that are spent on encoding, and that could
    be overlapped."""
    task = load_task(made_task(folder))
    with _opened(options, folder / "cache", 1) as engine:
        clocked = _Clocked(engine)
        budget = Budget.parse(str(options.search))
        context = open_context(task, clocked, metrics.get(task.metric), budget)
        started = time.perf_counter()
        search(context, SearchSettings(strategies.select(None)))
        seconds = time.perf_counter() - started
    encoding = sum(encoded for encoded, _ in clocked.calls)
    both = sum(min(encoded, rest) for encoded, rest in clocked.calls)
    return {
        "search": {
            "evaluations": options.search,
            "images": len(task.train),
            "encoding": round(encoding / seconds, 3),
            "could be overlapped": round(both / seconds, 3),
        }
    }


class _Clocked:
    """An engine whose `score` keeps the seconds of encoding and of the rest of each call."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.calls: list[tuple[float, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        before, started = self._engine.stats()["encode_seconds"], time.perf_counter()
        answers: list[Scored] = self._engine.score(requests)
        encoded = self._engine.stats()["encode_seconds"] - before
        self.calls.append((encoded, time.perf_counter() - started - encoded))
        return answers


class _Pair:
    """An engine that encodes and one that evaluates; steps are prepared, then called."""

    def __init__(self, encoder: Any, evaluator: Any, prompts: int) -> None:
        self._encoder, self._evaluator, self._prompts, self._asked = encoder, evaluator, prompts, 0

    def encode(self, image: Path) -> Callable[[], object]:
        return lambda: self._encoder.embed([image])

    def evaluate(self, image: Path) -> Callable[[], object]:
        """Its embeddings are there before, as when another thread made them."""
        self._evaluator.embed([image])
        self._asked += self._prompts
        requests = [
            ScoreRequest(_asked(self._asked + n), (image,), OPTIONS) for n in range(self._prompts)
        ]
        return lambda: self._evaluator.score(requests)


def _asked(number: int) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), fresh(number))),)


@contextmanager
def _opened(options: Options, cache: Path, threads: int) -> Iterator[Any]:
    given = EngineOptions(cache_dir=cache, threads=threads, weights=options.weights)
    engine = open_engine(
        "llama_cpp", ModelRef(options.model, options.mmproj), given, lambda _: None
    )
    try:
        yield engine
    finally:
        engine.close()


def _together(*steps: Callable[[], object]) -> Callable[[], object]:
    """Each in a thread of its own: native calls hold no lock."""

    def both() -> None:
        with ThreadPoolExecutor(len(steps)) as pool:
            for done in [pool.submit(step) for step in steps]:
                done.result()

    return both


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
