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
from ..runs.models import (
    named_by,
    opened,
    warn_if_other_model,
    weights_of_prompt,
    weights_of_run,
    work_of,
)
from ..runs.proposer import without_proposer_flags
from .compare import check_labels
from .evaluate import Folder, Source, Use, load
from .interrupts import resumable
from .models import ModelFlags
from .review import ask
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
    from ..core.interfaces import Engine, Observer
    from ..core.task import Task
    from ..reflection import Diagnosis, Start
    from ..runs.run import Run
    from ..storage.written_files import Target
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
    int | None, typer.Option(min=0, metavar="N", help="Seed. Default: the artifact's.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the diagnosis and the proposals; change nothing.")
]
Interactive = Annotated[
    bool, typer.Option("--interactive", help="Ask before each accepted edit: keep, change, refuse.")
]
Events = Annotated[
    bool,
    typer.Option("--events", help="Print JSON Lines: each event as it happens, then the result."),
]


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
    events: Events = False


@grouped
def reflect(
    plan: Plan,
    run: RunFlags,
    *,
    output: Output = "",
    flags: ModelFlags,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Improve a prompt where it goes wrong.

    Looks at the most consequential failures of PROMPT on the training split of TASK, asks the model
    about those examples, and keeps an edit only if it holds on examples that did not inspire it.
    """
    reflect_on(plan, run, output, flags, format_name(json, format), talk)


def reflect_on(
    plan: Plan, run: RunFlags, output: str, flags: ModelFlags, shown: str, talk: Talk
) -> None:
    """Reflect, and write and show the result."""
    from ..ui.console import Console

    target = _checked(plan, run, flags, output, shown)
    console = Console(talk.level)
    try:
        made = _run(plan, run, flags, console, shown)
    finally:
        console.close()
    if made is not None:
        _deliver(*made, target, "events" if plan.events else shown, talk.quiet)
        if made[0].kept is not None:
            show_report_hint(made[0].kept, console)


def _checked(plan: Plan, run: RunFlags, flags: ModelFlags, output: str, shown: str) -> Target:
    """Where the YAML goes. Raises `UsageError` for options that exclude each other."""
    if plan.events and shown == "json":
        raise UsageError("--events prints JSON Lines and --json one object: give one of them")
    if plan.interactive and plan.prompt == "-":
        raise UsageError("--interactive reads stdin, and so does the prompt -: name a file")
    if plan.dry_run and (plan.interactive or run.resume or output):
        raise UsageError("--dry-run writes nothing: drop -o, --resume and --interactive")
    machine_readable = "--events" if plan.events else "--json" if shown == "json" else ""
    target = checked_target(output, machine_readable, run.force)
    run.config("reflection", plan.budget, 0, flags).check()
    return target


def _run(
    plan: Plan, run: RunFlags, flags: ModelFlags, console: Console, shown: str
) -> tuple[Run, Work] | None:
    """The run, and what the model had to do; None for a dry run."""
    from ..artifact import read_artifact
    from ..reflection import from_prompt
    from ..runs.run import run_reflection

    loaded = load(plan.task, run.metric, console)
    artifact = read_artifact(plan.prompt)
    check_labels(artifact, loaded)
    prompt = artifact.single(plan.use)
    if artifact.committee is not None:
        console.say(
            "Note: reflection works on a single prompt, here the "
            f"{'baseline' if prompt == artifact.baseline_prompt else 'winner'}: the "
            f"{artifact.committee.name} is left out of what it writes."
        )
    seed = artifact.seed if plan.seed is None else plan.seed
    config = run.config("reflection", plan.budget, seed, flags)
    task = config.prepared(loaded, console.say)
    folder = run_folder(run.run_dir, f"{task.name}-reflect", run.resume)
    ref = named_by(artifact.model, flags)
    own = without_proposer_flags(flags, run.proposer)
    kept = weights_of_run(folder) if run.resume else None
    recorded = kept or weights_of_prompt(artifact.model)
    with (
        resumable(console.write, partial(resume_hint, folder)),
        opened(own, console.say, named=ref or task.model, recorded=recorded) as model,
    ):
        warn_if_other_model(model.info(), artifact.model, console.say)
        if plan.dry_run:
            start = from_prompt(artifact.baseline_prompt, prompt)
            form = "events" if plan.events else shown
            _show_diagnosis(task, model, config, start, console, form)
            return None
        observer = _Printing(console.observer(bar=not plan.interactive), plan.events)
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
    """An observer that also prints reflection's events, one JSON object a line, where `--events`
    is given."""

    def __init__(self, shown: Observer, events: bool) -> None:
        self._shown, self._events = shown, events

    def notify(self, event: Event) -> None:
        self._shown.notify(event)
        if self._events and type(event) in EVENT_NAMES:
            _print_event(EVENT_NAMES[type(event)], asdict(event))


def _print_event(kind: str, data: Mapping[str, Any]) -> None:
    typer.echo(json_text({"event": kind, **data}))


def _deliver(made: Run, work: Work, target: Target, shown: str, quiet: bool) -> None:
    """The YAML to where it was asked for; the summary (or the last event) beside it, but none on
    stderr if quiet."""
    from ..artifact import to_data

    written = deliver(made, target)
    if shown == "events":
        account = {"work": work} if work else {}
        files = [written] if written else []
        _print_event("result", {**to_data(made.artifact), "written": files, **account})
        return
    show_summary(made, work, target.name, written, shown, quiet)


# --- --dry-run ------------------------------------------------------------------------------------


def _show_diagnosis(
    task: Task,
    model: Engine,
    config: RunConfig,
    start: Start,
    console: Console,
    form: str,
) -> None:
    """Print what goes wrong with the prompt and what would be tried; nothing is kept."""
    from ..runs.run import run_diagnosis

    found = run_diagnosis(task, model, config, start, console.observer())
    console.close()
    if form not in ("json", "events"):
        typer.echo(printable(_as_text(found)))
        return
    cases, proposals = _cases(found), _proposals(found)
    if form == "events":
        lines = [{"event": "case", **one} for one in cases]
        lines += [{"event": "proposal", **one} for one in proposals]
        typer.echo("\n".join(json_text(line) for line in lines))
        return
    value = round(found.value, 6)
    typer.echo(json_text({"value": value, "cases": cases, "proposals": proposals}, indent=2))


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


def _cases(found: Diagnosis) -> list[dict[str, Any]]:
    """What goes wrong, for programs."""
    return [
        {
            "confusion": confusion.name,
            "example": case.example_id,
            "consequence": round(case.consequence, 4),
            "reason": case.reason,
        }
        for confusion in found.confusions
        for case in confusion.cases
    ]


def _proposals(found: Diagnosis) -> list[dict[str, Any]]:
    """What would be tried, for programs."""
    return [
        {
            "edit": one.kind,
            "why": one.why,
            "confusion": one.confusion,
            "inspired_by": list(one.inspired_by),
            "changes": [vars(change) for change in found.changes(one)],
        }
        for one in found.proposals
    ]
