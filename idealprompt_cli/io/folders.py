"""Where files of this package lie on the user's machine: cache and data folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from ..core.errors import UsageError

APP = "idealprompt"
CACHE_VARIABLE = "IDEALPROMPT_CACHE"


def user_cache_dir() -> Path:
    """The per-user cache folder: `IDEALPROMPT_CACHE`, else the platform's. Not created here."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else _at_home(platformdirs.user_cache_path)


def user_data_dir() -> Path:
    """The platform's per-user folder for data that is kept. Not created here."""
    return _at_home(platformdirs.user_data_path)


def _at_home(place: Callable[..., Path]) -> Path:
    """Raises `UsageError` for a user without a home folder."""
    try:
        found = place(APP, appauthor=False)
    except RuntimeError:
        found = Path()
    if not found.is_absolute():  # "~" that nobody could resolve
        raise UsageError(
            "this user has no home folder: set HOME, or IDEALPROMPT_CACHE and IDEALPROMPT_PRIORS"
        )
    return found
