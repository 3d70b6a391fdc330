"""`idealprompt predict`: answers for new pictures, one JSON object a line."""

from __future__ import annotations

import json as jsonlib
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ContextError, ImageError
from ..types import Example, Outcome
from .evaluate import Source, Use, check_stdin_once, choose_prompt, tell_of_prompt
from .models import (
    ModelFlags,
    named_by,
    opened,
    tell_if_other,
)
from .shell import Talk, grouped

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..interfaces import Engine
    from ..types import Prompt

BATCH = 16
_END = None

EPILOG = """\b
Examples:
  idealprompt predict prompt.yaml photo.jpg
  find photos -name '*.jpg' | idealprompt predict prompt.yaml - > answers.jsonl
Each line: image, label, probability, probabilities, seconds; or image, error.
Pictures that belong together are joined: 'front.jpg;back.jpg'."""

Images = Annotated[
    list[str], typer.Argument(metavar="IMAGE...|-", help="Pictures, or - for paths from stdin.")
]


@grouped
def predict(
    prompt: Source,
    images: Images,
    use: Use = "winner",
    *,
    flags: ModelFlags,
    talk: Talk,
) -> None:
    """Answer for pictures with an adapted prompt.

    A picture that cannot be read gets an error on its line; the others go on, and the exit code
    is 1.
    """
    from ..artifact import read_artifact
    from ..console import Console

    check_stdin_once(prompt, images)
    console = Console(talk.level)
    artifact = read_artifact(prompt)
    _, chosen = choose_prompt(artifact, use)
    tell_of_prompt(artifact, use, console)
    named = named_by(artifact.model, flags)
    failed = False
    with opened(flags, console.say, named=named) as engine:
        tell_if_other(engine.info(), artifact.model, console.say)
        for batch in _batches(images):
            for line in _answers(engine, artifact, chosen, batch):
                failed = failed or "error" in line
                typer.echo(jsonlib.dumps(line, ensure_ascii=False))
            sys.stdout.flush()
    if failed:
        raise typer.Exit(1)


# --- what to answer for --------------------------------------------------------------------------


def _batches(images: list[str]) -> Iterator[list[str]]:
    """Names in groups: all that are at hand, up to `BATCH`; a slow stdin is answered at once."""
    waiting: queue.Queue[str | None] = queue.Queue(maxsize=4 * BATCH)
    threading.Thread(target=_feed, args=(_names(images), waiting), daemon=True).start()
    ended = False
    while not ended:
        batch: list[str] = []
        name = waiting.get()
        while name is not _END:
            batch.append(name)
            if len(batch) == BATCH:
                break
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                break
        ended = name is _END
        if batch:
            yield batch


def _names(images: list[str]) -> Iterator[str]:
    for name in images:
        if name == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield name


def _feed(names: Iterable[str], waiting: queue.Queue[str | None]) -> None:
    try:
        for name in names:
            waiting.put(name)
    finally:
        waiting.put(_END)


# --- answering -----------------------------------------------------------------------------------


def _answers(
    engine: Engine, artifact: Artifact, prompt: Prompt, names: list[str]
) -> list[dict[str, Any]]:
    """One object per name. Where one picture spoils the batch, each is asked alone."""
    try:
        return _ask(engine, artifact, prompt, names)
    except (ImageError, ContextError) as problem:
        if len(names) == 1:
            return [{"image": names[0], "error": str(problem)}]
    return [line for name in names for line in _answers(engine, artifact, prompt, [name])]


def _ask(
    engine: Engine, artifact: Artifact, prompt: Prompt, names: list[str]
) -> list[dict[str, Any]]:
    from ..evaluate import predict as ask

    examples = [_example(name, artifact.task.images) for name in names]
    start = time.perf_counter()
    outcomes = ask(engine, prompt, artifact.labels, examples, artifact.task.answer)
    seconds = round((time.perf_counter() - start) / len(names), 4)
    return [_line(name, outcome, seconds) for name, outcome in zip(names, outcomes, strict=True)]


def _example(name: str, count: int) -> Example:
    from ..images import image_size

    paths = (name,) if Path(name).exists() or ";" not in name else tuple(name.split(";"))
    if len(paths) != count:
        raise ImageError(
            f"{name}: the prompt is for {count} picture(s) at a time and this is {len(paths)}: "
            "join those that belong together with ;"
        )
    found = tuple(Path(path.strip()) for path in paths)
    for path in found:
        image_size(path)  # says what is wrong with it before the model is asked
    return Example(name, found, "", "command line")


def _line(name: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    line: dict[str, Any] = {"image": name}
    if outcome.probabilities:
        best = outcome.probabilities[outcome.predicted]
        line |= {
            "label": outcome.predicted,
            "probability": round(best, 6),
            "probabilities": {k: round(p, 6) for k, p in outcome.probabilities.items()},
        }
    else:
        line["answer"] = outcome.predicted
    return line | {"seconds": seconds}
