"""Who writes where an edit needs text: checking the name, and opening a second model for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UsageError
from ..core.interfaces import Notice
from .models import SERVER, ModelChoice

if TYPE_CHECKING:
    from ..core.interfaces import Engine, Proposer
    from ..engines import Ref

    Maker = Callable[[Engine], Proposer | None]

_WEB = ("http://", "https://")


def check_proposer(name: str) -> None:
    """Raises `UsageError` for what is neither a known name, a file nor an address."""
    from ..proposers import PROPOSERS

    known = name in PROPOSERS or name.startswith(_WEB)
    if not known and Path(name).suffix.lower() not in (".gguf", ".yaml", ".yml"):
        raise UsageError(
            f"--proposer {name}: choose {', '.join(PROPOSERS)}, a GGUF file or a server's address"
        )


def without_proposer_flags(choice: ModelChoice, proposer: str) -> ModelChoice:
    """The choice as it concerns the run's own model: `allow_network` may be meant for the
    proposer's server alone."""
    served = choice.server or (not choice.model and os.environ.get(SERVER))
    only_proposer = proposer.startswith(_WEB) and not served
    return replace(choice, allow_network=False) if only_proposer else choice


@contextmanager
def with_proposer(
    name: str, engine: Engine, choice: ModelChoice, say: Notice
) -> Iterator[tuple[Engine, Maker]]:
    """The engine to run on, and what makes the proposer of the run; a second model is closed at
    the end. Raises `ModelError` for one that cannot be used."""
    from ..engines import EngineOptions, open_engine
    from ..proposers import PROPOSERS, WithWriter, second_model

    if name in PROPOSERS:
        yield engine, PROPOSERS[name]
        return
    options = EngineOptions(gpu_layers=choice.gpu_layers, timeout=choice.server_timeout)
    kind, ref = _second_model(name, choice)
    writer = open_engine(kind, ref, replace(options, threads=choice.threads), say)
    try:
        info = writer.info()
        say(f"Edits that need text are written by {info.name}.")
        yield WithWriter(engine, writer), second_model(info, say)
    finally:
        writer.close()


def _second_model(name: str, choice: ModelChoice) -> tuple[str, Ref]:
    """Engine and reference of a second model."""
    from ..engines import ServerRef

    if name.startswith(_WEB):
        url, _, model = name.partition("#")
        return "http", ServerRef(url, model, choice.allow_network)
    path = Path(name).expanduser()
    return ("llama_cpp_text" if path.suffix.lower() == ".gguf" else "scripted"), path


def affordable_proposer(make: Maker, engine: Engine) -> Proposer | None:
    """The proposer of a run, None where the budget does not even cover its probe."""
    from ..evaluation.budget import OutOfBudget

    try:
        return make(engine)
    except OutOfBudget:
        return None
