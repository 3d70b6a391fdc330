"""`idealprompt predict`: answers for new images, one JSON object a line."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.committee import Asked, prompts_of
from ..core.errors import ArtifactError, ContextError, ImageError, UsageError
from ..core.results import Outcome
from ..core.task import Example
from ..io.files import append_text
from ..io.terminal import json_text
from ..runs.models import named_by, opened, warn_if_other_model, weights_of_prompt
from ..storage.written_files import MOVE, Target, is_answers
from .evaluate import Source, Use, check_stdin_once, choose_prompt, tell_of_prompt
from .inputs import Input, answered, batches, fields_of, given, key_of, parse_fields
from .models import ModelFlags
from .shared_options import Talk, grouped
from .watched_folder import Watch

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.interfaces import Engine

ABSTAINED = "abstained"

EPILOG = """\b
Examples:
  idealprompt predict prompt.yaml photo.jpg
  idealprompt predict prompt.yaml photos/ -o answers.jsonl
  idealprompt predict prompt.yaml photo.jpg --input title='A red mug'
  idealprompt predict prompt.yaml --table rows.csv
  find photos -name '*.jpg' | idealprompt predict prompt.yaml - > answers.jsonl
  idealprompt predict prompt.yaml --watch inbox -o answers.jsonl --min-probability 0.8
