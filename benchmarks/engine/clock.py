"""Seconds of a contender: wall time, or processor time where other programs share the machine.

Processor time of one thread is what the wall would show on an idle core. It counts this process
and, for a server, that process too.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

ClockName = Literal["wall", "processor"]


class Clock:
    """Seconds since any moment; `pid` is a process that works for this one."""

    def __init__(self, name: ClockName, pid: int | None = None) -> None:
        self._name, self._pid = name, pid

    def now(self) -> float:
        if self._name == "wall":
            return time.perf_counter()
        return time.process_time() + (processor_seconds(self._pid) if self._pid else 0.0)


def processor_seconds(pid: int) -> float:
    """User and system time of a running process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
