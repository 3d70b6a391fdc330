"""Where free text comes from when a strategy asks for it. A new one: one file and one line below.

A maker gets the engine of the run (with its cache and budget, so that generated text is paid
and replayed like any answer) and gives a proposer, or None where the model cannot write. Besides
those that have a name, a second model of the user's can write (`second_model.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.interfaces import Engine, Proposer
from .same_model import same_model
from .second_model import WithWriter, second_model

__all__ = ["PROPOSERS", "WithWriter", "second_model"]


def _nobody(engine: Engine) -> Proposer | None:
    del engine
    return None


PROPOSERS: Mapping[str, Callable[[Engine], Proposer | None]] = {
    "none": _nobody,
    "same": same_model,
}
