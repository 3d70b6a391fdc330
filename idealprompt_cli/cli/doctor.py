"""`idealprompt doctor`: this machine, the model, whether the two work together, and what a search
will cost."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ModelError, UsageError
from ..core.interfaces import Accountable
from ..core.task import ModelRef
from ..io.terminal import json_text, printable
from ..runs.config import RunConfig
from ..runs.models import choose, engine_options
from .advice import advice
from .cluster import ClusterFlags
from .models import ModelFlags
from .search import BudgetText
from .shared_options import Json, Talk, grouped
from .system import machine

if TYPE_CHECKING:
    from ..core.interfaces import Engine
    from ..core.task import Task
    from ..engines import EngineOptions, Ref
    from ..engines.llama_cpp.setup.copy_gain import Gain
    from ..fleet.cluster.choice import ClusterChoice
    from ..ui.console import Console
    from .speeds import Speeds

EPILOG = """\b
Examples:
  idealprompt doctor
  idealprompt doctor my_task --budget 2000
  idealprompt doctor -m model.gguf --mmproj mmproj.gguf --json
  idealprompt doctor my_task --local-workers 3"""

TaskFolder = Annotated[
    Path | None,
    typer.Argument(metavar="TASK", help="A task folder: what a search on it would cost."),
]
Retune = Annotated[
    bool, typer.Option("--retune", help="Measure the model's settings again, for all later runs.")
]
Report = dict[str, dict[str, Any]]


@grouped
def doctor(
    task: TaskFolder = None,
    budget: BudgetText = "",
    retune: Retune = False,
    *,
    flags: ModelFlags,
    spread: ClusterFlags,
    json: Json = False,
    talk: Talk,
) -> None:
    """Say what machine this is, which model would be used, whether it answers, and what a search
    would cost."""
    from ..task import load_task
    from ..ui.console import Console

    if budget and task is None:
        raise UsageError("--budget is for an estimate: name the task folder too")
    cluster = spread.choice(flags.allow_network)
    cluster.check()
    console = Console(talk.level)
    wanted = load_task(task, notify=console.say) if task else None
    report: Report = {"machine": machine(engine_options(flags).cache_folder())}
    problem: ModelError | None = None
    try:
        if cluster:
            named = wanted.model if wanted else None
            report["workers"] = _workers(flags, cluster, wanted, named, console)
        else:
            report |= _model(flags, wanted, budget, retune, console)
    except ModelError as error:
        problem = error
        report["model"] = {"problem": str(error)}
    suggestions = advice(report)
    if json:
        whole = {**report, "suggestions": suggestions}
        typer.echo(json_text(whole, indent=2))
    else:
        typer.echo(printable(_lines(report, suggestions)))
    if problem is not None:
        raise problem


def _workers(
    flags: ModelFlags,
    cluster: ClusterChoice,
    task: Task | None,
    named: Ref | None,
    console: Console,
) -> dict[str, Any]:
    """A line on each worker of a cluster."""
    from ..fleet.cluster.opening import examined

    return dict(examined(flags, cluster, task, console.say, named))


def _model(
    flags: ModelFlags, task: Task | None, budget: str, retune: bool, console: Console
) -> Report:
    """The report's parts on the model, its speed and the search."""
    from ..engines import ServerRef, engine_for, open_engine
    from .speeds import measure

    named = task.model if task else None
    chosen = choose(flags, named, console.say)
    tell = console.say if isinstance(chosen, ServerRef) else lambda line: None
    options = engine_options(flags)
    if retune:
        options = replace(options, tune="again")
    start = time.perf_counter()
    engine = open_engine(flags.engine or engine_for(chosen), chosen, options, tell)
    try:
        loaded = time.perf_counter() - start
        fault = engine.check() if isinstance(engine, Accountable) else ""
        with tempfile.TemporaryDirectory() as folder:
            speeds = measure(engine, Path(folder), task)
        report: Report = {"model": _described(engine, chosen, fault)}
        report["speed"] = {"load_seconds": round(loaded, 2), **speeds.as_dict()}
        gain = _bfloat16_gain(engine, options)
        if gain is not None:
            report["bfloat16_copies"] = {
                "prompts_times_faster": round(gain.prompts, 1),
                "images_times_faster": round(gain.images, 1) or None,
            }
        if task is not None:
            report["search"] = _search(task, budget, engine, speeds, gain)
        return report
    finally:
        engine.close()


def _bfloat16_gain(engine: Engine, options: EngineOptions) -> Gain | None:
    """How much faster copies in bfloat16 are, None where they are used already or cannot help."""
    info = engine.info()
    if info.engine != "llama_cpp" or info.details.get("weights") != "file":
        return None
    from ..engines.llama_cpp.setup.copy_gain import measure_gain

    ref = ModelRef(Path(info.path), Path(info.mmproj) if info.mmproj else None)
    if options.weights == "auto":
        options = replace(options, tune="auto")  # measured when the model was opened
    return measure_gain(ref, options)


def _search(
    task: Task, budget: str, engine: Engine, speeds: Speeds, gain: Gain | None
) -> dict[str, Any]:
    from .forecast import forecast

    limit = RunConfig(budget=budget).budget_for(task)
    return {"task": task.name, **forecast(task, limit, engine, speeds, gain)}


def _described(engine: Engine, chosen: Ref, fault: str) -> dict[str, Any]:
    info = engine.info()
    found: dict[str, Any] = {
        "name": info.name,
        **_place(chosen, info.path),
        "engine": info.engine,
        "architecture": info.architecture,
        "family": info.family,
        "quantisation": info.quantisation,
        "n_ctx": info.n_ctx,
        "mode": info.mode,
        "fingerprint": info.fingerprint,
        **info.details,
    }
    if isinstance(engine, Accountable):
        found["batched_backend_off"] = fault
        found["chosen_because"] = list(engine.reasons())
    return found


def _place(chosen: Ref, address: str) -> dict[str, Any]:
    """Where the model is: its files with their sizes, or its server."""
    from ..engines import ServerRef

    if isinstance(chosen, ServerRef):
        return {"address": address}
    files = (chosen.text, chosen.mmproj) if isinstance(chosen, ModelRef) else (chosen,)
    paths = [path for path in files if path]
    weights = sum(path.stat().st_size for path in paths if path.exists())
    return {
        "files": {str(path): _mebibytes(path) for path in paths},
        "weights_gib": round(weights / 2**30, 3),
    }


def _mebibytes(path: Path) -> str:
    return f"{path.stat().st_size / 2**20:.1f} MiB" if path.exists() else "missing"


def _lines(report: Report, suggestions: list[str]) -> str:
    lines: list[str] = []
    for part, values in report.items():
        lines.append(part)
        for key, value in values.items():
            lines += _entry(key.replace("_", " "), value)
    if suggestions:
        lines += ["suggestions", *(f"  {line}" for line in suggestions)]
    return "\n".join(lines)


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"  {key}: {name} ({size})" for name, size in value.items()]
    if isinstance(value, list):
        return [f"  {key}: {item}" for item in value]
    return [f"  {key}: {value}"] if value not in ("", None) else []
