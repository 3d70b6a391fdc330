"""Ctrl-C, SIGTERM and SIGHUP during a run: the first ends it after the model's current answer, the
second at once.

A model's answer can take a minute, and Python handles a signal only after it. So a thread reads
signals too: it reports that one was received, and at the second it ends the process. Nothing is
lost by that, because every answer is on disk before the model is asked again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..core.errors import Interrupted, ServerError, StorageError
from ..core.interfaces import Notice

SOON = 1.0
NOTHING_YET = "nothing was computed yet: run the command again"
SHOW_CURSOR = "\x1b[?25h"
ENDING = ("SIGTERM", "SIGHUP")
"""What stops a service or comes with a closed terminal, beside Ctrl-C."""


@contextmanager
def resumable(say: Notice, how: Callable[[], str]) -> Iterator[None]:
    """A run that can be stopped by Ctrl-C, by a server that is lost in the middle, or by a full
    disk; `how` says how it is resumed, "" where nothing was computed yet. Raises `Interrupted`,
    `ServerError` and `StorageError` with that added."""
    with _listening(say, how):
        try:
            yield
        except (Interrupted, KeyboardInterrupt) as stopped:
            hint = how() or NOTHING_YET
            why = str(stopped) or "interrupted"
            raise Interrupted(f"{why}; {hint}") from stopped
        except ServerError as lost:
            if not (hint := how()):
                raise
            raise ServerError(f"{lost}; what was computed is kept; {hint}", lost.status) from lost
        except StorageError as full:
            hint = how() or NOTHING_YET
            raise StorageError(f"{full}; {hint}") from full


@contextmanager
def _listening(say: Notice, how: Callable[[], str]) -> Iterator[None]:
    here = threading.current_thread() is threading.main_thread()
    if not here or os.name == "nt":  # pragma: no cover - no such signals there
        yield
        return
    out, into = os.pipe()
    os.set_blocking(into, False)
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(out, say, how), daemon=True)
    listener.start()
    handlers = _end_like_ctrl_c()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(before)
        os.close(into)
        listener.join(2.0)
        os.close(out)


def _end_like_ctrl_c() -> dict[signal.Signals, Any]:
    """Handle the other ending signals as Ctrl-C; their handlers before. One that is ignored, as
    under nohup, stays ignored."""
    before: dict[signal.Signals, Any] = {}
    for name in ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, signal.default_int_handler)
    return before


def _listen(out: int, say: Notice, how: Callable[[], str]) -> None:
    """Count the signals that come through the pipe, until it is closed."""
    received, notified = 0, False
    ending = {signal.SIGINT, *(getattr(signal, name, signal.SIGINT) for name in ENDING)}
    while True:
        ready, _, _ = select.select([out], [], [], SOON if received and not notified else None)
        if not ready:  # the first one was a while ago and the run has not ended yet
            say("Stopping when the model has answered; Ctrl-C again stops at once.")
            notified = True
            continue
        data = os.read(out, 16)
        if not data:
            return
        received += sum(data.count(number) for number in ending)
        if received > 1:
            hint = how()
            kept = f"what was computed is kept; {hint}" if hint else NOTHING_YET
            _leave(f"error: stopped at once; {kept}")


def _leave(text: str) -> None:
    """End the process here and now; a bar may have hidden the cursor."""
    with contextlib.suppress(OSError, ValueError):
        shown = SHOW_CURSOR if sys.stderr.isatty() else ""
        os.write(sys.stderr.fileno(), f"{shown}\n{text}\n".encode())
    os._exit(Interrupted.exit_code)
