"""`idealprompt export`: a prompt in the format of another tool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import ArtifactError
from ..core.prompt import Prompt
from ..io.files import write_text
from ..io.terminal import json_text, printable
from . import completion
from .evaluate import Source, Use, choose_prompt, tell_of_prompt
from .outputs import check_target, is_text
from .shared_options import Debug, Json, Quiet, level_of

EPILOG = """\b
Examples:
  idealprompt export prompt.yaml --to llama-server | jq .request > body.json
  idealprompt export prompt.yaml --to python -o answer.py && python answer.py photo.jpg
Formats: """ + completion.listed("exports")

To = Annotated[
    str,
    typer.Option(
        "--to", metavar="FORMAT", help="The format; see below.", autocompletion=completion.exports
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write. Default: stdout.")
]


def export(
    prompt: Source,
    to: To,
    output: Output = "-",
    use: Use = "recommended",
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write an adapted prompt in the format of another tool. Needs no model."""
    from .. import exports
    from ..artifact import read_artifact
    from ..ui.console import Console

    del debug
    target = exports.get(to)
    check_target(output, is_text, "an export")
    artifact = read_artifact(prompt)
    console = Console(level_of(quiet, False))
    tell_of_prompt(artifact, use, console)
    named, chosen = choose_prompt(artifact, use)
    if isinstance(chosen, Prompt) and chosen.calibration:
        console.say(
            "Note: this prompt shifts the labels' probabilities (`calibration`), which no other "
            "tool does: answers near a tie may differ from eval's."
        )
    text = exports.rendered(target, artifact, chosen)
    written = [] if output == "-" else [output]
    for name in written:
        write_text(Path(name), text + "\n", ArtifactError)
    if json:
        data = {"format": target.name, "prompt": named, "content": text, "written": written}
        typer.echo(json_text(data, indent=2))
    elif not written:
        typer.echo(printable(text) if sys.stdout.isatty() else text)
