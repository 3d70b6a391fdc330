"""`idealprompt search`: adapt a prompt to a task."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ArtifactError, UsageError
from ..io.files import check_writable, write_text
from ..runs.models import opened, work_of
from ..runs.stages import heard_by, settings_for, tested
from . import completion
from .evaluate import Folder, MetricName, load
from .interrupts import resumable, stoppable
from .models import ModelFlags
from .proposer_option import ProposerName, check_proposer, own_flags, with_writer
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
from .shared_options import FormatName, Json, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.interfaces import Engine
    from ..core.results import RunResult
    from ..core.task import Task
    from ..evaluation.budget import Budget
    from ..storage.journal import Journal
    from ..storage.response_cache import ResponseCache
    from ..ui.console import Console
    from ..ui.formats.base import Work
    from .proposer_option import Maker

EVALUATIONS_PER_PICTURE = 40
LEAST_EVALUATIONS = 600

EPILOG = """\b
Examples:
  idealprompt search sample_tasks/grade -o prompt.yaml
  idealprompt search my_task -m model.gguf --mmproj mmproj.gguf --budget 10m
  idealprompt search my_task -o - | idealprompt eval - my_task"""

BudgetText = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="N|10m|200ktok",
        help="Evaluations, model time or tokens. Default: 40 evaluations per training picture.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the search.")]
Prefer = Annotated[
    str, typer.Option(metavar="score|short", help="The best prompt, or the cheapest as good.")
]
PolicyName = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="|".join(completion.names("policies")),
        help="Which edits are tried next.",
        autocompletion=completion.policies,
    ),
]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Only this strategy (may be repeated).",
        autocompletion=completion.strategies,
    ),
]
Reflect = Annotated[bool, typer.Option("--reflect", help="Reflect on what is left wrong.")]


@dataclass(frozen=True)
class Plan:
    """What the command line asks of a run, as a group of options."""

    task: Folder
    budget: BudgetText = ""
    seed: Seed = 0
    run_dir: RunDir = None
    resume: Resume = False
    metric: MetricName = ""
    strategy: Strategies = None
    no_test: NoTest = False
    reflect: Reflect = False
    prefer: Prefer = "score"
    policy: PolicyName = "puct"
    proposer: ProposerName = "none"
    no_priors: NoPriors = False
    no_cache: NoCache = False


@grouped
def search(
    plan: Plan,
    *,
    output: Output = "",
    flags: ModelFlags,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Search for a prompt that makes the model answer a task better.

    Reads the labelled pictures in TASK, tries edits of its question on the training part, and
    compares the best prompt with the seed prompt on the held-out part.
    """
    from ..ui.console import Console

    shown = format_name(json, format)
    if json and output == "-":
        raise UsageError("--json and -o - both want stdout: write the YAML to a file, or drop one")
    if output not in ("", "-"):
        check_writable(Path(output), ArtifactError)
    console = Console(talk.level)
    _check(plan)
    try:
        made = _run(plan, flags, console)
    finally:
        console.close()
    _deliver(*made, output, shown, talk.quiet)
    tell_of_report(made[1], console)


def _check(plan: Plan) -> None:
    """Raise UsageError for a choice that does not exist, and PriorsError for a memory that cannot
    be used, before anything slow."""
    from ..priors import default_path, load
    from ..search.policies import POLICIES

    if plan.prefer not in ("score", "short"):
        raise UsageError(f"--prefer {plan.prefer}: choose score or short")
    if plan.policy not in POLICIES:
        raise UsageError(f"--policy {plan.policy}: choose {' or '.join(POLICIES)}")
    check_proposer(plan.proposer)
    if not plan.no_priors:
        load(default_path())


def _run(plan: Plan, flags: ModelFlags, console: Console) -> tuple[Artifact, Path, Work]:
    """The artifact, where it was written inside the run's folder, and what the model had to do."""
    from .. import strategies
    from ..artifact import dump, from_run
    from ..storage import predictions as outcomes

    strategies.select(plan.strategy)
    budget = budget_for(plan.budget, None)
    task = load(plan.task, plan.metric, console)
    budget = budget or budget_for(plan.budget, len(task.train))
    assert budget is not None
    folder = run_folder(plan.run_dir, task.name, plan.resume)
    own = own_flags(plan.proposer, flags)
    with (
        stoppable(console.write, partial(again, folder)),
        opened(own, console.say, named=task.model) as model,
        with_writer(plan.proposer, model, flags, console.say) as (engine, proposer),
        shared_answers(engine, flags.chat_template, plan.no_cache, console.say) as cache,
        resumable(partial(again, folder)),
    ):
        result = _search(plan, task, budget, folder, engine, proposer, console, cache)
        work = work_of(model)
    artifact = from_run(result)
    outcomes.save(folder, result)
    kept = folder / KEPT
    write_text(kept, dump(artifact), ArtifactError)
    return artifact, kept, work


def budget_for(text: str, pictures: int | None) -> Budget | None:
    """The budget given, or the default one as soon as the number of pictures is known."""
    from ..evaluation.budget import Budget

    if text:
        return Budget.parse(text)
    if pictures is None:
        return None
    return Budget(evaluations=max(LEAST_EVALUATIONS, EVALUATIONS_PER_PICTURE * pictures))


def _search(
    plan: Plan,
    task: Task,
    budget: Budget,
    folder: Path,
    engine: Engine,
    proposer: Maker,
    console: Console,
    cache: ResponseCache | None,
) -> RunResult:
    from .. import metrics, strategies
    from ..evaluation.metered_engine import MeteredEngine
    from ..priors import beliefs_for
    from ..runs.alternating import run_both
    from ..search.policies import POLICIES
    from ..search.run import run
    from ..storage.journal import Journal, header_for

    metric, observer = metrics.get(task.metric), console.observer()
    open_journal = Journal.resume if plan.resume else Journal.create
    journal = open_journal(folder, header_for(task, engine.info(), plan.seed))
    ledger = heard_by(observer, MeteredEngine(engine, journal, budget, cache=cache))
    first: Callable[..., RunResult] = run
    if plan.reflect:
        first = partial(run_both, settings=settings_for(folder), tell=console.event)
    try:
        _agree(plan, journal)
        result = first(
            task,
            ledger,
            metric,
            strategies.select(plan.strategy, task.answer),
            budget,
            observer=observer,
            journal=journal,
            seed=plan.seed,
            proposer=proposer,
            policy=POLICIES[plan.policy],
            beliefs=beliefs_for(task, engine.info()) if not plan.no_priors else None,
            prefer="short" if plan.prefer == "short" else "score",
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
    stages = "search and reflection" if plan.reflect else "search alone"
    journal.agree("stages", stages, f"{'leave out' if plan.reflect else 'add'} --reflect")
    journal.agree("proposer", plan.proposer, "take the same --proposer")


def _deliver(
    artifact: Artifact, kept: Path, work: Work, output: str, shown: str, quiet: bool
) -> None:
    """The YAML to where it was asked for; the summary to stdout, or, unless quiet, to stderr if
    the YAML is there."""
    from ..ui import formats
    from ..ui.console import screen_of

    written = deliver(artifact, kept, output)
    if quiet and output == "-":
        return
    stream = sys.stderr if output == "-" else sys.stdout
    text = formats.get(shown).run(artifact, written, screen_of(stream), work)
    typer.echo(text, err=output == "-")
