"""The most memory that a process has had resident, mapped weights included."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_bytes(pid: int | None = None) -> int:
    """Of a running process, or of this one. Linux says it for any process, other systems for
    this one only (0 for others)."""
    try:
        return _status(pid, "VmHWM")
    except OSError:
        return 0 if pid else _own_peak()


def resident_bytes() -> int:
    """What this process has resident now (Linux; elsewhere the peak)."""
    try:
        return _status(None, "VmRSS")
    except OSError:
        return _own_peak()


def _status(pid: int | None, field: str) -> int:
    text = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="utf-8")
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    if not found:
        raise OSError(f"no {field}")
    return int(found[1]) * 1024


def _own_peak() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
