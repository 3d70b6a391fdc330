"""`idealprompt search`: adapt a prompt to a task."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ArtifactError, UsageError
from ..io.files import check_writable
from ..runs.config import RunConfig, as_prefer
from ..runs.folder import run_folder
from ..runs.models import opened, work_of
from ..runs.proposer import without_proposer_flags
from . import completion
from .evaluate import Folder, MetricName, load
from .interrupts import resumable
from .models import ModelFlags
from .run_folder import (
    NoCache,
    NoPriors,
    NoProbe,
    NoTest,
    Output,
    ProposerName,
    Resume,
    RunDir,
    TestCount,
    TrainCount,
    deliver,
    resume_hint,
    show_report_hint,
)
from .shared_options import FormatName, Json, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..runs.run import Run
    from ..ui.console import Console
    from ..ui.formats.base import Work

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
    train: TrainCount = 0
    test: TestCount = 0
    reflect: Reflect = False
    prefer: Prefer = "score"
    policy: PolicyName = "puct"
    proposer: ProposerName = "none"
    no_priors: NoPriors = False
    no_probe: NoProbe = False
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
        raise UsageError("--json and -o - both write to stdout: write the YAML to a file")
    if output not in ("", "-"):
        check_writable(Path(output), ArtifactError)
    config = config_of(plan, flags)
    config.check()
    console = Console(talk.level)
    try:
        made, work = _run(plan, config, flags, console)
    finally:
        console.close()
    _deliver(made, work, output, shown, talk.quiet)
    if made.kept is not None:
        show_report_hint(made.kept, console)


def config_of(plan: Plan, flags: ModelFlags) -> RunConfig:
    """The run that the command line asks for."""
    return RunConfig(
        stages="search and reflection" if plan.reflect else "search",
        budget=plan.budget,
        seed=plan.seed,
        strategies=tuple(plan.strategy or ()),
        policy=plan.policy,
        prefer=as_prefer(plan.prefer),
        proposer=plan.proposer,
        priors=not plan.no_priors,
        cache=not plan.no_cache,
        held_out_test=not plan.no_test,
        linear_probe=not plan.no_probe,
        train=plan.train,
        test=plan.test,
        resume=plan.resume,
        model=flags,
    )


def _run(plan: Plan, config: RunConfig, flags: ModelFlags, console: Console) -> tuple[Run, Work]:
    """The run, and what the model had to do."""
    from ..runs.run import run_search

    task = config.prepared(load(plan.task, plan.metric, console), console.say)
    folder = run_folder(plan.run_dir, task.name, plan.resume)
    own = without_proposer_flags(flags, plan.proposer)
    with (
        resumable(console.write, partial(resume_hint, folder)),
        opened(own, console.say, named=task.model) as model,
    ):
        made = run_search(task, model, replace(config, run_dir=folder), console.observer())
        return made, work_of(model)


def _deliver(made: Run, work: Work, output: str, shown: str, quiet: bool) -> None:
    """The YAML to where it was asked for; the summary to stdout, or, unless quiet, to stderr if
    the YAML is there."""
    from ..ui import formats
    from ..ui.console import screen_of

    written = deliver(made, output)
    if quiet and output == "-":
        return
    stream = sys.stderr if output == "-" else sys.stdout
    text = formats.get(shown).run(made.artifact, written, screen_of(stream), work)
    typer.echo(text, err=output == "-")
