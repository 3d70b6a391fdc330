"""The longer part of `eval`: other prompts on the same images, and a line per example."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.answer_schema import AnswerKind, AnswerSchema
from ..core.errors import ArtifactError, UsageError
from ..core.prompt import Prompt
from ..core.results import Evaluation
from ..core.task import Example
from ..io.terminal import json_text
from ..storage.written_files import Target, is_rows

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.task import Task
    from ..evaluation.evaluator import Evaluator
    from ..ui.formats import ComparedPrompt, EvalReport

SEED = "baseline"

Against = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PROMPT|baseline",
        help="Another artifact on the same examples, with a paired test (may be repeated); "
        "baseline is this artifact's own seed prompt.",
    ),
]
Worst = Annotated[int, typer.Option(min=0, metavar="N", help="Wrong answers to list.")]
Jsonl = Annotated[
    str, typer.Option("--jsonl", metavar="FILE|-", help="Write a JSON object for every example.")
]


@dataclass(frozen=True)
class Other:
    """A prompt to compare with, by the name that the user gave."""

    name: str
    prompt: Prompt


def others(names: Sequence[str], artifact: Artifact, task: Task) -> tuple[Other, ...]:
    """The prompts that are named. Raises `ArtifactError` for one that is for other labels."""
    from ..artifact import read_artifact

    found = []
    for name in names:
        if name == SEED:
            found.append(Other("its seed prompt", artifact.baseline_prompt))
            continue
        other = read_artifact(name)
        try:
            check_labels(other, task)
        except ArtifactError as problem:
            raise ArtifactError(f"{name}: {problem}") from None
        found.append(Other(name, other.prompt))
    return tuple(found)


def check_labels(artifact: Artifact, task: Task) -> None:
    """Raises `ArtifactError` where the prompt's answers are not those that the task asks for."""
    made = answers_in_words(artifact.task.answer, artifact.labels, artifact.task.answer_schema)
    asked = answers_in_words(task.answer, task.labels, task.answer_schema)
    if made != asked:
        raise ArtifactError(
            f"the prompt answers with {made}, but {task.root} asks for {asked}: use a prompt that "
            "was made for this task"
        )


def answers_in_words(kind: AnswerKind, labels: Sequence[str], schema: AnswerSchema) -> str:
    """What is answered, the same for the same."""
    if kind == "label":
        return ", ".join(sorted(labels))
    names = sorted((*schema.options, *(field.name for field in schema.fields)))
    named = {"text": "free text", "number": "a number", "labels": "any of", "json": "JSON with"}
    named["box"] = "a box"
    return " ".join([named[kind], ", ".join(names)]).strip()


def compared_prompts(
    evaluator: Evaluator,
    own: Evaluation,
    prompts: Sequence[Other],
    examples: Sequence[Example],
) -> tuple[ComparedPrompt, ...]:
    """Their scores, and paired tests of the own prompt against each."""
    from ..evaluation.statistics import compare
    from ..ui.formats import ComparedPrompt

    found = []
    for other in prompts:
        evaluation = evaluator.evaluate(other.prompt, examples)
        found.append(
            ComparedPrompt(other.name, evaluation, compare(evaluation.outcomes, own.outcomes))
        )
    return tuple(found)


def rows_target(place: str, json_wanted: bool, force: bool) -> Target:
    """Where --jsonl writes. Raises `UsageError` if two outputs go to stdout."""
    if place == "-" and json_wanted:
        raise UsageError("--json and --jsonl - both write to stdout: write one of them to a file")
    target = Target(place, "a file that eval --jsonl wrote", is_rows, force)
    target.check()
    return target


def write_jsonl(target: Target, report: EvalReport) -> None:
    """One line per example, with what the other prompts answered."""
    lines = [json_text(line) for line in _lines(report)]
    if target.name == "-":
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    elif target.is_file:
        target.write("".join(f"{line}\n" for line in lines))


def _lines(report: EvalReport) -> list[dict[str, Any]]:
    from ..storage.predictions import data_of

    answers = [
        {outcome.example_id: outcome.predicted for outcome in other.evaluation.outcomes}
        for other in report.against
    ]
    names = [other.name for other in report.against]
    lines = []
    for outcome in report.evaluation.outcomes:
        line = data_of(outcome)
        if names:
            given = [answer.get(outcome.example_id) for answer in answers]
            line["against"] = dict(zip(names, given, strict=True))
        lines.append(line)
    return lines
