"""`idealprompt fleet`: boxes that keep their own examples, and the prompt that is best for all."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fleet.network import need_distributed
from ..io.terminal import json_text
from ..runs.config import RunConfig, as_prefer
from ..runs.folder import run_folder
from ..runs.models import opened, without_auto_weights
from .cluster import TlsFlags, WithBoxes, show_boxes
from .evaluate import Folder, load
from .interrupts import resumable
from .models import EngineName, Mmproj, Model, ModelFlags, Threads
from .reflect import Plan as ReflectPlan
from .reflect import reflect_on
from .run_options import (
    NoPriors,
    NoTest,
    Output,
    Resume,
    RunDir,
    RunFlags,
    checked_target,
    deliver,
    resume_hint,
    show_report_hint,
    show_summary,
)
from .search import PolicyName, Prefer, Seed, Strategies
from .shared_options import Force, FormatName, Json, Talk, format_name, grouped
from .shell import Command, Shell

if TYPE_CHECKING:
    from ..fleet.federation.members import Members
    from ..runs.run import Run
    from ..ui.console import Console

EPILOG = """\b
Examples:
  idealprompt fleet search --members fleet.yaml -o prompt.yaml
  idealprompt fleet serve my_task --listen tcp://127.0.0.1:8790
  idealprompt fleet reflect prompt.yaml my_task -o own.yaml"""

app = typer.Typer(
    cls=Shell,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One prompt for many boxes whose examples stay on each.",
    epilog=EPILOG,
)

SEARCH_EPILOG = """\b
Examples:
  idealprompt fleet search --members fleet.yaml -o prompt.yaml
  idealprompt fleet search --members fleet.yaml --budget 500 --run-dir runs/fleet
A members file:
  members:
    - {name: north, address: "tls://10.0.0.5:8790"}
    - {name: south, task: boxes/south}
  min_group: 5
A member has an address, or a folder here. The keys min_group, epsilon, delta,
prompts and drafts are for folders, as the options of fleet serve."""
SERVE_EPILOG = """\b
Examples:
  idealprompt fleet serve my_task
  idealprompt fleet serve my_task --epsilon 8 --prompts 100
docs/fleet.md says what the coordinator can learn."""
REFLECT_EPILOG = """\b
Example:
  idealprompt fleet reflect prompt.yaml my_task -o own.yaml"""

MembersFile = Annotated[
    Path, typer.Option("--members", metavar="YAML", help="The boxes: names, addresses or folders.")
]
BudgetText = Annotated[
    str,
    typer.Option(
        "--budget",
        metavar="N",
        help="Evaluations: a prompt on a group of examples is one. Default: 40 per group.",
    ),
]
AllowNetwork = Annotated[
    bool, typer.Option("--allow-network", help="The other side may be another machine.")
]
BoxTimeout = Annotated[
    float,
    typer.Option(
        "--box-timeout",
        min=1,
        metavar="SECONDS",
        help="How long a box may give no sign of life, or lag behind the others.",
    ),
]
Listen = Annotated[str, typer.Option(metavar="URL", help="Where the coordinator can reach it.")]
MinGroup = Annotated[
    int, typer.Option(min=2, metavar="N", help="Sums are over groups of N examples or more.")
]
Epsilon = Annotated[
    float, typer.Option(min=0, metavar="X", help="Add noise: (epsilon, delta)-private. 0: none.")
]
Delta = Annotated[float, typer.Option(metavar="X", help="The delta of the noise.")]
Prompts = Annotated[
    int, typer.Option(min=1, metavar="N", help="At most N prompts are answered, over all runs.")
]
Drafts = Annotated[
    bool | None,
    typer.Option(
        show_default=False,
        help="Let texts that are drafted from the examples leave. Default: without noise.",
    ),
]


@dataclass(frozen=True)
class Connection(TlsFlags):
    """The options for connections, as a group."""

    allow_network: AllowNetwork = False


@dataclass(frozen=True)
class Plan:
    """What a search over boxes is asked, as a group of options."""

    members: MembersFile
    budget: BudgetText = ""
    seed: Seed = 0
    strategy: Strategies = None
    policy: PolicyName = "puct"
    prefer: Prefer = "score"
    no_test: NoTest = False
    no_priors: NoPriors = False
    run_dir: RunDir = None
    resume: Resume = False
    force: Force = False
    box_timeout: BoxTimeout = 60.0

    @property
    def config(self) -> RunConfig:
        return RunConfig(
            budget=self.budget,
            seed=self.seed,
            strategies=tuple(self.strategy or ()),
            policy=self.policy,
            prefer=as_prefer(self.prefer),
            priors=not self.no_priors,
            held_out_test=not self.no_test,
            resume=self.resume,
        )


@dataclass(frozen=True)
class BoxModel:
    """The model of boxes that are started here, as a group of options."""

    model: Model = None
    mmproj: Mmproj = None
    threads: Threads = 0
    engine: EngineName = ""

    @property
    def words(self) -> list[str]:
        """The same as options of `fleet serve`."""
        given = {"--model": self.model, "--mmproj": self.mmproj, "--engine": self.engine}
        words = [word for option, value in given.items() if value for word in (option, str(value))]
        return [*words, "--threads", str(self.threads)] if self.threads else words


@app.command("search", epilog=SEARCH_EPILOG, cls=Command)
@grouped
def search(
    plan: Plan,
    connection: Connection,
    *,
    output: Output = "",
    flags: BoxModel,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Search for the prompt that is best over all boxes.

    Prompts go out, sums over groups of examples come back. Strategies that learn from examples run
    on the boxes.
    """
    from ..fleet.federation.members import read_members
    from ..ui.console import Console

    shown = format_name(json, format)
    target = checked_target(output, "--json" if shown == "json" else "", plan.force)
    need_distributed("fleet search")
    connection.files.check()
    plan.config.check()
    members = read_members(plan.members)
    console = Console(talk.level)
    try:
        made = _search(plan, connection, members, flags, console)
    finally:
        console.close()
    show_summary(made, {}, output, deliver(made, target), shown, talk.quiet)
    if made.kept is not None:
        show_report_hint(made.kept, console)


