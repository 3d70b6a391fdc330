"""`idealprompt reflect`: look at what a prompt gets wrong, and edit it where that holds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import UsageError
from ..core.events import (
    ConfusionChosen,
    EditJudged,
    EditsTested,
    Event,
    IncumbentChanged,
    ReflectionStopped,
)
from ..io.terminal import json_text, printable
from ..runs.config import RunConfig
from ..runs.folder import run_folder
from ..runs.models import named_by, opened, warn_if_other_model, work_of
from ..runs.proposer import without_proposer_flags
from .compare import check_labels
from .evaluate import Folder, Source, Use, choose_prompt, load
from .interrupts import resumable
from .models import ModelFlags
from .review import ask
from .run_options import (
    Output,
    RunFlags,
    budget_option,
    check_output,
    deliver,
    resume_hint,
    show_report_hint,
    show_summary,
)
from .shared_options import FormatName, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..core.interfaces import Engine, Observer
    from ..core.task import Task
    from ..reflection import Diagnosis, Start
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

BudgetText = Annotated[str, budget_option("20 evaluations per training example")]
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
    seed: Seed = None
    use: Use = "recommended"
    dry_run: DryRun = False
    interactive: Interactive = False
    json: Events = False


@grouped
def reflect(
    plan: Plan,
    run: RunFlags,
    *,
    output: Output = "",
    flags: ModelFlags,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Improve a prompt where it goes wrong.

    Looks at the most consequential failures of PROMPT on the training part of TASK, asks the model
    about those examples, and keeps an edit only if it holds on examples that did not inspire it.
    """
    from ..ui.console import Console

    shown = format_name(plan.json, format)
    _check(plan, run, flags, output)
    console = Console(talk.level)
    try:
        made = _run(plan, run, flags, console)
    finally:
        console.close()
    if made is not None:
        _deliver(*made, output, shown, talk.quiet)
        if made[0].kept is not None:
            show_report_hint(made[0].kept, console)


def _check(plan: Plan, run: RunFlags, flags: ModelFlags, output: str) -> None:
    if plan.interactive and plan.prompt == "-":
        raise UsageError("--interactive reads stdin, and so does the prompt -: name a file")
    if plan.dry_run and (plan.interactive or run.resume or output):
        raise UsageError("--dry-run writes nothing: drop -o, --resume and --interactive")
    check_output(output, plan.json)
    run.config("reflection", plan.budget, 0, flags).check()


def _run(plan: Plan, run: RunFlags, flags: ModelFlags, console: Console) -> tuple[Run, Work] | None:
    """The run, and what the model had to do; None for a dry run."""
    from ..artifact import read_artifact
    from ..reflection import from_prompt
    from ..runs.run import run_reflection

    loaded = load(plan.task, run.metric, console)
    artifact = read_artifact(plan.prompt)
    check_labels(artifact, loaded)
    prompt = choose_prompt(artifact, plan.use)[1]
    seed = artifact.seed if plan.seed is None else plan.seed
    config = run.config("reflection", plan.budget, seed, flags)
    task = config.prepared(loaded, console.say)
    folder = run_folder(run.run_dir, f"{task.name}-reflect", run.resume)
    ref = named_by(artifact.model, flags)
    own = without_proposer_flags(flags, run.proposer)
    with (
        resumable(console.write, partial(resume_hint, folder)),
        opened(own, console.say, named=ref or task.model) as model,
    ):
        warn_if_other_model(model.info(), artifact.model, console.say)
        if plan.dry_run:
            start = from_prompt(artifact.baseline_prompt, prompt)
            _show_diagnosis(task, model, config, start, console, plan.json)
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

    written = deliver(made, output)
    if shown == "json":
        account = {"work": work} if work else {}
        _print_event("result", {**to_data(made.artifact), "written": written, **account})
        return
    show_summary(made, work, output, written, shown, quiet)


# --- --dry-run ------------------------------------------------------------------------------------


def _show_diagnosis(
    task: Task,
    model: Engine,
    config: RunConfig,
    start: Start,
    console: Console,
    events: bool,
) -> None:
    """Print what goes wrong with the prompt and what would be tried; nothing is kept."""
    from ..runs.run import run_diagnosis

    found = run_diagnosis(task, model, config, start, console.observer())
    console.close()
    typer.echo(_as_events(found) if events else printable(_as_text(found)))


def _as_text(found: Diagnosis) -> str:
    """The diagnosis for people."""
    lines = [f"The prompt scores {100 * found.value:.1f} % on the training examples."]
    for confusion in found.confusions:
        share = f"{100 * confusion.weight:.0f} % of the loss"
        count = len(confusion.cases)
        examples = "1 example" if count == 1 else f"{count} examples"
        lines += ["", f"{confusion.name}: {examples}, {share}"]
        for case in confusion.cases:
            said = found.said.get(case.example_id, "")
            lines.append(f"  {case.example_id}: {case.reason}" + (f" ({said})" if said else ""))
    lines += ["", "Edits to try:" if found.proposals else "No edit to try."]
    for number, proposal in enumerate(found.proposals, start=1):
        lines.append(f"  {number}. {proposal.kind}: {proposal.why}")
        lines += [f"     {c.part} -> {c.after or '(nothing)'}" for c in found.changes(proposal)]
    return "\n".join(lines)


def _as_events(found: Diagnosis) -> str:
    """The diagnosis for programs: an event a line."""
    events: list[dict[str, Any]] = [
        {"event": "case", "confusion": confusion.name, "example": case.example_id,
         "consequence": round(case.consequence, 4), "reason": case.reason}
        for confusion in found.confusions
        for case in confusion.cases
    ]  # fmt: skip
    events += [
        {"event": "proposal", "edit": p.kind, "why": p.why, "confusion": p.confusion,
         "inspired_by": list(p.inspired_by), "changes": [vars(c) for c in found.changes(p)]}
        for p in found.proposals
    ]  # fmt: skip
    return "\n".join(json_text(event) for event in events)
