"""Chat templates of others, rendered in a child process under limits of time, memory and size.

A template is a program. The sandbox keeps it from files and from Python's internals, but not from
loops without end, giant strings or deep recursion: these end the child, and a line says so.
As a program (`python -m ...native.template_process`): JSON lines in, JSON lines out.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ....core.errors import ModelError
from .jinja import JinjaTemplate, Turn

SECONDS = 8.0
"""How long a rendering may take; honest ones take milliseconds."""
START_SECONDS = 60.0
"""How long the child may take to start, on a machine that is busy."""
MEMORY = 512 << 20
"""Address space of the child in bytes."""
MOST_CHARACTERS = 4 << 20
_PACKAGE = Path(__file__).resolve().parents[4]


class TemplateLimit(ModelError):
    """A template was ended because it went over a limit: to render it again has no point."""


class IsolatedTemplate:
    """Like `JinjaTemplate`, in a process of its own that ends with this object."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        self._lock = threading.Lock()
        self._process = _start()
        self._end = weakref.finalize(self, _stop, self._process)
        self._ask({"source": source, "bos": bos, "eos": eos}, START_SECONDS)

    def render(self, turns: list[Turn], opened: bool, **variables: Any) -> str:
        """See `JinjaTemplate.render`. Raises `TemplateLimit` too."""
        return self._ask({"turns": turns, "opened": opened, "variables": variables}, SECONDS)

    def rendered(self, turns: list[Turn], opened: bool, **variables: Any) -> str:
        """See `JinjaTemplate.rendered`. Raises `TemplateLimit`."""
        try:
            return self.render(turns, opened, **variables)
        except TemplateLimit:
            raise
        except ModelError:
            return ""

    def _ask(self, message: Mapping[str, Any], seconds: float) -> str:
        with self._lock:
            reply = self._exchange(json.dumps(message).encode() + b"\n", seconds)
        if "error" in reply:
            raise (TemplateLimit if reply.get("limit") else ModelError)(reply["error"])
        return str(reply["text"])

    def _exchange(self, line: bytes, seconds: float) -> Any:
        """The child's reply; it is ended where it gives none."""
        what = "ends the process that renders it"
        try:
            answer = self._answer(line, seconds)
            if answer.endswith(b"\n"):
                return json.loads(answer)
        except TimeoutError:
            what = f"does not end within {seconds:g} seconds"
        except (OSError, ValueError):
            pass
        self._end()
        raise TemplateLimit(f"the chat template {what}; pass another with --chat-template")

    def _answer(self, line: bytes, seconds: float) -> bytes:
        into, out = self._process.stdin, self._process.stdout
        if into is None or out is None or self._process.poll() is not None:
            return b""
        into.write(line)
        into.flush()
        parts, end = [b""], time.monotonic() + seconds
        while not parts[-1].endswith(b"\n"):
            if not select.select([out], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(out.fileno(), 1 << 16)
            if not part:
                return b""
            parts.append(part)
        return b"".join(parts)


def _start() -> subprocess.Popen[bytes]:
    paths = [str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.template_process"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a child; it holds nothing that could be lost."""
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()


# --- the child ------------------------------------------------------------------------------------


def main(lines: IO[str], out: IO[str]) -> None:
    """Answer requests until there are no more: first a template, then conversations."""
    _limit_memory()
    template: JinjaTemplate | None = None
    for line in lines:
        message = json.loads(line)
        reply: dict[str, Any] = {"text": ""}
        try:
            if template is None:
                template = JinjaTemplate(message["source"], message["bos"], message["eos"])
            else:
                variables = message["variables"]
                parts = template.parts(message["turns"], message["opened"], **variables)
                reply = {"text": _bounded(parts)}
        except TemplateLimit as error:
            reply = {"error": str(error), "limit": True}
        except MemoryError:
            reply = {"error": _too_much("memory"), "limit": True}
        except ModelError as error:
            reply = {"error": str(error)}
        out.write(json.dumps(reply) + "\n")
        out.flush()


def _bounded(parts: Any) -> str:
    found, size = [], 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > MOST_CHARACTERS:
            raise TemplateLimit(_too_much("text"))
    return "".join(found)


def _too_much(what: str) -> str:
    return f"the chat template makes too much {what}; pass another with --chat-template"


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on every platform
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
