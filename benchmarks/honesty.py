"""Does a run claim a gain where there is nothing to find? `python -m benchmarks.honesty`

Searches on sample tasks whose labels say nothing about the images, by the embedded model:

shuffled  the labels are shuffled among the images of each split
skewed    four of five images get one label, the others draw one
long      shuffled, and every label is a sentence, of different lengths

for every mode: a search, one for a plain prompt, a search with reflection, a committee of up to
three. A run claims a gain where it recommends anything but the baseline on the held-out images; a
5 % test may do so in 5 % of runs. Runs are appended to `.work/honesty.jsonl` in this folder and the
command can be interrupted; in the end all are counted in `results/honesty.json`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.statistics import wilson
from idealprompt_cli.runs.config import RunConfig, Stages
from idealprompt_cli.runs.models import embedded_model
from idealprompt_cli.runs.run import run_search
from idealprompt_cli.task import load_task

from .compare import keep, kept, write_records
from .markdown import table
from .memo import MemoEngine
from .reflect import with_shuffled_labels

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results" / "honesty.json"
LINES = ROOT / ".work" / "honesty.jsonl"
TASKS = ("defect_routing", "grade", "photo_quality", "style_code")
KINDS = ("shuffled", "skewed", "long")
# mode -> its stages and its committee
MODES: Mapping[str, tuple[Stages, int | None]] = {
    "search": ("search", None),
    "search for a plain prompt": ("search", 0),
    "search and reflection": ("search and reflection", None),
    "committee of up to 3": ("search", 3),
}
COMMON = 0.8
SENTENCES = (
    "yes",
    "send it to the second desk",
    "keep it here until somebody has looked at it more closely",
    "return it to the shop that it came from, with a note",
)


@dataclass(frozen=True)
class Case:
    """One run: the mode, how the labels were made meaningless, the task's name and the seed."""

    mode: str
    kind: str
    task: str
    seed: int


def cases(runs: int) -> Iterator[Case]:
    """`runs` cases of each mode, kinds and tasks in turns, so that a part is a fair sample."""
    each = [(kind, task) for kind in KINDS for task in TASKS]
    for place in range(runs):
        kind, task = each[place % len(each)]
        for mode in MODES:
            yield Case(mode, kind, task, place // len(each))


def meaningless(task: Task, kind: str, seed: int) -> Task:
    """The task with labels that the images do not decide."""
    if kind == "skewed":
        return replace(
            task, train=_skewed(task, task.train, seed), test=_skewed(task, task.test, seed)
        )
    mixed = with_shuffled_labels(task, seed)
    if kind == "shuffled":
        return mixed
    names = dict(zip(task.labels, SENTENCES, strict=False))

    def renamed(examples: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(replace(one, answer=names[one.answer]) for one in examples)

    labels = tuple(names[label] for label in task.labels)
    return replace(mixed, labels=labels, train=renamed(mixed.train), test=renamed(mixed.test))


def _skewed(task: Task, examples: tuple[Example, ...], seed: int) -> tuple[Example, ...]:
    rng = random.Random(f"skewed {seed} {len(examples)}")
    common, *others = task.labels
    return tuple(
        replace(one, answer=common if rng.random() < COMMON else rng.choice(others))
        for one in examples
    )


def run(case: Case, engine: MemoEngine, task: Task, budget: int) -> dict[str, Any]:
    """A run of a case: whether it claims a gain, and the held-out scores."""
    stages, committee = MODES[case.mode]
    config = RunConfig(
        stages, str(budget), case.seed, committee=committee, priors=False, cache=False
    )
    result = run_search(meaningless(task, case.kind, case.seed), engine, config).result
    assert result.test is not None
    return {
        "mode": case.mode, "kind": case.kind, "task": case.task, "seed": case.seed,
        "recommended": result.recommended, "baseline": round(result.test.baseline.value, 4),
        "winner": round(result.test.winner.value, 4),
        "p": result.test.comparison.p_value,
    }  # fmt: skip


def summary(records: list[dict[str, Any]]) -> str:
    """Runs and false claims of each mode, in Markdown."""
    rows = []
    for mode in MODES:
        own = [r for r in records if r["mode"] == mode]
        false = sum(r["recommended"] != "baseline" for r in own)
        bound = wilson(false, len(own))
        percent = [100 * part for part in (false / max(1, len(own)), bound.low, bound.high)]
        share = f"{percent[0]:.1f} % [{percent[1]:.0f}, {percent[2]:.0f}]"
        rows.append((mode, str(len(own)), str(false), share))
    return table(("mode", "runs", "false claims", "share"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=204, help="runs of each mode")
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    ref = embedded_model()
    assert ref is not None, "the embedded model is not built"
    engine = open_engine("llama_cpp", ref, EngineOptions(threads=options.threads), print)
    memos = {name: MemoEngine(engine) for name in TASKS}
    tasks = {name: load_task(ROOT.parent / "sample_tasks" / name) for name in TASKS}
    LINES.parent.mkdir(exist_ok=True)
    done = {Case(r["mode"], r["kind"], r["task"], r["seed"]) for r in kept(LINES)}
    for case in cases(options.runs):
        if case not in done:
            record = run(case, memos[case.task], tasks[case.task], options.budget)
            keep(LINES, [record])
            print(*record.values(), flush=True)
    records = sorted(kept(LINES), key=lambda r: [str(value) for value in r.values()])
    write_records(RESULTS, records)
    print(summary(records))


if __name__ == "__main__":
    main()
