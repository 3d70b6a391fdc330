"""`idealprompt export`: a prompt in the format of another tool."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..core.prompt import Prompt
from ..io.terminal import json_text, printable
from ..storage.written_files import Target
from . import completion
from .evaluate import Source, Use, choose_prompt, tell_of_prompt
from .shared_options import Debug, Force, Json, Quiet, level_of

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
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write an adapted prompt in the format of another tool. Needs no model."""
    from .. import exports
    from ..artifact import read_artifact
    from ..ui.console import Console

    del debug
    form = exports.get(to)
    target = Target(output, "an export as it was written", None, force)
    target.check()
    artifact = read_artifact(prompt)
    console = Console(level_of(quiet, False))
    carried = isinstance(form, exports.CommitteeExport)  # what weighs words also adds offsets
    if use == "recommended" and artifact.recommended == "committee" and not carried:
        console.say(
            f"Note: --to {form.name} cannot carry the weighted answer words that are recommended: "
            "this is the single prompt, as --use winner. --to python carries them."
        )
        use = "winner"
    tell_of_prompt(artifact, use, console)
    named, chosen = choose_prompt(artifact, use)
    if isinstance(chosen, Prompt) and chosen.calibration and not carried:
        console.say(
            "Note: this prompt shifts the labels' probabilities (`calibration`), which no other "
            "tool does: answers near a tie may differ from eval's."
        )
    caveat = form.caveat(artifact) if isinstance(form, exports.Approximate) else ""
    if caveat:
        console.say(f"Note: {caveat}.")
    text = exports.rendered(form, artifact, chosen)
    written = [target.name] if target.is_file else []
    if target.is_file:
        target.write(text + "\n")
    if json:
        data = {"format": form.name, "prompt": named, "content": text, "written": written}
        typer.echo(json_text(data, indent=2))
    elif not written:
        typer.echo(printable(text) if sys.stdout.isatty() else text)
