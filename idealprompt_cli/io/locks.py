"""Locks on open files, which the system releases when the process dies (layer 0)."""

from __future__ import annotations

import errno
import sys
import time

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl


def try_lock(handle: int) -> bool:
    """Take the lock of an open file; False if another process, or another open file of this one,
    holds it. It is held until the file is closed. Raises OSError where there are no locks."""
    try:
        if sys.platform == "win32":  # pragma: no cover
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def wait_for_lock(handle: int, seconds: float) -> bool:
    """Like `try_lock`, tried again for a while."""
    end = time.monotonic() + seconds
    while not try_lock(handle):
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True
