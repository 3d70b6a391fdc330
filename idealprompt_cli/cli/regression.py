"""The part of `eval` that measures how a prompt moves answers to unrelated questions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..core.committee import Asked, prompts_of
from ..core.errors import ArtifactError, UsageError
from ..core.interfaces import Notice
from ..core.prompt import ImageSlot
from ..io.files import read_text
from ..io.terminal import json_text, printable
from ..runs.models import named_by, opened, warn_if_other_model, weights_of_prompt
from .models import ModelFlags

if TYPE_CHECKING:
    from ..core.interfaces import Engine
    from ..synthesis.corpus import Header, Pair
    from ..synthesis.drift import DriftReport
    from ..ui.console import Console

Which = Literal["recommended", "winner", "baseline", "committee"]
MOST_TEXT = 1 << 16

Regression = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A corpus that synth wrote: does the prompt change answers to unrelated questions? "
        "Then PROMPT may be a .txt file with a system message.",
    ),
]


@dataclass(frozen=True)
class RegressionPairs:
    """The questions of a corpus with their answers."""

    header: Header | None
    pairs: tuple[Pair, ...]


def read_regression(path: Path | None) -> RegressionPairs | None:
    """The corpus in a file, None for no file. Raises `CorpusError`."""
    from ..synthesis.corpus import read_pairs

    if path is None:
        return None
    header, pairs = read_pairs(path)
    return RegressionPairs(header, tuple(pairs))


def regression_alone(
    source: str, which: Which, path: Path | None, flags: ModelFlags, json: bool, console: Console
) -> None:
    """Measure and print the drift alone. Raises `UsageError` where there is no corpus either."""
    from ..artifact import read_artifact
    from ..ui.drift import drift_data, drift_lines

    corpus = read_regression(path)
    if corpus is None:
        raise UsageError("Missing argument 'TASK': name a task folder, or give --regression FILE")
    artifact = None
    if source.endswith(".txt"):
        system = _message(Path(source))
    else:
        artifact = read_artifact(source)
        system = system_of(artifact.asked(which), artifact.labels, console.say)
    named = named_by(artifact.model, flags) if artifact else None
    recorded = weights_of_prompt(artifact.model) if artifact else None
    with opened(flags, console.say, named=named, recorded=recorded) as engine:
        if artifact:
            warn_if_other_model(engine.info(), artifact.model, console.say)
        report = measure(engine, corpus, system, console)
    data = {"regression": drift_data(report)}
    text = json_text(data, indent=2) if json else printable("\n".join(drift_lines(report)))
    typer.echo(text)


def _message(path: Path) -> str:
    text = read_text(path, ArtifactError, MOST_TEXT).strip()
    if not text:
        raise ArtifactError(f"{path}: is empty: write a system message into it")
    return text


def system_of(asked: Asked, labels: tuple[str, ...], say: Notice) -> str:
    """The text of a prompt that stays in force for other questions: its system message, or without
    one all of it. Of a committee that of the first prompt."""
    from ..prompts.rendering import render

    messages = render(prompts_of(asked)[0], labels, images=0)
    if messages[0].role != "system":
        say("Note: this prompt has no system message; all of its text is measured as one.")
    content = messages[0].content
    return "".join(part for part in content if not isinstance(part, ImageSlot)).strip()


def measure(engine: Engine, corpus: RegressionPairs, system: str, console: Console) -> DriftReport:
    """Ask the corpus's questions with and without the message."""
    from ..synthesis.drift import measure_drift

    with console.counting("unrelated questions", len(corpus.pairs)) as add:
        return measure_drift(engine, corpus.pairs, system, corpus.header, add)
