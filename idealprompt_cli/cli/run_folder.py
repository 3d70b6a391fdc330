"""A run's folder (a named one, a new one under runs/, or the last one), and the options of runs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ArtifactError, JournalError, ModelError, PriorsError
from ..core.interfaces import Notice
from ..io.files import read_text, write_text

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.interfaces import Engine
    from ..core.results import RunResult
    from ..storage.journal import Journal
    from ..storage.response_cache import ResponseCache
    from ..ui.console import Console

RUNS = Path("runs")
JOURNAL = "journal.jsonl"
KEPT = "prompt.yaml"

Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE|-", help="Where to write the YAML artifact.")
]
RunDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the run is kept. Default: under runs/.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a broken run.")]
NoPriors = Annotated[
    bool, typer.Option("--no-priors", help="Neither use nor add to what earlier runs taught.")
]
NoTest = Annotated[bool, typer.Option("--no-test", help="Leave the held-out pictures unread.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither use nor keep answers that runs share.")
]


def run_folder(given: Path | None, task: str, resume: bool) -> Path:
    """The folder to use; it need not exist. Raises `JournalError` if there is none to resume."""
    if given is not None:
        return given
    stem = re.sub(r"[^\w.-]+", "-", task).strip("-.") or "task"
    if not resume:
        name = f"{stem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
        names = (name, *(f"{name}-{count:02}" for count in range(2, 100)))
        return next((RUNS / each for each in names if not (RUNS / each).exists()), RUNS / name)
    earlier = [path.parent for path in RUNS.glob(f"*/{JOURNAL}") if _is_of(path.parent, stem)]
    if not earlier:
        raise JournalError(f"{RUNS}: holds no run of {task} to resume: name it with --run-dir")
    return max(earlier, key=lambda folder: folder.name)


def _is_of(folder: Path, stem: str) -> bool:
    return re.fullmatch(re.escape(stem) + r"-\d{8}-\d{6}(-\d\d)?", folder.name) is not None


def last_run() -> Path:
    """The run under runs/ that ended last. Raises `ArtifactError` if there is none."""
    ended = [path for path in RUNS.glob(f"*/{KEPT}") if path.is_file()]
    if not ended:
        raise ArtifactError(f"{RUNS}: holds no run that ended: name a run's folder or an artifact")
    return max(ended, key=lambda path: path.stat().st_mtime).parent


def deliver(artifact: Artifact, kept: Path, output: str) -> str:
    """Write the YAML to where -o says, and return the file that has it (`kept` is the run's own).
    Raises `ArtifactError`, which says that nothing is lost."""
    from ..artifact import dump

    if output == "-":
        typer.echo(dump(artifact), nl=False)
    elif output:
        try:
            write_text(Path(output), dump(artifact), ArtifactError)
        except ArtifactError as error:
            raise ArtifactError(f"{error}; the result is in {kept}") from None
        return output
    return str(kept)


def tell_of_report(kept: Path, console: Console) -> None:
    """Where the whole of a run is, and how to look at it."""
    run = shlex.quote(str(kept.parent))
    console.say(f"All of the run: idealprompt report {run} --text, or -o report.html")


def again(folder: Path) -> str:
    """How a broken run is taken up: this command line with what resumes it."""
    if not (folder / JOURNAL).exists():
        return "nothing had been asked yet: give the command again"
    words = [word for word in sys.argv[1:] if word != "--resume"]
    known = any(word.split("=")[0] == "--run-dir" for word in words)
    where = [] if known else ["--run-dir", str(folder)]
    return f"go on with: {shlex.join(['idealprompt', *words, *where, '--resume'])}"


@contextmanager
def shared_answers(
    engine: Engine, template: Path | None, off: bool, say: Notice
) -> Iterator[ResponseCache | None]:
    """The answers that runs on this engine share, closed at the end; None where they are `off` or
    cannot be kept. `template` is the chat template given in place of the model's own."""
    from ..io.folders import user_cache_dir
    from ..storage.response_cache import default_path, open_cache

    if off:
        yield None
        return
    wording = read_text(template, ModelError) if template else ""
    cache = open_cache(default_path(user_cache_dir()), engine.info(), say, wording)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()


def learned(result: RunResult, journal: Journal, console: Console) -> None:
    """Add a run's lessons to the user's memory, once, however often it is resumed; a memory that
    cannot be written is no reason to lose the run."""
    from ..priors import learn

    if journal.records("learnt"):
        return
    try:
        count = learn(result)
    except PriorsError as error:
        console.say(f"nothing learnt for the next run: {error}")
        return
    journal.append([{"kind": "learnt", "lessons": count}])
