"""What all commands share: exit codes, one-line errors, and the options for messages."""

from __future__ import annotations

import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import IdealPromptError

_DEBUG = "idealprompt.debug"


class Shell(TyperGroup):
    """Turns expected errors into one line on stderr and the exit code of `errors.py`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except IdealPromptError as error:
            if ctx.meta.get(_DEBUG):
                traceback.print_exc()
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from error


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if value:
        context.meta[_DEBUG] = True
    return value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="A line for every prompt tried.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_debug, help="Show tracebacks of errors.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def level_of(quiet: bool, verbose: bool) -> int:
    """The console's level; quiet wins."""
    return -1 if quiet else int(verbose)
