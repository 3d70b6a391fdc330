"""The `idealprompt` command (layer 6): names the commands and knows nothing else.

Importing this imports no model library: `--help` is instant, and a test holds it.
"""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from typing import Annotated

import typer

from .. import __version__
from . import doctor, evaluate, export, fleet, init, predict, priors, reflect, report, search, synth
from .shell import Command, Shell, asks_for_json, fail, output_failed, silence

EPILOG = """\b
Start here:
  idealprompt init photos                       a task folder from labelled images
  idealprompt search photos -o prompt.yaml      adapt the prompt
  idealprompt predict prompt.yaml photo.jpg     use it
  idealprompt COMMAND --help                    options and examples of each command
Environment:
  IDEALPROMPT_MODEL, IDEALPROMPT_MMPROJ  the model's files, or hf:owner/repo[:file]
  IDEALPROMPT_SERVER                     a server on this machine in their place
  IDEALPROMPT_PRIORS                     your priors (JSON file)
  IDEALPROMPT_ANSWERS                    answers that runs share (file)
  IDEALPROMPT_CACHE                      encoded images (folder)
  NO_COLOR                               no colours
Exit codes: 0 done, 1 a stated failure, 2 usage, 3 below --min-score, 130 interrupted."""

app = typer.Typer(
    cls=Shell,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"idealprompt {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
]


@app.callback()
def _top(version: Version = False) -> None:
    """Adapt prompts to quantised vision-language models, on the device, on private images."""
    del version


app.command("search", epilog=search.EPILOG, cls=Command)(search.search)
app.command("eval", epilog=evaluate.EPILOG, cls=Command)(evaluate.evaluate)
app.command("reflect", epilog=reflect.EPILOG, cls=Command)(reflect.reflect)
app.command("predict", epilog=predict.EPILOG, cls=Command)(predict.predict)
app.command("report", epilog=report.EPILOG, cls=Command)(report.report)
app.command("export", epilog=export.EPILOG, cls=Command)(export.export)
app.command(
    "synth",
    short_help="Let a model write a corpus of its own answers.",
    epilog=synth.EPILOG,
    cls=Command,
)(synth.synth)
app.command("init", epilog=init.EPILOG, cls=Command)(init.init)
app.command(
    "doctor",
    short_help="Check this machine and the model.",
    epilog=doctor.EPILOG,
    cls=Command,
)(doctor.doctor)
app.add_typer(priors.app, name="priors")
app.add_typer(fleet.app, name="fleet")


def main() -> None:
    """The entry point. An error that no command expects is one line, or with --debug the
    traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, io.UnsupportedOperation):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        _run()
    except SystemExit as end:
        if end.code == 130:  # a second Ctrl-C has nothing left to end
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        silence()
        raise


def _run() -> None:
    try:
        try:
            app()
        except OSError as error:
            output_failed(error)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        kind = type(error).__name__
        message = f"internal error: {kind}: {error} (please report; --debug shows more)"
        with contextlib.suppress(typer.Exit):
            fail("InternalError", message, 1, as_json=asks_for_json(sys.argv))
        sys.exit(1)
