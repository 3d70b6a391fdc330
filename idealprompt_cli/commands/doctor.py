"""`idealprompt doctor`: this machine, the model, and whether the two work together."""

from __future__ import annotations

import json as jsonlib
import os
import platform
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .. import __version__
from ..errors import ModelError
from ..types import ImageSlot, Message, ModelRef, ScoreRequest
from .models import (
    ModelFlags,
    choose,
    engine_options,
    opened,
)
from .shell import Json, Talk, grouped

if TYPE_CHECKING:
    from ..console import Console
    from ..engines import Ref
    from ..interfaces import Engine

EPILOG = """\b
Examples:
  idealprompt doctor
  idealprompt doctor -m model.gguf --mmproj mmproj.gguf --json"""

Report = dict[str, dict[str, Any]]


@grouped
def doctor(
    *,
    flags: ModelFlags,
    json: Json = False,
    talk: Talk,
) -> None:
    """Say what machine this is, which model would be used, and whether it answers."""
    from ..console import Console

    console = Console(talk.level)
    report: Report = {"machine": _machine(flags)}
    problem: ModelError | None = None
    try:
        report |= _model(flags, console)
    except ModelError as error:
        problem = error
        report["model"] = {"problem": str(error)}
    typer.echo(jsonlib.dumps(report, ensure_ascii=False, indent=2) if json else _lines(report))
    if problem is not None:
        raise problem


def _machine(flags: ModelFlags) -> dict[str, Any]:
    options = engine_options(flags)
    return {
        "idealprompt": __version__,
        "llama-cpp-python": _version("llama-cpp-python"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
        "memory_gib": _memory(),
        "cache": str(options.cache_folder()),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _memory() -> float | None:
    """Physical memory, where the system says."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(pages * size / 2**30, 1)


def _model(flags: ModelFlags, console: Console) -> Report:
    chosen = choose(flags, None, console.say)
    from ..engines import ServerRef

    tell = console.say if isinstance(chosen, ServerRef) else lambda line: None
    start = time.perf_counter()
    with opened(flags, tell) as engine:
        loaded = time.perf_counter() - start
        info = engine.info()
        found: dict[str, Any] = {
            "name": info.name,
            **_place(chosen, info.path),
            "engine": info.engine,
            "architecture": info.architecture,
            "family": info.family,
            "quantisation": info.quantisation,
            "n_ctx": info.n_ctx,
            "mode": info.mode,
            "fingerprint": info.fingerprint,
            **info.details,
        }
        return {"model": found, "speed": {"load_seconds": round(loaded, 2), **_speed(engine)}}


def _place(chosen: Ref, address: str) -> dict[str, Any]:
    """Where the model is: its files with their sizes, or its server."""
    from ..engines import ServerRef

    if isinstance(chosen, ServerRef):
        return {"address": address}
    paths = [chosen.text, chosen.mmproj] if isinstance(chosen, ModelRef) else [chosen]
    return {"files": {str(path): _mebibytes(path) for path in paths}}


def _mebibytes(path: Path) -> str:
    return f"{path.stat().st_size / 2**20:.1f} MiB" if path.exists() else "missing"


def _speed(engine: Engine) -> dict[str, float]:
    """Seconds for a new picture, and for another prompt on a picture already seen."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grey.png"
        Image.new("RGB", (224, 224), (128, 96, 64)).save(path)
        seconds = []
        for question in ("What colour is it?", "What is shown?"):
            message = Message("user", (ImageSlot(), question))
            start = time.perf_counter()
            engine.score([ScoreRequest((message,), (path,), ("yes", "no"))])
            seconds.append(round(time.perf_counter() - start, 4))
    return {"new_picture_seconds": seconds[0], "next_prompt_seconds": seconds[1]}


def _lines(report: Report) -> str:
    lines: list[str] = []
    for part, values in report.items():
        lines.append(part)
        for key, value in values.items():
            if isinstance(value, dict):
                lines.extend(f"  {key}: {name} ({size})" for name, size in value.items())
            elif value not in ("", None):
                lines.append(f"  {key.replace('_', ' ')}: {value}")
    return "\n".join(lines)
