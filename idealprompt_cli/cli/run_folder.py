"""What commands that run something share: their options, where results are written, and how an
interrupted run is resumed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ArtifactError
from ..io.files import write_text
from ..runs.folder import JOURNAL

if TYPE_CHECKING:
    from ..runs.run import Run
    from ..ui.console import Console

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
    typer.Option("--no-probe", help="Do not report a linear probe on the same pictures."),
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
        help="Use N training examples, stratified. Default: all, or a share of a large task.",
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


def deliver(made: Run, output: str) -> str:
    """Write the YAML to where -o says, and return the file that has it (by default the run's own).
    Raises `ArtifactError`, which says that nothing is lost."""
    from ..artifact import dump

    if output == "-":
        typer.echo(dump(made.artifact), nl=False)
    elif output:
        try:
            write_text(Path(output), dump(made.artifact), ArtifactError)
        except ArtifactError as error:
            raise ArtifactError(f"{error}; the result is in {made.kept}") from None
        return output
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
