"""`idealprompt priors`: show, exchange and delete what each strategy gained in earlier runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import PriorsError, UsageError
from ..io.terminal import json_text, printable
from ..storage.written_files import Target as OutputTarget
from ..storage.written_files import is_priors
from .shared_options import Force, Json
from .shell import Command, Shell

if TYPE_CHECKING:
    from ..priors import Priors

EPILOG = """\b
Examples:
  idealprompt priors list
  idealprompt priors export priors.json
  idealprompt priors import priors.json"""

app = typer.Typer(
    cls=Shell,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Show, exchange or delete what each strategy gained before.",
    epilog=EPILOG,
)

LIST_EPILOG = """\b
Examples:
  idealprompt priors list
  idealprompt priors list --json | jq '.priors[0]'"""
EXPORT_EPILOG = """\b
Example:
  idealprompt priors export priors.json"""
IMPORT_EPILOG = """\b
Example:
  idealprompt priors import priors.json"""
MERGE_EPILOG = """\b
Example:
  idealprompt priors merge box-a.json box-b.json -o both.json"""
RESET_EPILOG = """\b
Example:
  idealprompt priors reset --yes"""
Target = Annotated[str, typer.Argument(metavar="FILE|-", help="Where to write.")]
Given = Annotated[Path, typer.Argument(metavar="FILE", help="A priors file.")]
Several = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Priors files.")]
Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it.")]


@app.command("list", epilog=LIST_EPILOG, cls=Command)
def list_(json: Json = False) -> None:
    """Show how often each strategy was used.

    Also shows what share of the missing score it won.
    """
    from ..priors import default_path, load

    path = default_path()
    rows = _rows(load(path).priors.total())
    if json:
        typer.echo(json_text({"file": str(path), "priors": rows}))
        return
    if rows:
        _show(rows)
    else:
        typer.echo(f"{path}: no priors yet")


def _show(rows: list[dict[str, Any]]) -> None:
    head = {"family": "family", "kind": "kind", "parent": "after", "strategy": "strategy"}
    width = {name: max(len(row[name]) for row in (head, *rows)) for name in head}
    typer.echo("  ".join(f"{head[n]:{width[n]}}" for n in head) + "   uses     won")
    for row in rows:
        cells = "  ".join(f"{row[n]:{width[n]}}" for n in head)
        typer.echo(printable(f"{cells}  {row['n']:5}  {row['won']:6.1%}"))


def _rows(total: Any) -> list[dict[str, Any]]:
    """Lessons with models of one family taken together, the most used first."""
    from ..priors import Tally

    sums: dict[tuple[str, str, str, str], Tally] = {}
    for key, tally in total.items():
        place = (key.family, key.kind, key.parent, key.strategy)
        sums[place] = sums.get(place, Tally()) + tally
    ranked = sorted(sums.items(), key=lambda pair: (-pair[1].n, pair[0]))
    return [
        dict(zip(("family", "kind", "parent", "strategy"), place, strict=True))
        | {"n": tally.n, "won": round(tally.mean, 4)}
        for place, tally in ranked
    ]


@app.command("export", epilog=EXPORT_EPILOG, cls=Command)
def export(target: Target, force: Force = False, json: Json = False) -> None:
    """Write your priors to a file.

    It has names of strategies, kinds of tasks and numbers only.
    """
    from ..priors import default_path, load

    _write(target, load(default_path()).priors, json, force)


@app.command("import", epilog=IMPORT_EPILOG, cls=Command)
def import_(given: Given, json: Json = False) -> None:
    """Add another machine's priors to yours.

    Doing it twice changes nothing.
    """
    from ..priors import default_path, update

    other = _existing(given)
    update(default_path(), lambda own: replace(own, priors=own.priors.merged(other.priors)))
    count = _count(other.priors)
    if json:
        _show_json(default_path(), count, [str(default_path())])
    else:
        typer.echo(f"{given}: {count} uses of strategies are known now", err=True)


@app.command("merge", epilog=MERGE_EPILOG, cls=Command)
def merge(files: Several, output: Output = "-", force: Force = False, json: Json = False) -> None:
    """Join priors files into one.

    Your own priors stay as they are.
    """
    from ..priors import Priors

    joined = Priors()
    for path in files:
        joined = joined.merged(_existing(path).priors)
    _write(output, joined, json, force)


@app.command("reset", epilog=RESET_EPILOG, cls=Command)
def reset(yes: Yes = False, json: Json = False) -> None:
    """Delete your priors.

    The built-in starting priors stay.
    """
    from ..priors import default_path, reset

    if not yes:
        raise UsageError(f"this deletes {default_path()}: give --yes to do it")
    deleted = reset(default_path())
    if json:
        _show_json(default_path(), 0, [])
    else:
        typer.echo("deleted" if deleted else "there was nothing to delete", err=True)


def _existing(path: Path) -> Any:
    from ..priors import load

    if not path.exists():
        raise PriorsError(f"{path}: does not exist: name a file that `priors export` wrote")
    return load(path)


def _count(priors: Priors) -> int:
    return sum(int(tally.n) for tally in priors.total().values())


def _show_json(file: Path | str, count: int, written: list[str]) -> None:
    typer.echo(json_text({"file": str(file), "count": count, "written": written}))


def _write(target: str, priors: Priors, json: bool, force: bool) -> None:
    """The priors as a file of their own, to a path or stdout."""
    from ..priors import dump, fresh

    text = dump(fresh(priors))
    if target == "-":
        if json:
            raise UsageError("--json and - both write to stdout: write the priors to a file")
        typer.echo(text, nl=False)
        return
    file = OutputTarget(target, "a file of priors", is_priors, force, error=PriorsError)
    file.check()
    file.write(text)
    if json:
        _show_json(target, _count(priors), [target])
