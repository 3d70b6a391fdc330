"""`idealprompt report`: a run as one page, or as text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ArtifactError, UsageError
from ..io.terminal import json_text
from ..runs.folder import last_run
from ..storage.written_files import Target, is_drawing, is_page
from .shared_options import Debug, Force, Json, Quiet, level_of

if TYPE_CHECKING:
    from ..ui.report import Report

EPILOG = """\b
Examples:
  idealprompt report --text
  idealprompt report runs/my_task-20250101-120000 -o report.html
  idealprompt report runs/my_task-20250101-120000 --text
  idealprompt report runs/my_task-20250101-120000 --png drawings
The page is one file: no scripts, no network. With --no-images it names no example."""

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN|PROMPT|-",
        show_default=False,
        help="A run's folder, or a YAML artifact. Default: the run under runs/ that ended last.",
    ),
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write the HTML page.")
]
Png = Annotated[
    Path | None,
    typer.Option("--png", metavar="FOLDER", help="Draw tree.png and curve.png into this folder."),
]
AsText = Annotated[bool, typer.Option("--text", help="Print it as text instead.")]
NoImages = Annotated[
    bool,
    typer.Option("--no-images", help="No images, names or texts of examples: to share."),
]


def report(
    run: Run = "",
    output: Output = "",
    text: AsText = False,
    png: Png = None,
    no_images: NoImages = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show a run as a page, as text or as drawings.

    Verdict, scores, what changed, the tree, the confusions, the worst examples. A run's folder
    holds all of it, an artifact alone only the first part. Needs no model.
    """
    from ..ui import report as pages
    from ..ui.console import Console, screen_of

    del debug
    target = _checked(text, output, json, png, force)
    console = Console(level_of(quiet, False))
    if not run:
        run = str(last_run())
        console.say(f"The run in {run}.")
    found = pages.gather(run)
    if no_images:
        found = pages.without_examples(found)
    written = [] if png is None else _draw(found, png, force)
    page = ""
    if text:
        page = pages.text(found, screen_of(sys.stdout).width)
    elif output:
        page = pages.html(found, images=not no_images)
    if target.is_file:
        target.write(page + "\n")
        written.append(output)
    for name in written:
        console.say(f"Written to {name}")
    if json:
        typer.echo(json_text({**pages.data(found), "written": written}, indent=2))
    elif text or output == "-":
        typer.echo(page)
    if not found.nodes and not text:
        console.say("Note: this is the artifact alone; the run's folder has the tree and examples.")


def _checked(text: bool, output: str, json: bool, png: Path | None, force: bool) -> Target:
    """Where the page goes. Raises `UsageError` where nothing is asked for or two things would go to
    stdout."""
    if not (text or output or json or png):
        raise UsageError(
            "name a file for the page (-o report.html), or use --text, --json or --png"
        )
    if json and (text or output == "-"):
        raise UsageError("--json writes to stdout alone: leave out --text and -o -")
    page = Target(output, "a page that report wrote", is_page, force)
    target = Target(output, "a report as it was written", None, force) if text else page
    target.check()
    return target


def _draw(found: Report, folder: Path, force: bool) -> list[str]:
    """Write the drawings, for which a run's folder is needed; their names."""
    from ..ui.report import drawings

    if folder.is_file():
        raise ArtifactError(f"{folder}: is a file: name a folder for the drawings")
    drawn = drawings(found)
    if not drawn:
        raise ArtifactError(
            f"{found.source}: has no tree to draw, it is the artifact alone: name the run's folder"
        )
    targets = {
        Target(str(folder / name), "a drawing of report", is_drawing, force): data
        for name, data in drawn.items()
    }
    for target in targets if folder.is_dir() else ():
        target.check()
    for target, data in targets.items():
        target.write(data)
    return [target.name for target in targets]
