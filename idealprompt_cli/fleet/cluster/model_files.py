"""The model that every worker must have, and finding it on a worker's own disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ... import __version__
from ...core.errors import ModelError
from ...core.task import ModelRef
from ...engines import EngineOptions
from ...storage import model_locations

MODELS = "IDEALPROMPT_MODELS"
"""Folders with models on a worker, separated as in PATH."""


@dataclass(frozen=True)
class WantedModel:
    """The model that every worker must open: its files as the coordinator names them, their
    fingerprint ("" for the scripted engine, compared after opening), and how it is run."""

    engine: str
    files: tuple[str, ...]
    fingerprint: str
    options: EngineOptions
    version: str = __version__


def named_folders(variable: str) -> list[Path]:
    """The folders that an environment variable names."""
    return [Path(one) for one in os.environ.get(variable, "").split(os.pathsep) if one]


def find_model(wanted: WantedModel, name: str) -> ModelRef | Path:
    """The model's files on this machine. Raises `ModelError` where none has the fingerprint."""
    seen = []
    for files in _candidates(wanted):
        if not all(file.is_file() for file in files):
            continue
        if not wanted.fingerprint or fingerprint_of(files) == wanted.fingerprint:
            return ModelRef(*files) if wanted.engine != "scripted" else files[0]
        if files[0].name == Path(wanted.files[0]).name:
            seen.append(str(files[0]))
    names = ", ".join(Path(one).name for one in wanted.files)
    if seen:
        raise ModelError(
            f"worker {name}: {seen[0]} has another fingerprint than {wanted.fingerprint}: it is "
            "another model or quantisation: copy the coordinator's files there"
        )
    raise ModelError(
        f"worker {name} has no {names} ({wanted.fingerprint}): copy the files into a folder and "
        f"name it in {MODELS} there"
    )


def _candidates(wanted: WantedModel) -> Iterator[tuple[Path, ...]]:
    known = model_locations.find(wanted.fingerprint) if wanted.fingerprint else ()
    if known:
        yield known
    yield tuple(Path(one) for one in wanted.files)
    for folder in named_folders(MODELS):
        yield tuple(folder / Path(one).name for one in wanted.files)
    from ...runs.models import embedded_model

    embedded = embedded_model()
    if embedded is not None and embedded.mmproj is not None:
        yield embedded.text, embedded.mmproj


def fingerprint_of(files: Sequence[Path]) -> str:
    """The fingerprint of a model's GGUF files, as its engine gives it."""
    from ...engines.llama_cpp.native.gguf_header import fingerprint

    return fingerprint(*files)
