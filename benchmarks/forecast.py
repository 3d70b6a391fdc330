"""How near `doctor`'s estimate comes to the search: `python -m benchmarks.forecast [CASE ...]`.

For each case a task and a model: the estimate is made as `doctor TASK --budget N` makes it, then
the search runs with caches of its own. "large" cases have the same pictures at 4000x3000 pixels.
The model smollm2 needs the extra of that name and a task folder of photographs (`--photographs`).
Writes results/forecast.json; cases that were not chosen keep their figures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from idealprompt_cli.cli.forecast import forecast
from idealprompt_cli.cli.speeds import measure
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.runs.models import NAMED, embedded_model
from idealprompt_cli.runs.run import run_search
from idealprompt_cli.task import load_task

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "forecast.json"
LARGE = (4000, 3000)
LIMIT = 0.3


@dataclass(frozen=True)
class Case:
    """`size` of every picture (None: as it is), `examples` of each split at most."""

    name: str
    task: str
    model: str
    budget: str
    size: tuple[int, int] | None = None
    examples: int = 1000


CASES = (
    Case("grade", "grade", "demo", "400"),
    Case("grade-large", "grade", "demo", "400", LARGE),
    Case("matching-pair", "matching_pair", "demo", "1000"),
    Case("smollm2", "", "smollm2", "200", None, 24),
    Case("smollm2-large", "", "smollm2", "200", LARGE, 24),
)


@dataclass(frozen=True)
class Result:
    """Seconds estimated and taken."""

    case: str
    pictures: int
    estimate: float
    search: float

    @property
    def off(self) -> float:
        """By what share the estimate is too long (or, negative, too short)."""
        return self.estimate / self.search - 1

    def row(self) -> str:
        return (
            f"| {self.case} | {self.pictures} | {self.estimate:.1f} | {self.search:.1f} "
            f"| {self.off:+.0%} | {'met' if abs(self.off) <= LIMIT else '**missed**'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=", ".join(case.name for case in CASES))
    parser.add_argument("--photographs", type=Path, help="a task folder for smollm2")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="seconds of this process alone, for busy machines (with --threads 1)",
    )
    options = parser.parse_args()
    results = []
    for case in CASES:
        if case.name in (options.cases or [case.name]) and (case.task or options.photographs):
            folder = ROOT / "sample_tasks" / case.task if case.task else options.photographs
            clock = time.process_time if options.processor_time else time.perf_counter
            results.append(compared(case, load_task(folder), options.threads, clock))
            print(results[-1].row(), flush=True)
    new = {result.case: asdict(result) for result in results}
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []
    every = {one["case"]: one for one in known} | new
    kept = [every[case.name] for case in CASES if case.name in every]
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def compared(case: Case, task: Task, threads: int, clock: Callable[[], float]) -> Result:
    """The estimate and the search of a case, each with an engine that knows no picture."""
    with tempfile.TemporaryDirectory() as name:
        task = resized(task, case, Path(name))
        config = RunConfig(budget=case.budget, cache=False)
        with opened(case.model, threads) as engine:
            speeds = measure(engine, Path(name), task, clock)
            found = forecast(task, config.budget_for(task), engine, speeds)
        pictures = {image for one in (*task.train, *task.test) for image in one.images}
        with opened(case.model, threads) as engine:
            started = clock()
            run_search(task, engine, config)
            seconds = clock() - started
    return Result(case.name, len(pictures), found["seconds"], round(seconds, 1))


@contextmanager
def opened(model: str, threads: int) -> Iterator[Engine]:
    """The model with empty caches."""
    ref: ModelRef | None = NAMED[model]() if model in NAMED else embedded_model()
    assert ref is not None, "the embedded model is not built"
    with tempfile.TemporaryDirectory() as cache:
        engine = open_engine(
            "llama_cpp", ref, EngineOptions(threads=threads, cache_dir=Path(cache))
        )
        try:
            yield engine
        finally:
            engine.close()


def resized(task: Task, case: Case, folder: Path) -> Task:
    """The task with as many examples and pixels as the case has."""
    picked = {
        split: tuple(_resized(one, case.size, folder) for one in _spread(examples, case.examples))
        for split, examples in (("train", task.train), ("test", task.test))
    }
    return replace(task, **picked)  # type: ignore[arg-type]


def _spread(examples: tuple[Example, ...], count: int) -> tuple[Example, ...]:
    """Some of the examples, evenly over all."""
    step = max(1, len(examples) // count)
    return examples[::step][:count]


def _resized(example: Example, size: tuple[int, int] | None, folder: Path) -> Example:
    if size is None:
        return example
    images = []
    for number, image in enumerate(example.images):
        path = folder / f"{example.id.replace('/', '_')}-{number}.jpg"
        with Image.open(image) as opened_image:
            opened_image.convert("RGB").resize(size).save(path, quality=90)
        images.append(path)
    return replace(example, images=tuple(images))


if __name__ == "__main__":
    main()