Each line is a JSON object: image, row or input (what it is about), then label, probability, \
probabilities and seconds, or error. Written answers: answer (or labels) and seconds.
Images that belong together are joined: 'front.jpg;back.jpg'. A line on stdin is a path, or an \
object such as {"image": "photo.jpg", "title": "A red mug"}."""

Images = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE|FOLDER|-...",
        help="Images, folders of images, or - for paths or JSON Lines from stdin.",
        show_default=False,
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=TEXT",
        help="A text field that the prompt refers to as {NAME} (may be repeated).",
    ),
]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="A table (CSV, JSON Lines, ...) with a row for each input: a column for each field, "
        "and an image column with paths relative to the table.",
    ),
]
WatchFolder = Annotated[
    Path | None,
    typer.Option(
        "--watch",
        metavar="FOLDER",
        help="Answer for the images in this folder and for those that come; Ctrl-C ends.",
    ),
]
MinProbability = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        show_default=False,
        metavar="P",
        help="Answer 'abstained' where the answer is less probable than this.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        help="Append to this file; inputs that it has an answer for are skipped.",
    ),
]

AsOne = Annotated[
    bool, typer.Option("--json", help="Print one JSON object in place of JSON Lines.")
]


@dataclass(frozen=True)
class Asking:
    """An engine, a prompt or the committee of an artifact, and the probability below which it
    abstains."""

    engine: Engine
    artifact: Artifact
    asked: Asked
    least: float = 0.0


@grouped
def predict(
    prompt: Source,
    images: Images = None,
    use: Use = "recommended",
    fields: Fields = None,
    table: TableFile = None,
    output: Output = "-",
    watch: WatchFolder = None,
    min_probability: MinProbability = 0.0,
    *,
    flags: ModelFlags,
    json: AsOne = False,
    talk: Talk,
) -> None:
    """Answer for new inputs with an adapted prompt.

    Inputs are images, text fields or both; the answers are JSON Lines. An input that cannot be
    used gets a line with its error; the others are answered, and the exit code is 1.
    """
    from ..artifact import read_artifact
    from ..ui.console import Console

    named = images or []
    if not (named or fields or table or watch):
        raise UsageError("name images, a folder, --table, --input or --watch, or - for stdin")
    check_stdin_once(prompt, named)
    if json and (watch is not None or output != "-"):
        raise UsageError("--json prints one object at the end: leave out --watch and -o")
    target = "" if output == "-" else output
    if target:
        Target(target, "a file of predict's answers", is_answers, fix=MOVE).check()
    console = Console(talk.level)
    artifact = read_artifact(prompt)
    if watch is not None and artifact.task.images != 1:
        raise UsageError("--watch takes images one by one, and this prompt is for several")
    done = answered(target)
    _, chosen = choose_prompt(artifact, use)
    needed = fields_of(chosen, prompt)
    shared = parse_fields(fields or (), needed)
    inputs = given(named, table, shared, needed)
    if watch is not None:
        names = Watch(watch, say=console.say).names()
        inputs = chain(inputs, (Input(name, shared) for name in names))
    inputs = (one for one in inputs if key_of(one.identity()) not in done)
    tell_of_prompt(artifact, use, console)
    files = named_by(artifact.model, flags)
    recorded = weights_of_prompt(artifact.model)
    with (
        opened(flags, console.say, named=files, recorded=recorded) as engine,
        _ended_by_term(watch is not None),
    ):
        warn_if_other_model(engine.info(), artifact.model, console.say)
        asking = Asking(engine, artifact, chosen, min_probability)
        if watch is not None:
            console.say(f"Watching {watch}; Ctrl-C ends.")
        try:
            failed = (_answer_together if json else _answer_all)(asking, inputs, target)
        except KeyboardInterrupt:
            if watch is None:
                raise
            console.say("Stopped.")
            return
    if failed:
        raise typer.Exit(1)


@contextmanager
def _ended_by_term(wanted: bool) -> Iterator[None]:
    """Make SIGTERM, which stops services, end the work as Ctrl-C does."""
    if not wanted:
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _answer_all(asking: Asking, inputs: Iterator[Input], target: str) -> bool:
    """Write a line for every input as soon as its batch is answered; whether one failed."""
    failed = False
    for batch in batches(inputs):
        lines = _answers(asking, batch)
        failed = failed or any("error" in line for line in lines)
        _write([json_text(line) for line in lines], target)
    return failed


def _answer_together(asking: Asking, inputs: Iterator[Input], target: str) -> bool:
    """Print one object with every answer; whether one failed."""
    del target
    lines = [line for batch in batches(inputs) for line in _answers(asking, batch)]
    failed = sum("error" in line for line in lines)
    typer.echo(json_text({"answers": lines, "failed": failed}))
    return failed > 0


def _write(lines: list[str], target: str) -> None:
    if target:
        append_text(Path(target), "".join(f"{line}\n" for line in lines), ArtifactError)
        return
    for line in lines:
        typer.echo(line)
    sys.stdout.flush()


# --- answering -----------------------------------------------------------------------------------


def _answers(asking: Asking, inputs: list[Input]) -> list[dict[str, Any]]:
    """One object per input, in order. What cannot be read is reported; where an image turns out to
    be damaged only while the model is asked, each is asked about alone."""
    lines: dict[int, dict[str, Any]] = {}
    examples: dict[int, Example] = {}
    for place, one in enumerate(inputs):
        try:
            examples[place] = one.example(asking.artifact.task.images)
        except ImageError as problem:
            lines[place] = {"error": str(problem)}
    made = _asked(asking, list(examples.values()))
    lines |= dict(zip(examples, made, strict=True))
    return [{**one.identity(), **lines[place]} for place, one in enumerate(inputs)]


def _asked(asking: Asking, examples: list[Example]) -> list[dict[str, Any]]:
    if not examples:
        return []
    try:
        return _ask(asking, examples)
    except (ImageError, ContextError) as problem:
        if len(examples) == 1:
            return [{"error": str(problem)}]
    return [line for example in examples for line in _asked(asking, [example])]


def _ask(asking: Asking, examples: list[Example]) -> list[dict[str, Any]]:
    from ..evaluation.evaluator import predict as ask

    artifact, task = asking.artifact, asking.artifact.task
    start = time.perf_counter()
    outcomes = ask(
        asking.engine, asking.asked, artifact.labels, examples, task.answer, task.answer_schema
    )
    written = asking.least > 0 and not artifact.labels
    sure = _probabilities(asking, examples, outcomes) if written else [None] * len(examples)
    seconds = round((time.perf_counter() - start) / len(examples), 4)
    return [
        _line(asking, outcome, probability) | {"seconds": seconds}
        for outcome, probability in zip(outcomes, sure, strict=True)
    ]


def _probabilities(
    asking: Asking, examples: list[Example], outcomes: list[Outcome]
) -> list[float | None]:
    """The probability of each written answer as a whole, which takes a second request."""
    from ..evaluation.evaluator import probabilities_of

    prompt = prompts_of(asking.asked)[0]
    return list(probabilities_of(asking.engine, prompt, examples, outcomes))


def _line(asking: Asking, outcome: Outcome, probability: float | None) -> dict[str, Any]:
    line: dict[str, Any] = {}
    key, answer = "answer", _value(asking.artifact, outcome.predicted)
    if outcome.probabilities:
        key, probability = "label", outcome.probabilities[outcome.predicted]
    elif asking.artifact.task.answer == "labels":
        key = "labels"
    if probability is not None and probability < asking.least:
        line |= {key: ABSTAINED, "abstained": True, "best": answer}
    else:
        line[key] = answer
    if probability is not None:
        line["probability"] = round(probability, 6)
    if outcome.probabilities:
        line["probabilities"] = {k: round(p, 6) for k, p in outcome.probabilities.items()}
    return line


def _value(artifact: Artifact, text: str) -> Any:
    """An answer as a JSON value: a number, an object, a list of labels, or its text; null where
    the model wrote nothing that can be parsed."""
    from ..answers import object_of, parse_number, split

    kind = artifact.task.answer
    if kind == "number":
        number = parse_number(text)
        return int(number) if number is not None and number.is_integer() else number
    if kind == "json":
        return object_of(text)
    if kind == "labels":
        return [one for one in artifact.task.answer_schema.options if one in split(text)]
    return text