def _search(
    plan: Plan, connection: Connection, members: Members, flags: BoxModel, console: Console
) -> Run:
    """The run, with connections to all boxes; those with a folder are started here."""
    from ..fleet.federation.comm import without_pickle
    from ..fleet.federation.federation import Federation, network
    from ..fleet.federation.run import run_federation
    from ..fleet.federation.serving import local_boxes, remote_address

    names = [member.name for member in members.members]
    folder = run_folder(plan.run_dir, plan.members.stem, plan.resume)
    here = [member for member in members.members if member.task]
    remote = [
        remote_address(member, connection.files, connection.allow_network)
        for member in members.members
        if member.address
    ]
    with ExitStack() as stack:
        stack.enter_context(resumable(console.write, partial(resume_hint, folder)))
        stack.enter_context(without_pickle())
        started = local_boxes(here, members.policy, flags.words, console.say)
        addresses = remote + stack.enter_context(started)
        links = stack.enter_context(network(addresses, connection.files, plan.box_timeout))
        federation = Federation(links, console.say)
        federation.join(names)
        config = replace(plan.config, run_dir=folder)
        boxes = federation.accounts.values()
        observer = WithBoxes(console.observer(), console, lambda: list(boxes))
        made = run_federation(federation, names, config, observer)
        show_boxes("Box", list(boxes), console)
        return made


@app.command("serve", epilog=SERVE_EPILOG, cls=Command)
@grouped
def serve(
    task: Folder,
    listen: Listen = "tcp://127.0.0.1:8790",
    min_group: MinGroup = 5,
    epsilon: Epsilon = 0.0,
    delta: Delta = 1e-5,
    prompts: Prompts = 500,
    drafts: Drafts = None,
    *,
    connection: TlsFlags,
    flags: ModelFlags,
    json: Json = False,
    talk: Talk,
) -> None:
    """Answer a coordinator's prompts with sums over this box's examples.

    Runs until it is ended. Examples, images, names and answers do not leave.
    """
    from ..fleet.federation.privacy import Policy
    from ..fleet.federation.serving import listening_address, serve_box
    from ..ui.console import Console

    policy = Policy(min_group, epsilon, delta, prompts, drafts)
    policy.check()
    address = listening_address(listen, connection.files, flags.allow_network)
    console = Console(talk.level)
    loaded = load(task, "", console)

    def announce(url: str, token: str) -> None:
        if json:
            typer.echo(json_text({"address": url, "token": token}))
        else:
            typer.echo(f"address: {url}" + (f"\ntoken: {token}" if token else ""))
        sys.stdout.flush()

    own = without_auto_weights(
        replace(flags, allow_network=bool(flags.server) and flags.allow_network)
    )
    with opened(own, console.say, named=loaded.model) as engine:
        console.say(f"{loaded.name}: {policy.statement()}.")
        serve_box(loaded, engine, policy, address, connection.files, announce, console.say)


@app.command("reflect", epilog=REFLECT_EPILOG, cls=Command)
@grouped
def personalise(
    plan: ReflectPlan,
    run: RunFlags,
    *,
    output: Output = "",
    flags: ModelFlags,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Adapt the common prompt to this box: reflect, from its winner, on this box's own folder.

    Works as `idealprompt reflect`, on this machine alone; nothing is sent.
    """
    start = replace(plan, use="winner") if plan.use == "recommended" else plan
    reflect_on(start, run, output, flags, format_name(json, format), talk)
