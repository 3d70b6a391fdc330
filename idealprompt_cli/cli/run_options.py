"""What commands that run something share: their options, where results are written, and how an
interrupted run is resumed."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import ArtifactError, UsageError
from ..runs.config import RunConfig, Stages
from ..runs.folder import JOURNAL
from ..storage.written_files import Target, is_artifact
from .evaluate import MetricName
from .models import ModelFlags
from .shared_options import Force

if TYPE_CHECKING:
    from ..runs.run import Run
    from ..ui.console import Console
    from ..ui.formats.base import Work

Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write the YAML artifact.")
]
RunDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the run is kept. Default: under runs/.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")]
NoPriors = Annotated[
    bool, typer.Option("--no-priors", help="Neither use nor update the priors of earlier runs.")
]
NoProbe = Annotated[
    bool,
    typer.Option("--no-probe", help="Do not report a linear probe on the same images."),
]
ProposerName = Annotated[
    str,
    typer.Option(
        "--proposer",
        metavar="none|same|GGUF|URL",
        help="Who writes where an edit needs text: nobody, the model itself, a second text model, "
        "or a server (URL#NAME for one of its models).",
    ),
]
TrainCount = Annotated[
    int,
    typer.Option(
        "--train",
        min=0,
        metavar="N",
        show_default=False,
        help="Use N training examples, stratified. Default: all, or fewer of a large task or for a "
        "small budget.",
    ),
]
TestCount = Annotated[
    int,
    typer.Option("--test", min=0, metavar="N", show_default=False, help="Use N held-out examples."),
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Skip the held-out test.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither use nor fill the response cache.")
]


@dataclass(frozen=True)
class RunFlags:
    """The options that search and reflection share, as a group (see `shared_options.grouped`)."""

    metric: MetricName = ""
    proposer: ProposerName = "none"
    train: TrainCount = 0
    test: TestCount = 0
    no_test: NoTest = False
    no_probe: NoProbe = False
    no_priors: NoPriors = False
    no_cache: NoCache = False
    run_dir: RunDir = None
    resume: Resume = False
    force: Force = False

    def config(self, stages: Stages, budget: str, seed: int, model: ModelFlags) -> RunConfig:
        """The run that these options ask for, without its folder."""
        return RunConfig(
            stages=stages,
            budget=budget,
            seed=seed,
            proposer=self.proposer,
            priors=not self.no_priors,
            cache=not self.no_cache,
            held_out_test=not self.no_test,
            linear_probe=not self.no_probe,
            train=self.train,
            test=self.test,
            resume=self.resume,
            model=model,
        )


def budget_option(default: str) -> Any:
    """`--budget`, whose help ends with the default."""
    return typer.Option(
        "--budget",
        metavar="N|10m|200ktok",
        help=f"Evaluations, model time or tokens. Default: {default}.",
    )


def checked_target(output: str, machine_readable: str, force: bool) -> Target:
    """Where the YAML goes. Raises, before anything slow, where it cannot be written.
    `machine_readable` is the option that takes stdout for itself, "" for none."""
    if machine_readable and output == "-":
        raise UsageError(
            f"{machine_readable} and -o - both write to stdout: write the YAML to a file"
        )
    target = Target(output, "a prompt that search wrote", is_artifact, force)
    target.check()
    return target


def show_summary(made: Run, work: Work, output: str, written: str, shown: str, quiet: bool) -> None:
    """The summary to stdout, or, unless quiet, to stderr where the YAML is on stdout."""
    from ..ui import formats
    from ..ui.console import screen_of

    if quiet and output == "-":
        return
    stream = sys.stderr if output == "-" else sys.stdout
    text = formats.get(shown).run(made.artifact, written, screen_of(stream), work)
    typer.echo(text, err=output == "-")


def deliver(made: Run, target: Target) -> str:
    """Write the YAML to where -o says, and return the file that has it (by default the run's own).
    Raises `ArtifactError`, which says that nothing is lost."""
    from ..artifact import dump

    if target.name == "-":
        typer.echo(dump(made.artifact), nl=False)
    elif target.is_file:
        try:
            target.write(dump(made.artifact))
        except ArtifactError as error:
            raise ArtifactError(f"{error}; the result is in {made.kept}") from None
        return target.name
    return str(made.kept or "")


def show_report_hint(kept: Path, console: Console) -> None:
    """Where the whole run is kept, and how to look at it."""
    run = shlex.quote(str(kept.parent))
    console.say(f"Details of the run: idealprompt report {run} --text, or -o report.html")


def resume_hint(folder: Path) -> str:
    """How an interrupted run is resumed: this command line with what resumes it; "" where nothing
    was computed yet."""
    if not (folder / JOURNAL).exists():
        return ""
    words = [word for word in sys.argv[1:] if word != "--resume"]
    known = any(word.split("=")[0] == "--run-dir" for word in words)
    where = [] if known else ["--run-dir", str(folder)]
    return f"resume with: {shlex.join(['idealprompt', *words, *where, '--resume'])}"
