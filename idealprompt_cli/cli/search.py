"""`idealprompt search`: adapt a prompt to a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.committee import MOST_MEMBERS
from ..runs.config import RunConfig, Stages, as_prefer
from ..runs.folder import run_folder
from ..runs.models import weights_of_run, work_of
from ..runs.proposer import without_proposer_flags
from . import completion
from .cluster import ClusterFlags, opened_anywhere, watched
from .evaluate import Folder, load
from .interrupts import resumable
from .models import ModelFlags
from .run_options import (
    Output,
    RunFlags,
    budget_option,
    checked_target,
    deliver,
    resume_hint,
    show_report_hint,
    show_summary,
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
  idealprompt search my_task --local-workers 3
  idealprompt search my_task -o - | idealprompt eval - my_task"""

BudgetText = Annotated[str, budget_option("40 evaluations per training example")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the search.")]
Prefer = Annotated[
    str, typer.Option(metavar="score|short", help="The best prompt, or the cheapest as good.")
]
CommitteeSize = Annotated[
    int | None,
    typer.Option(
        "--committee",
        metavar="K",
        show_default=False,
        help=f"Let up to K prompts (0 to {MOST_MEMBERS}) answer together, for tasks with labels, "
        "their answer words weighted; each answer then takes up to K evaluations. Default: 1; 0 "
        "weighs nothing.",
    ),
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
    strategy: Strategies = None
    policy: PolicyName = "puct"
    prefer: Prefer = "score"
    committee: CommitteeSize = None
    reflect: Reflect = False


@grouped
def search(
    plan: Plan,
    run: RunFlags,
    *,
    output: Output = "",
    flags: ModelFlags,
    spread: ClusterFlags,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Search for a prompt that makes the model answer a task better.

    Reads the labelled examples in TASK, tries edits of its question on the training split, and
    compares the best prompt with the seed prompt on the held-out test split.
    """
    from ..ui.console import Console

    shown = format_name(json, format)
    target = checked_target(output, "--json" if shown == "json" else "", run.force)
    config = config_of(plan, run, flags)
    config.check()
    console = Console(talk.level)
    try:
        made, work = _run(plan, run, config, flags, spread, console)
    finally:
        console.close()
    written = deliver(made, target)
    show_summary(made, work, output, written, shown, talk.quiet)
    if made.kept is not None:
        show_report_hint(made.kept, console)


def config_of(plan: Plan, run: RunFlags, flags: ModelFlags) -> RunConfig:
    """The run that the command line asks for."""
    stages: Stages = "search and reflection" if plan.reflect else "search"
    return replace(
        run.config(stages, plan.budget, plan.seed, flags),
        strategies=tuple(plan.strategy or ()),
        policy=plan.policy,
        prefer=as_prefer(plan.prefer),
        committee=plan.committee,
    )


def _run(
    plan: Plan,
    run: RunFlags,
    config: RunConfig,
    flags: ModelFlags,
    spread: ClusterFlags,
    console: Console,
) -> tuple[Run, Work]:
    """The run, and what the model had to do."""
    from ..runs.run import run_search

    cluster = spread.choice(flags.allow_network)
    cluster.check()
    loaded = load(plan.task, run.metric, console)
    folder = run_folder(run.run_dir, loaded.name, run.resume)
    config = replace(config, run_dir=folder)
    task = config.prepared(loaded, console.say)
    own = without_proposer_flags(flags, run.proposer)
    recorded = weights_of_run(folder) if run.resume else None
    with (
        resumable(console.write, partial(resume_hint, folder)),
        opened_anywhere(own, cluster, task, console, recorded) as model,
    ):
        observer = watched(console.observer(), model, console)
        made = run_search(task, model, config, observer)
        return made, work_of(model)
