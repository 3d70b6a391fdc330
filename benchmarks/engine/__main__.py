"""Compare the engine with the alternatives and write `benchmarks/results/engine.json`.

`python -m benchmarks.engine` runs every contender on every model: naive calls of the binding's
chat handler, llama-server with default settings and tuned, and ours; and the upper bounds. It takes
about half an hour on two idle cores, after building llama-server and writing the models (ten
minutes and 4 GB, once). An interrupted run resumes: finished measurements are kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from idealprompt_cli.engines.options import parse_bytes

from . import build, leak, machine, plan, shapes, store, table, worker
from .figures import Measured
from .jobs import Job

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "engine.json"


def main() -> int:
    options = _options()
    if options.table:
        print(table.tables(store.read(options.out)))
        return 0
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.leak:
        return _leak(options)
    if {"server", "server-tuned", "batched-bench"} & set(options.contenders):
        _say("llama-server: " + str(build.programs(options.cache)))
    if build.wheel_has_amx():
        _say(f"llama-cpp-python computes with AMX and the servers do not: {build.AMX_FIX}")
    failures = 0
    for model in options.models:
        failures += _measure_model(model, options)
    print(table.tables(store.read(options.out)))
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        choices=shapes.names(),
        default=shapes.names(),
        metavar="MODEL",
        help=f"of {', '.join(shapes.names())} (default: all)",
    )
    add(
        "--contenders",
        nargs="+",
        choices=plan.CONTENDERS,
        default=list(plan.CONTENDERS),
        metavar="NAME",
        help=f"of {', '.join(plan.CONTENDERS)} (default: all)",
    )
    add("--prompts", type=int, help="prompts of the search that is reported (default: 50)")
    add("--images", type=int, help="its pictures (default: 16)")
    add("--rounds", type=int, help="repetitions, contenders in turn (default: by model)")
    add("--quick", action="store_true", help="as little as possible of everything")
    add("--fresh", action="store_true", help="measure again what was measured before")
    add(
        "--threads",
        type=int,
        default=0,
        help="of every contender (default: all cores; ours chooses)",
    )
    add(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: processor time of less work, where other programs use the machine too",
    )
    add("--memory", default="", help="of ours in the contender search, such as 1GiB")
    add("--out", type=Path, help="the results file (default: benchmarks/results/engine.json)")
    add("--cache", type=Path, default=build.default_cache(), help="programs and models")
    add("--table", action="store_true", help="measure nothing: print the tables of the results")
    add("--leak", type=int, metavar="N", help="only N evaluations in one process: does it grow?")
    options = parser.parse_args()  # fmt: skip
    quick = ROOT / ".work" / "engine-quick.json"
    options.out = options.out or (quick if options.quick else RESULTS)
    return options


def _measure_model(model: str, options: argparse.Namespace) -> int:
    """All contenders of a model, round by round -> how many failed."""
    chosen = plan.resized(plan.PLANS[model], options.prompts, options.images)
    chosen = plan.quick(chosen) if options.quick else chosen
    if options.clock == "processor":
        chosen = plan.brief(chosen, options.images or 2)
    chosen = replace(chosen, rounds=options.rounds or chosen.rounds)
    text, mmproj = shapes.files(model, options.cache)
    rounds, failures = store.Rounds(options.cache / f"measured-{options.clock}"), 0
    contenders = [name for name in plan.CONTENDERS if name in options.contenders]
    if not chosen.search_budget:
        contenders = [name for name in contenders if not name.startswith("search")]
    for number in range(chosen.rounds):
        for contender in contenders:
            if not options.fresh and rounds.get(model, contender, number, chosen):
                continue
            beside = _beside(rounds.get(model, "ours", number, chosen))
            job = Job(
                model,
                contender,
                chosen,
                text,
                mmproj,
                options.cache,
                options.threads,
                beside,
                options.clock,
                parse_bytes(options.memory) if options.memory else 0,
            )
            started = time.perf_counter()
            try:
                rounds.put(model, contender, number, chosen, worker.run(job))
                verdict = "done"
            except worker.WorkerError as error:
                failures += 1
                verdict = f"failed, {error}"
            _say(f"{model} {contender}: {verdict} ({time.perf_counter() - started:.0f} s)")
            _publish(rounds, model, chosen, options)
    _publish(rounds, model, chosen, options)
    return failures


def _beside(own: list[Measured] | None) -> dict[str, float]:
    """The batch of our text part, which the limit is measured at."""
    found = [one.detail["text_part"] for one in own or [] if "text_part" in one.detail]
    if not found:
        return {}
    return {name: float(found[0][name]) for name in ("tokens", "sequences", "threads", "depth")}


def _publish(
    rounds: store.Rounds, model: str, chosen: plan.Plan, options: argparse.Namespace
) -> None:
    """Put what is known of a model into the results file."""
    new, out = store.results(rounds, model, list(plan.CONTENDERS), chosen), options.out
    here = machine.describe(options.clock, options.threads)
    found = store.merged(store.read(out), here, new)
    report: dict[str, Any] = {"machine": here, "results": found, "targets": table.targets(found)}
    out.parent.mkdir(parents=True, exist_ok=True)
    store.write(out, report)


def _leak(options: argparse.Namespace) -> int:
    model = options.models[0]
    pair = shapes.files(model, options.cache)
    found = leak.measure(*pair, options.leak, options.cache, options.threads)
    _say(
        f"{model}: {found['evaluations']} evaluations, resident set grew by "
        f"{found['growth_percent']} % (limit {leak.LIMIT:g} %); MiB by tenths: "
        f"{found['resident_mib']}"
    )
    return 0 if found["met"] else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
