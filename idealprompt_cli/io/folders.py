"""Where files of this package lie on the user's machine: cache and data folders."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "idealprompt"
CACHE_VARIABLE = "IDEALPROMPT_CACHE"


def user_cache_dir() -> Path:
    """The per-user cache folder: `IDEALPROMPT_CACHE`, else the platform's. Not created here."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path(APP, appauthor=False)


def user_data_dir() -> Path:
    """The platform's per-user folder for data that is kept. Not created here."""
    return platformdirs.user_data_path(APP, appauthor=False)
