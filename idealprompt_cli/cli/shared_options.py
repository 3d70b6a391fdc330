"""What all commands share: groups of options, and the options for messages and formats."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import Annotated, Any, get_type_hints

import typer

from ..core.errors import UsageError
from . import completion
from .shell import DEBUG


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if value:
        context.meta[DEBUG] = True
    return value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="A line for every prompt tried.")]
Debug = Annotated[
    bool, typer.Option("--debug", callback=_remember_debug, help="Show tracebacks of errors.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output file, whatever it is.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
FormatName = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        show_default=False,
        help="How the result is shown: " + completion.listed("formats") + ". Default: table.",
        autocompletion=completion.formats,
    ),
]


def format_name(json: bool, name: str) -> str:
    """The output format that `--json` and `--format` choose. Raises `UsageError` for an unknown
    one, before anything slow."""
    from ..ui import formats

    if json and name not in ("", "json"):
        raise UsageError(f"--json and --format {name} exclude each other: give one of them")
    chosen = "json" if json else name or "table"
    formats.get(chosen)
    return chosen


def level_of(quiet: bool, verbose: bool) -> int:
    """The console's level; quiet wins."""
    return -1 if quiet else int(verbose)


@dataclass(frozen=True)
class Talk:
    """The options for messages, as a group (see `grouped`)."""

    quiet: Quiet = False
    verbose: Verbose = False
    debug: Debug = False

    @property
    def level(self) -> int:
        return level_of(self.quiet, self.verbose)


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer sees it: each parameter whose type is a dataclass of options is replaced
    by those options, and the command gets them back as one value."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {
        n: kind for n, kind in hints.items() if dataclasses.is_dataclass(kind)
    }
    seen: list[Parameter] = []
    for name, given in inspect.signature(command).parameters.items():
        options = _options(groups[name]) if name in groups else [(name, hints[name], given.default)]
        seen += [
            Parameter(option, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for option, kind, default in options
        ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        for name, kind in groups.items():
            fields = [field.name for field in dataclasses.fields(kind)]
            values[name] = kind(**{field: values.pop(field) for field in fields})
        command(**values)

    run.__signature__ = inspect.Signature(seen)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in seen}
    return run


def _options(group: Any) -> list[tuple[str, Any, Any]]:
    """(name, annotated type, default) of a dataclass's fields."""
    kinds = get_type_hints(group, include_extras=True)
    none = dataclasses.MISSING
    return [
        (one.name, kinds[one.name], Parameter.empty if one.default is none else one.default)
        for one in dataclasses.fields(group)
    ]
