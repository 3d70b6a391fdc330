"""How every command ends: one-line errors, JSON errors, exit codes, closed pipes, narrow help."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..core.errors import FAULT_SEPARATOR, IdealPromptError, ThresholdNotMet
from ..io.files import reason
from ..io.terminal import json_text, one_line

DEBUG = "idealprompt.debug"
_NOT_OF_OUTPUT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""Errors without a file name that have nothing to do with standard output."""
_WORD = re.compile(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+")
"""A word of a shell command; quoted text is a word."""
NARROWEST_OF_CLICK = 52
"""Click formats help for at least this many columns unless it is given a width."""


OUT_OF_MEMORY = (
    "out of memory: close other programs, or give the model less with --memory; what a run has "
    "computed is kept, and --resume continues it"
)


class Shell(TyperGroup):
    """Turns expected errors into one line on stderr and the exit code of `core.errors`; with
    `--json` also into an object {"error": {...}} on stdout."""

    _words: tuple[str, ...] = ()

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        self._words = tuple(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except OSError as error:  # of --help and --version
            output_failed(error)

    def get_help(self, ctx: Any) -> Any:
        narrowed(ctx)
        return super().get_help(ctx)

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except IdealPromptError as error:
            if ctx.meta.get(DEBUG):
                traceback.print_exc()
            kind = type(error).__name__
            fail(kind, str(error), error.exit_code, as_json=self._json(error))
        except KeyboardInterrupt:
            fail("Interrupted", "interrupted", 130, as_json=self._json())
        except OSError as error:
            output_failed(error)
        except MemoryError:
            fail("MemoryError", OUT_OF_MEMORY, 1, as_json=self._json())
        except Exception as error:
            usage = getattr(error, "format_message", None)
            if usage is None or not self._json():
                raise
            fail("UsageError", usage(), getattr(error, "exit_code", 2), as_json=True)

    def _json(self, error: IdealPromptError | None = None) -> bool:
        """Whether the error is to be an object on stdout too. A missed threshold is not: the
        result that says so is there already."""
        return asks_for_json(self._words) and not isinstance(error, ThresholdNotMet)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        format_epilog(self.epilog, formatter)


class Command(TyperCommand):
    """A command whose help fits a narrow terminal."""

    def get_help(self, ctx: Any) -> Any:
        narrowed(ctx)
        return super().get_help(ctx)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        format_epilog(self.epilog, formatter)


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON."""
    pairs = list(zip(words, [*words[1:], ""], strict=True))
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairs


def narrowed(context: Any) -> None:
    """Have help fit a terminal that is narrower than Click supports: each option on a line of its
    own, with its text below."""
    columns = context.terminal_width or shutil.get_terminal_size().columns
    if columns >= NARROWEST_OF_CLICK:
        return

    class NarrowHelp(context.formatter_class):  # type: ignore[misc]
        def write_dl(self, rows: Any, *_: Any, **__: Any) -> None:
            for term, text in rows:
                self.write_text(term)
                with self.indentation():
                    self.write_text(text)

    context.formatter_class = NarrowHelp
    context.terminal_width = max(20, columns - 1)


def output_failed(error: OSError) -> None:
    """End a command that the system refused something: quietly with 0 for a closed pipe, with a
    line for a full device, or for a file whose error nobody has translated."""
    if isinstance(error, BrokenPipeError):
        silence()
        raise typer.Exit(0) from None
    if error.filename is not None:
        where = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
        fail("FileError", f"{where}: {reason(error)}", 1, as_json=asks_for_json(sys.argv))
    if error.errno in _NOT_OF_OUTPUT:
        fail("SystemError", f"the system refused: {reason(error)}", 1, as_json=False)
    silence()
    fail("OutputError", f"<stdout>: cannot be written ({reason(error)})", 1, as_json=False)


def fail(kind: str, message: str, exit_code: int, *, as_json: bool) -> None:
    """Write an error and end the command."""
    line = FAULT_SEPARATOR.join(one_line(fault) for fault in message.split(FAULT_SEPARATOR))
    prefix = "" if kind == "Interrupted" and line == "interrupted" else "error: "
    typer.echo(prefix + line, err=True)
    if as_json:
        typer.echo(json_text({"error": {"kind": kind, "message": line, "exit_code": exit_code}}))
    raise typer.Exit(exit_code)


def silence() -> None:
    """Send what is still to be written nowhere: the reader is gone, or the device is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
        except ValueError:
            continue  # closed
    os.close(nowhere)


def format_epilog(epilog: str | None, formatter: Any) -> None:
    """Write an epilog line by line, each folded at the formatter's width; a command that is folded
    continues after a backslash."""
    if not epilog:
        return
    formatter.write_paragraph()
    for line in epilog.removeprefix("\b\n").splitlines():
        for piece in _folded(line, max(20, formatter.width)):
            formatter.write(f"{piece}\n")


def _folded(line: str, width: int) -> list[str]:
    """A line in pieces: a command and the remark behind it apart, each within `width`."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    text, *remark = re.split(r" {2,}", line.strip(), maxsplit=1)
    if text.startswith(("idealprompt ", "find ")):
        pieces = [f"{piece} \\" for piece in _wrapped(_WORD.findall(text), indent, width - 2)]
        pieces[-1] = pieces[-1].removesuffix(" \\")
    else:
        pieces = _wrapped(text.split(), indent, width)
    return pieces + [piece for one in remark for piece in _folded(f"{indent}    {one}", width)]


def _wrapped(words: Sequence[str], indent: str, width: int) -> list[str]:
    """Words in lines, those after the first indented further."""
    lines = [indent + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}{'  ' if indent else ''}{word}")
    return lines
