"""A run's folder: a named one, a new one under runs/, or the last one; and what is kept in it."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ArtifactError, JournalError
from ..io.files import PRIVATE, write_text

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.results import RunResult

RUNS = Path("runs")
JOURNAL = "journal.jsonl"
ARTIFACT = "prompt.yaml"
BLANK = "blank.png"
"""The picture without content that reflection measures label bias with."""


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


def check_fresh(folder: Path) -> None:
    """Raise `JournalError` for a folder of a new run that holds a file that the run would
    replace."""
    from ..storage import predictions

    for name in (ARTIFACT, predictions.FILE_NAME, BLANK):
        path = folder / name
        if not (folder / JOURNAL).exists() and (path.exists() or path.is_symlink()):
            raise JournalError(
                f"{path}: is there already and would be overwritten by the run: name an empty "
                "folder with --run-dir"
            )


def last_run() -> Path:
    """The run under runs/ that ended last. Raises `ArtifactError` if there is none."""
    ended = [path for path in RUNS.glob(f"*/{ARTIFACT}") if path.is_file()]
    if not ended:
        raise ArtifactError(f"{RUNS}: holds no finished run: name a run's folder or an artifact")
    return max(ended, key=lambda path: path.stat().st_mtime).parent


def keep(folder: Path, artifact: Artifact, result: RunResult) -> Path:
    """Write artifact and predictions into a run's folder; the artifact's file."""
    from ..artifact import dump
    from ..storage import predictions

    predictions.save(folder, result)
    kept = folder / ARTIFACT
    write_text(kept, dump(artifact), ArtifactError, PRIVATE)
    return kept
