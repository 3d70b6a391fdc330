"""Who writes where an edit needs text: the option, and opening a second model for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import UsageError
from ..core.interfaces import Notice
from ..runs.models import SERVER
from .models import ModelFlags

if TYPE_CHECKING:
    from ..core.interfaces import Engine, Proposer
    from ..engines import Ref

    Maker = Callable[[Engine], Proposer | None]

ProposerName = Annotated[
    str,
    typer.Option(
        "--proposer",
        metavar="none|same|GGUF|URL",
        help="Who writes where an edit needs text: nobody, the model itself, a second text model, "
        "or a server (URL#NAME for one of its models).",
    ),
]
_WEB = ("http://", "https://")


def check_proposer(name: str) -> None:
    """Raises `UsageError` for what is neither a known name, a file nor an address."""
    from ..proposers import PROPOSERS

    known = name in PROPOSERS or name.startswith(_WEB)
    if not known and Path(name).suffix.lower() not in (".gguf", ".yaml", ".yml"):
        raise UsageError(
            f"--proposer {name}: choose {', '.join(PROPOSERS)}, a GGUF file or a server's address"
        )


def own_flags(name: str, flags: ModelFlags) -> ModelFlags:
    """The flags as they concern the run's own model: --allow-network may be meant for the server
    that writes alone."""
    served = flags.server or (not flags.model and os.environ.get(SERVER))
    return flags if served or not name.startswith(_WEB) else replace(flags, allow_network=False)


@contextmanager
def with_writer(
    name: str, engine: Engine, flags: ModelFlags, say: Notice
) -> Iterator[tuple[Engine, Maker]]:
    """The engine to run on, and what makes the proposer of the run; a second model is closed at
    the end. Raises `ModelError` for one that cannot be used."""
    from ..engines import EngineOptions, open_engine
    from ..proposers import PROPOSERS, WithWriter, second_model

    if name in PROPOSERS:
        yield engine, PROPOSERS[name]
        return
    options = EngineOptions(gpu_layers=flags.gpu_layers, timeout=flags.server_timeout)
    kind, ref = _writer(name, flags)
    writer = open_engine(kind, ref, replace(options, threads=flags.threads), say)
    try:
        info = writer.info()
        say(f"Edits that need text are written by {info.name}.")
        yield WithWriter(engine, writer), second_model(info, say)
    finally:
        writer.close()


def _writer(name: str, flags: ModelFlags) -> tuple[str, Ref]:
    """Engine and reference of a second model."""
    from ..engines import ServerRef

    if name.startswith(_WEB):
        url, _, model = name.partition("#")
        return "http", ServerRef(url, model, flags.allow_network)
    path = Path(name).expanduser()
    return ("llama_cpp_text" if path.suffix.lower() == ".gguf" else "scripted"), path


def met(proposer: Maker, engine: Engine) -> Proposer | None:
    """The proposer of a run, None where the budget does not even reach for its probe."""
    from ..evaluation.budget import OutOfBudget

    try:
        return proposer(engine)
    except OutOfBudget:
        return None
