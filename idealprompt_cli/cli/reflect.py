"""`idealprompt reflect`: look at what a prompt gets wrong, and edit it where that holds up."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ArtifactError, UsageError
from ..io.files import check_writable, write_text
from ..runs.models import named_by, opened, warn_if_other_model, work_of
from ..runs.stages import heard_by, settings_for, tested
from .compare import check_labels
from .diagnosis import dry_run
from .evaluate import Folder, MetricName, Source, Use, choose_prompt, load
from .interrupts import resumable, stoppable
from .models import ModelFlags
from .proposer_option import ProposerName, check_proposer, met, own_flags, with_writer
from .review import ask
from .run_folder import (
    KEPT,
    NoCache,
    NoPriors,
    NoTest,
    Output,
    Resume,
    RunDir,
    again,
    deliver,
    learned,
    run_folder,
    shared_answers,
    tell_of_report,
)
from .shared_options import FormatName, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.interfaces import Engine
    from ..core.results import RunResult
    from ..core.task import Task
    from ..evaluation.budget import Budget
    from ..reflection import Start
    from ..storage.journal import Journal
    from ..storage.response_cache import ResponseCache
    from ..ui.console import Console
    from ..ui.formats.base import Work
    from .proposer_option import Maker

EVALUATIONS_PER_PICTURE = 20
LEAST_EVALUATIONS = 400

EPILOG = """\b
Examples:
  idealprompt reflect prompt.yaml my_task -o better.yaml
  idealprompt reflect prompt.yaml my_task --dry-run
  idealprompt search my_task --no-test -o - | idealprompt reflect - my_task -o better.yaml"""

BudgetText = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="N|10m|200ktok",
        help="Evaluations, model time or tokens. Default: 20 evaluations per training picture.",
    ),
]
Seed = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Seed. Default: the prompt file's.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the diagnosis and the proposals; change nothing.")
]
Interactive = Annotated[
    bool, typer.Option("--interactive", help="Ask before each accepted edit: keep, change, refuse.")
]
Events = Annotated[bool, typer.Option("--json", help="Print events as JSON objects, one a line.")]


@dataclass(frozen=True)
class Plan:
    """What the command line asks of a reflection, as a group of options."""

    prompt: Source
    task: Folder
    budget: BudgetText = ""
    dry_run: DryRun = False
    interactive: Interactive = False
    use: Use = "winner"
    seed: Seed = None
    run_dir: RunDir = None
    resume: Resume = False
    metric: MetricName = ""
    no_test: NoTest = False
    proposer: ProposerName = "none"
    no_priors: NoPriors = False
    no_cache: NoCache = False
    json: Events = False


@grouped
def reflect(
    plan: Plan,
    *,
    output: Output = "",
    flags: ModelFlags,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Improve a prompt where it goes wrong.

    Looks at the most consequential failures of PROMPT on the training part of TASK, asks the model
    about those pictures, and keeps an edit only if it holds on pictures that did not inspire it.
    """
    from ..ui.console import Console

    shown = format_name(plan.json, format)
    _check(plan, output)
    console = Console(talk.level)
    try:
        made = _run(plan, flags, console)
    finally:
        console.close()
    if made is not None:
        _deliver(*made, output, shown, talk.quiet)
        tell_of_report(made[1], console)


def _check(plan: Plan, output: str) -> None:
    from ..priors import default_path, load

    if plan.json and output == "-":
        raise UsageError("--json and -o - both want stdout: write the YAML to a file, or drop one")
    if plan.interactive and plan.prompt == "-":
        raise UsageError("--interactive reads stdin, and so does the prompt -: name a file")
    if plan.dry_run and (plan.interactive or plan.resume or output):
        raise UsageError("--dry-run writes nothing: drop -o, --resume and --interactive")
    check_proposer(plan.proposer)
    if output not in ("", "-"):
        check_writable(Path(output), ArtifactError)
    if not plan.no_priors:
        load(default_path())


def _run(plan: Plan, flags: ModelFlags, console: Console) -> tuple[Artifact, Path, Work] | None:
    """The artifact, where it was kept, and what the model had to do; None for a dry run."""
    from ..artifact import dump, read_artifact

    task = load(plan.task, plan.metric, console)
    artifact = read_artifact(plan.prompt)
    check_labels(artifact, task)
    budget = _budget(plan.budget, len(task.train))
    ref = named_by(artifact.model, flags)
    own = own_flags(plan.proposer, flags)
    with (
        opened(own, console.say, named=ref or task.model) as model,
        with_writer(plan.proposer, model, flags, console.say) as (engine, proposer),
    ):
        warn_if_other_model(engine.info(), artifact.model, console.say)
        if plan.dry_run:
            start, seed = _start(plan, artifact), _seed(plan, artifact)
            dry_run(task, budget, engine, proposer, start, seed, console, plan.json)
            return None
        folder = run_folder(plan.run_dir, f"{task.name}-reflect", plan.resume)
        with (
            stoppable(console.write, partial(again, folder)),
            shared_answers(engine, flags.chat_template, plan.no_cache, console.say) as cache,
            resumable(partial(again, folder)),
        ):
            result = _reflected(
                plan, artifact, task, budget, folder, engine, proposer, console, cache
            )
            work = work_of(model)
    made = continued(artifact, result)
    kept = folder / KEPT
    write_text(kept, dump(made), ArtifactError)
    return made, kept, work


