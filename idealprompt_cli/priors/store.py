"""Where the memory of strategies lies: one JSON file per user, shared by all runs.

Writers take a lock, read the file again, change it and rename the new one into place, so two runs
that end together both count. A file that is damaged or not ours is refused and left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import PriorsError
from ..core.requests import ModelInfo
from ..core.results import RunResult
from ..core.task import Task
from ..io.files import PRIVATE, read_text, reason, write_text
from ..io.folders import user_data_dir
from ..io.locks import wait_for_lock
from .memory import Beliefs, Priors, Usual, from_dict, kind_of, lessons, to_dict

SCHEMA, VERSION = "idealprompt-priors", 1
MOST_RUNS = 1000
LOCK_SECONDS = 10.0
ENV = "IDEALPROMPT_PRIORS"


@dataclass(frozen=True)
class Memory:
    """A file's content: the lessons, the random name under which this box adds its own, and the
    random names of the runs that were added last, so that none is added twice."""

    box: str
    priors: Priors
    runs: tuple[str, ...] = ()


def default_path() -> Path:
    """$IDEALPROMPT_PRIORS, or priors.json in the platform's folder for user data."""
    if given := os.environ.get(ENV):
        return Path(given)
    return user_data_dir() / "priors.json"


def load(path: Path) -> Memory:
    """The memory of a file; an empty one where there is no file.

    Raises PriorsError for a file that cannot be read, is damaged, or is not a priors file.
    """
    if not path.exists():
        return fresh(Priors())
    try:
        data = json.loads(read_text(path, PriorsError))
    except (ValueError, RecursionError):
        raise PriorsError(f"{path}: is not JSON: restore it, or move it away") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise PriorsError(f"{path}: is not a priors file: name another one")
    if data.get("version") != VERSION:
        raise PriorsError(
            f"{path}: has version {data.get('version')!r}, this program reads {VERSION}: "
            "update the program, or move the file away"
        )
    priors = from_dict(data.get("boxes"), str(path))
    box = data.get("box")
    if not _is_name(box):
        raise PriorsError(f"{path}: 'box' is {box!r}: restore the file, or move it away")
    runs = data.get("runs", [])
    if not isinstance(runs, list) or not all(map(_is_name, runs)):
        raise PriorsError(f"{path}: 'runs' is no list of names: restore the file, or move it away")
    return Memory(str(box), priors, tuple(runs))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isalnum() and len(value) <= 40


def fresh(priors: Priors) -> Memory:
    """Lessons under a box name of their own: two boxes that add under one name would be taken
    for one, so a file that leaves its box gets another name to add under."""
    return Memory(secrets.token_hex(6), priors)


def dump(memory: Memory) -> str:
    """The file's text: a row a line, so that two files can be compared."""
    boxes = [
        f"{json.dumps(box)}: [\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]"
        for box, rows in to_dict(memory.priors).items()
    ]
    head = f'"schema": "{SCHEMA}",\n "version": {VERSION},\n "box": {json.dumps(memory.box)}'
    if memory.runs:
        head += f',\n "runs": {json.dumps(memory.runs)}'
    return "{" + head + ',\n "boxes": {' + ",\n ".join(boxes) + "}}\n"


def update(path: Path, change: Callable[[Memory], Memory]) -> Memory:
    """Change a file's memory under its lock. The file is read first: a foreign one is refused."""
    with _locked(path):
        memory = change(load(path))
        write_text(path, dump(memory), PriorsError, PRIVATE)
    return memory


def reset(path: Path) -> bool:
    """Forget everything; whether there was anything. A file that is not ours stays."""
    with _locked(path):
        load(path)
        existed = path.exists()
        path.unlink(missing_ok=True)
    return existed


def beliefs_for(task: Task, model: ModelInfo, usual: Usual, path: Path | None = None) -> Beliefs:
    """What this user's memory says for a run. The package brings none: priors learned on our own
    tasks never made a search better on others (benchmarks/README.md)."""
    return load(path or default_path()).priors.beliefs(model, kind_of(task), usual)


def learn(result: RunResult, run: str, path: Path | None = None) -> int:
    """Add a finished run's lessons, unless the run of this name was added before; their number."""
    taught = lessons(result)

    def add(memory: Memory) -> Memory:
        if run in memory.runs:
            return memory
        runs = (*memory.runs, run)[-MOST_RUNS:]
        return Memory(memory.box, memory.priors.learnt(memory.box, taught), runs)

    if taught:
        update(path or default_path(), add)
    return len(taught)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path`; the system frees it if the process dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, PRIVATE)
    except OSError as problem:
        raise PriorsError(f"{path}: cannot be locked ({reason(problem)})") from None
    try:
        if not wait_for_lock(handle, LOCK_SECONDS):
            raise PriorsError(f"{path}: another process has kept it locked: end that, or try again")
        yield
    except OSError as problem:
        raise PriorsError(f"{path}: cannot be changed ({reason(problem)})") from None
    finally:
        os.close(handle)
