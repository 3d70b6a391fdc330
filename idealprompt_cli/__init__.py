"""On-device prompt adaptation for quantised vision-language models (IDEALPrompt).

The few names of the Python API are here; importing the package loads nothing but this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import (
        adapt,
        convert,
        load,
        load_task,
        measure,
        open_model,
        predict,
        reflect,
        save,
        show,
    )

__version__ = "0.1.0"
__all__ = [
    "adapt",
    "convert",
    "load",
    "load_task",
    "measure",
    "open_model",
    "predict",
    "reflect",
    "save",
    "show",
]


def __getattr__(name: str) -> object:
    """The API's names, imported when one is asked for. They are no modules' names, since a module
    of the package would hide them as soon as it is imported."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(".api", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