def _budget(text: str, pictures: int) -> Budget:
    from ..evaluation.budget import Budget

    if text:
        return Budget.parse(text)
    return Budget(evaluations=max(LEAST_EVALUATIONS, EVALUATIONS_PER_PICTURE * pictures))


def _reflected(
    plan: Plan,
    artifact: Artifact,
    task: Task,
    budget: Budget,
    folder: Path,
    engine: Engine,
    proposer: Maker,
    console: Console,
    cache: ResponseCache | None,
) -> RunResult:
    from .. import metrics
    from ..evaluation.metered_engine import MeteredEngine
    from ..priors import Beliefs, beliefs_for
    from ..prompts.serialisation import fingerprint
    from ..reflection import reflect as run_reflection
    from ..search.run import snapshot
    from ..storage.journal import Journal, header_for

    metric, seed, start = metrics.get(task.metric), _seed(plan, artifact), _start(plan, artifact)
    header = {**header_for(task, engine.info(), seed), "prompt": fingerprint(start.prompt)}
    open_journal = Journal.resume if plan.resume else Journal.create
    journal = open_journal(folder, header)
    known = Beliefs() if plan.no_priors else beliefs_for(task, engine.info())
    settings = settings_for(folder, ask if plan.interactive else None)
    observer = console.observer(bar=not plan.interactive)
    ledger = heard_by(observer, MeteredEngine(engine, journal, budget, cache=cache))
    try:
        _agree(plan, journal)
        result = run_reflection(
            task,
            ledger,
            metric,
            start,
            observer=observer,
            settings=replace(
                settings, beliefs=snapshot(journal, known), proposer=met(proposer, ledger)
            ),
            journal=journal,
            seed=seed,
            tell=partial(_tell, console, plan.json),
        )
        if not plan.no_priors:
            learned(result, journal, console)
        if plan.no_test:
            return result
        return tested(result, MeteredEngine(engine, journal, cache=cache), metric, console)
    finally:
        journal.close()


def _agree(plan: Plan, journal: Journal) -> None:
    """A broken run goes on as what it began as, or not at all."""
    journal.agree("proposer", plan.proposer, "take the same --proposer")
    judge, mend = ("a person", "leave out") if plan.interactive else ("nobody", "add")
    journal.agree("judge", judge, f"{mend} --interactive")


def _start(plan: Plan, artifact: Artifact) -> Start:
    from ..reflection import from_prompt

    return from_prompt(artifact.baseline_prompt, choose_prompt(artifact, plan.use)[1])


def _seed(plan: Plan, artifact: Artifact) -> int:
    return artifact.seed if plan.seed is None else plan.seed


def continued(artifact: Artifact, result: RunResult) -> Artifact:
    """The result as an artifact whose trail goes on from the one it started from."""
    from ..artifact import from_run

    made = from_run(result)
    steps = tuple(step for step in made.trail if step.strategy not in ("seed", "given"))
    trail = (*artifact.trail, *steps) if artifact.trail else made.trail
    return replace(made, trail=trail)


# --- the result -----------------------------------------------------------------------------------


def _tell(console: Console, json: bool, kind: str, data: Mapping[str, Any]) -> None:
    console.event(kind, data)
    if json:
        _print_event(kind, data)


def _print_event(kind: str, data: Mapping[str, Any]) -> None:
    typer.echo(jsonlib.dumps({"event": kind, **data}, ensure_ascii=False))


def _deliver(
    artifact: Artifact, kept: Path, work: Work, output: str, shown: str, quiet: bool
) -> None:
    """The YAML to where it was asked for; the summary (or the last event) beside it, but none on
    stderr if quiet."""
    from ..artifact import to_data
    from ..ui import formats
    from ..ui.console import screen_of

    written = deliver(artifact, kept, output)
    if shown == "json":
        account = {"work": work} if work else {}
        _print_event("result", {**to_data(artifact), "written": written, **account})
        return
    if quiet and output == "-":
        return
    stream = sys.stderr if output == "-" else sys.stdout
    text = formats.get(shown).run(artifact, written, screen_of(stream), work)
    typer.echo(text, err=output == "-")
