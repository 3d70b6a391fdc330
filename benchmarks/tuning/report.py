"""Tables of the comparison with tuning, which `benchmarks.readme` puts into `docs/tuning.md`.

Needs no PyTorch. A cell that was not measured is empty; nothing is filled in from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.compare import kept
from benchmarks.markdown import percent, table
from benchmarks.real.catalogue import EVERY
from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.io.files import write_text

RESULTS = Path(__file__).resolve().parent.parent / "results" / "tuning.json"
NAMES = {"none": "no tuning", "pedro": "PEDRO", "lora": "LoRA", "ia3": "(IA)3"}
TUNED = ("pedro", "lora", "ia3")
MISSING = "Not measured yet."
Run = dict[str, Any]
Column = tuple[str, str, bool]
"""Method, prompt, and whether the corpus was mixed in."""
COLUMNS: dict[str, Column] = {
    "seed prompt": ("none", "seed", False),
    "adapted prompt": ("none", "adapted", False),
    "weighted words": ("weighted", "adapted", False),
    **{NAMES[method]: (method, "seed", False) for method in TUNED},
    "PEDRO on the adapted prompt": ("pedro", "adapted", False),
    **{f"{NAMES[method]} + corpus": (method, "seed", True) for method in TUNED},
}


def collect(work: Path, out: Path = RESULTS) -> None:
    """Write the results of a work folder."""
    data = {
        "runs": sorted(kept(work / "tuning.jsonl"), key=lambda run: json.dumps(run)),
        "latency": sorted(kept(work / "latency.jsonl"), key=lambda run: json.dumps(run)),
    }
    parts = []
    for name, rows in data.items():
        lines = ",\n".join(json.dumps(row) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]')
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, "{" + ",\n".join(parts) + "}\n", UsageError)


def loaded() -> dict[str, list[Run]]:
    if not RESULTS.exists():
        return {"runs": [], "latency": []}
    return dict(json.loads(RESULTS.read_text(encoding="utf-8")))


def _of(runs: Sequence[Run], column: Column) -> list[Run]:
    return [run for run in runs if (run["method"], run["prompt"], run["corpus"]) == column]


def _mean(runs: Sequence[Run], value: Callable[[Run], float], digits: int = 1) -> str:
    return f"{fmean(map(value, runs)):,.{digits}f}" if runs else ""


def scores(runs: Sequence[Run]) -> str:
    """Held-out accuracy by task and number of training examples, the mean over seeds."""
    if not runs:
        return MISSING
    shown = [name for name, column in COLUMNS.items() if _of(runs, column)]
    rows = []
    for task, n in sorted({(run["task"], run["examples"]) for run in runs}):
        own = [run for run in runs if (run["task"], run["examples"]) == (task, n)]
        seeds = len({run["seed"] for run in own})
        cells = []
        for name in shown:
            found = _of(own, COLUMNS[name])
            cells.append(percent(fmean(run["test"] for run in found), 0) if found else "")
        rows.append([task, str(n), str(seeds), *cells])
    return table(["task", "examples", "seeds", *shown], rows)


def means(runs: Sequence[Run]) -> str:
    """Means over the tasks of sentences and those of photographs; a method that was not run on all
    of them has an empty cell."""
    if not runs:
        return MISSING
    shown = [name for name, column in COLUMNS.items() if _of(runs, column)]
    rows = []
    for kind in ("sentences", "photographs"):
        for n in sorted({run["examples"] for run in runs}):
            own = [run for run in runs if run["examples"] == n and _kind(run) == kind]
            tasks = sorted({run["task"] for run in own})
            if tasks:
                cells = [_over_tasks(_of(own, COLUMNS[name]), tasks) for name in shown]
                rows.append([f"{kind}, {len(tasks)} tasks", str(n), *cells])
    return table(["tasks", "examples", *shown], rows)


def _kind(run: Run) -> str:
    return "sentences" if EVERY[run["task"]].source == "banking77" else "photographs"


def _over_tasks(runs: Sequence[Run], tasks: Sequence[str]) -> str:
    """The mean over tasks of their means over seeds, or "" where one has none."""
    found = [[run["test"] for run in runs if run["task"] == task] for task in tasks]
    return percent(fmean(map(fmean, found)), 0) if all(found) else ""


def costs(runs: Sequence[Run]) -> str:
    """What a method takes, and what is forgotten: means over its runs. Differences are to the
    untuned model with the seed prompt, on the same task, number of examples and seed. `train_bytes`
    is null in runs whose peak was hidden by memory that an earlier run in the process had freed."""
    if not runs:
        return MISSING
    rows = []
    for name, column in COLUMNS.items():
        own = _of(runs, column)
        if column == COLUMNS["seed prompt"] or not own:
            continue
        pairs = [(run, base) for run in own for base in _bases(runs, run)]
        rows.append([
            name, str(len(own)), _mean(own, lambda run: run["parameters"], 0),
            _mean(own, lambda run: run["prompt_tokens"], 0),
            _mean(own, lambda run: run["train_seconds"], 0),
            _mean([run for run in own if run["train_bytes"] is not None],
                  lambda run: run["train_bytes"] / 2**20, 0),
            _change(pairs, "test", 100, 1), _change(pairs, "other", 100, 1),
            _change(pairs, "perplexity", 1, 2),
        ])  # fmt: skip
    head = [
        "method", "runs", "parameters", "prompt tokens", "training, CPU s", "memory, MiB",
        "score, points", "other task, points", "perplexity of the corpus",
    ]  # fmt: skip
    return table(head, rows)


def _bases(runs: Sequence[Run], run: Run) -> list[Run]:
    same = ("task", "examples", "seed")
    return [
        base for base in _of(runs, COLUMNS["seed prompt"])
        if all(base[name] == run[name] for name in same)
    ]  # fmt: skip


def _change(pairs: Sequence[tuple[Run, Run]], name: str, scale: float, digits: int) -> str:
    if not pairs:
        return ""
    before = scale * fmean(base[name] for _, base in pairs)
    after = scale * fmean(run[name] for run, _ in pairs)
    return f"{before:.{digits}f} to {after:.{digits}f} ({after - before:+.{digits}f})"


def latency(runs: Sequence[Run]) -> str:
    """Milliseconds of CPU time an answer takes."""
    if not runs:
        return MISSING
    rows = [
        [
            run["task"], NAMES[run["method"]], str(run["tokens"]),
            *(f"{1000 * run[name]:.0f}" for name in ("single", "one_tenant", "eight_tenants")),
        ]
        for run in runs
    ]  # fmt: skip
    head = ["task", "method", "tokens", "one answer", "eight, one tenant", "eight, eight tenants"]
    return table(head, rows)


def report(work: Path | None) -> int:
    """Read the runs, if some are named, and fill the pages."""
    from benchmarks import readme

    if work is not None:
        collect(work)
    readme.main()
    return 0
