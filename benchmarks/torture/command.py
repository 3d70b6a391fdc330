"""One command line of the tool in a forked child, with limits, and what became of it.

Forking after the import makes a command cost milliseconds, and an abort of the native library ends
the child alone.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import math
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import rich
import typer.main

import idealprompt_cli

EXITS = (0, 1, 2, 3, 130)
"""The exit codes that the documentation names."""

UNEXPECTED = ("Traceback", "internal error", "Fatal Python error")
"""What is on stderr if an unexpected exception ended the command; `cli.main` writes the second."""

GIB = 1 << 30


def preload() -> None:
    """Import the whole package and its libraries, so that each forked child need not. Typer,
    Rich and NumPy import parts of themselves only when these are used."""
    importlib.import_module("numpy.ma")
    for package in (idealprompt_cli, typer, rich):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "crash_probe", "dspy", "_winconsole")):
                with contextlib.suppress(ImportError):
                    importlib.import_module(module.name)
    typer.main.get_command = cache(typer.main.get_command)  # type: ignore[assignment]


def warm_up(commands: Sequence[Sequence[str]], folder: Path, env: Mapping[str, str]) -> None:
    """Run commands here, so that each forked child finds what they build once (validators)."""
    from typer.testing import CliRunner

    from idealprompt_cli.cli.main import app

    before, here = dict(os.environ), Path.cwd()
    os.environ.update(env)
    os.chdir(folder)
    try:
        for words in commands:
            done = CliRunner().invoke(app, list(words))
            if done.exit_code:
                raise SystemExit(f"{' '.join(words)}: {done.output}")
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Done:
    """What became of a command. `code` is negative for a signal, None where it had to be killed;
    `peak` is the resident set in bytes, `seconds` the wall time, `processor` the processor time in
    seconds, user and system, with that of its own child processes."""

    words: tuple[str, ...]
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    processor: float
    peak: int

    def fault(self, most_bytes: int = 2 * GIB) -> str:
        """What the command did that no input may make it do, or ""."""
        if self.code is None:
            return "hang"
        if any(sign in self.stderr for sign in UNEXPECTED):
            return "internal error"
        if self.code not in EXITS:
            return f"ended by signal {-self.code}" if self.code < 0 else f"exit code {self.code}"
        if self.code == 1 and not (self.stderr.strip() or self.stdout.strip()):
            return "failure without a line"
        if self.peak > most_bytes:
            return "memory"
        return ""


def run(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str] | None = None,
    *,
    seconds: float = 30.0,
    address_space: int = 0,
    before: Callable[[], None] = lambda: None,
    kill_after: float = math.inf,
) -> Done:
    """Run `idealprompt WORDS` with `folder` as working directory. It is given up after `seconds`
    (see `_Clock`), and killed on purpose after `kill_after` (the code is -9 then). `before` runs in
    the child."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            files = (out.fileno(), err.fileno())
            _child(words, folder, env or {}, files, address_space, before)
        code, usage = _wait(child, _Clock(child, start, seconds), start + kill_after)
        took = time.monotonic() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(1 << 20).decode("utf-8", "replace"))
    spent = usage.ru_utime + usage.ru_stime
    return Done(tuple(words), code, texts[0], texts[1], took, spent, usage.ru_maxrss * 1024)


def _child(
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    files: tuple[int, int],
    space: int,
    before: Callable[[], None],
) -> None:
    """The forked half: never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        os.chdir(folder)
        os.environ.update(env)
        if space:
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.argv = ["idealprompt", *words]
        before()
        from idealprompt_cli.cli.main import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 1
        os._exit(code)


@dataclass(frozen=True)
class _Clock:
    """When a child has had its time: after `seconds` of wall time, less those in which it was ready
    to run and another process had its processor (Linux counts them; elsewhere none are)."""

    child: int
    start: float
    seconds: float

    def over(self) -> bool:
        passed = time.monotonic() - self.start
        return passed >= self.seconds and passed - self._starved() >= self.seconds

    def _starved(self) -> float:
        try:
            text = Path(f"/proc/{self.child}/schedstat").read_text()
        except OSError:
            return 0.0
        return int(text.split()[1]) / 1e9


def _wait(child: int, clock: _Clock, kill_at: float) -> tuple[int | None, resource.struct_rusage]:
    """Exit code (None: killed when its time was over) and what a child used."""
    killed = False
    while not clock.over():
        if not killed and time.monotonic() >= kill_at:
            os.kill(child, signal.SIGKILL)
            killed = True
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, _, usage = os.wait4(child, 0)
    return None, usage
