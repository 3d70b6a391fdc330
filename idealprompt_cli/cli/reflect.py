"""`idealprompt reflect`: look at what a prompt gets wrong, and edit it where that holds up."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ArtifactError, UsageError
from ..core.events import (
    ConfusionChosen,
    EditJudged,
    EditsTested,
    Event,
    IncumbentChanged,
    ReflectionStopped,
)
from ..io.files import check_writable
from ..io.terminal import json_text
from ..runs.config import RunConfig
from ..runs.folder import run_folder
from ..runs.models import named_by, opened, warn_if_other_model, work_of
from ..runs.proposer import without_proposer_flags
from .compare import check_labels
from .diagnosis import show_diagnosis
from .evaluate import Folder, MetricName, Source, Use, choose_prompt, load
from .interrupts import resumable
from .models import ModelFlags
from .review import ask
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
from .shared_options import FormatName, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..core.interfaces import Observer
    from ..runs.run import Run
    from ..ui.console import Console
    from ..ui.formats.base import Work

EVENT_NAMES: Mapping[type, str] = {
    ConfusionChosen: "confusion",
    EditsTested: "testing",
    EditJudged: "edit",
    IncumbentChanged: "incumbent",
    ReflectionStopped: "stop",
}

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
    use: Use = "recommended"
    seed: Seed = None
    run_dir: RunDir = None
    resume: Resume = False
    metric: MetricName = ""
    no_test: NoTest = False
    train: TrainCount = 0
    test: TestCount = 0
    proposer: ProposerName = "none"
    no_priors: NoPriors = False
    no_probe: NoProbe = False
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
    _check(plan, flags, output)
    console = Console(talk.level)
    try:
        made = _run(plan, flags, console)
    finally:
        console.close()
    if made is not None:
        _deliver(*made, output, shown, talk.quiet)
        if made[0].kept is not None:
            show_report_hint(made[0].kept, console)


def _check(plan: Plan, flags: ModelFlags, output: str) -> None:
    if plan.json and output == "-":
        raise UsageError("--json and -o - both write to stdout: write the YAML to a file")
    if plan.interactive and plan.prompt == "-":
        raise UsageError("--interactive reads stdin, and so does the prompt -: name a file")
    if plan.dry_run and (plan.interactive or plan.resume or output):
        raise UsageError("--dry-run writes nothing: drop -o, --resume and --interactive")
    if output not in ("", "-"):
        check_writable(Path(output), ArtifactError)
    config_of(plan, flags).check()


def config_of(plan: Plan, flags: ModelFlags, seed: int = 0) -> RunConfig:
    """The run that the command line asks for."""
    return RunConfig(
        stages="reflection",
        budget=plan.budget,
        seed=seed,
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


def _run(plan: Plan, flags: ModelFlags, console: Console) -> tuple[Run, Work] | None:
    """The run, and what the model had to do; None for a dry run."""
    from ..artifact import read_artifact
    from ..reflection import from_prompt
    from ..runs.run import run_reflection

    loaded = load(plan.task, plan.metric, console)
    artifact = read_artifact(plan.prompt)
    check_labels(artifact, loaded)
    prompt = choose_prompt(artifact, plan.use)[1]
    config = config_of(plan, flags, artifact.seed if plan.seed is None else plan.seed)
    task = config.prepared(loaded, console.say)
    folder = run_folder(plan.run_dir, f"{task.name}-reflect", plan.resume)
    ref = named_by(artifact.model, flags)
    own = without_proposer_flags(flags, plan.proposer)
    with (
        resumable(console.write, partial(resume_hint, folder)),
        opened(own, console.say, named=ref or task.model) as model,
    ):
        warn_if_other_model(model.info(), artifact.model, console.say)
        if plan.dry_run:
            start = from_prompt(artifact.baseline_prompt, prompt)
            show_diagnosis(task, model, config, start, console, plan.json)
            return None
        observer = _Printing(console.observer(bar=not plan.interactive), plan.json)
        made = run_reflection(
            task,
            model,
            replace(config, run_dir=folder),
            artifact,
            prompt,
            observer,
            ask if plan.interactive else None,
        )
        return made, work_of(model)


# --- the result -----------------------------------------------------------------------------------


class _Printing:
    """An observer that also prints reflection's events, one JSON object a line, where `--json` is
    given."""

    def __init__(self, shown: Observer, json: bool) -> None:
        self._shown, self._json = shown, json

    def notify(self, event: Event) -> None:
        self._shown.notify(event)
        if self._json and type(event) in EVENT_NAMES:
            _print_event(EVENT_NAMES[type(event)], asdict(event))


def _print_event(kind: str, data: Mapping[str, Any]) -> None:
    typer.echo(json_text({"event": kind, **data}))


def _deliver(made: Run, work: Work, output: str, shown: str, quiet: bool) -> None:
    """The YAML to where it was asked for; the summary (or the last event) beside it, but none on
    stderr if quiet."""
    from ..artifact import to_data
    from ..ui import formats
    from ..ui.console import screen_of

    written = deliver(made, output)
    if shown == "json":
        account = {"work": work} if work else {}
        _print_event("result", {**to_data(made.artifact), "written": written, **account})
        return
    if quiet and output == "-":
        return
    stream = sys.stderr if output == "-" else sys.stdout
    text = formats.get(shown).run(made.artifact, written, screen_of(stream), work)
    typer.echo(text, err=output == "-")
