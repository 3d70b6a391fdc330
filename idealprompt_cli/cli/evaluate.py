"""`idealprompt eval`: what a prompt scores on a task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..core.committee import Asked, prompts_of
from ..core.errors import TaskError, ThresholdNotMet, UsageError
from ..core.requests import ModelInfo
from ..core.task import Split
from ..runs.models import named_by, opened, warn_if_other_model, weights_of_prompt
from . import completion
from .compare import (
    Against,
    Jsonl,
    Other,
    Worst,
    check_labels,
    compared_prompts,
    others,
    rows_target,
    write_jsonl,
)
from .models import ModelFlags
from .regression import (
    Regression,
    RegressionPairs,
    measure,
    read_regression,
    regression_alone,
    system_of,
)
from .shared_options import Force, FormatName, Json, Talk, format_name, grouped

if TYPE_CHECKING:
    from ..artifact import Artifact
    from ..core.task import Task
    from ..ui.console import Console
    from ..ui.formats import EvalReport

Which = Literal["recommended", "winner", "baseline", "committee"]

EPILOG = """\b
Examples:
  idealprompt eval prompt.yaml my_task
  idealprompt eval prompt.yaml my_task --min-score 0.8 --json
  idealprompt eval prompt.yaml my_task --against baseline --against other.yaml
  idealprompt eval prompt.yaml --regression corpus.jsonl
  idealprompt eval prompt.yaml my_task --jsonl - -q | jq 'select(.score < 1)'
  idealprompt search my_task -o - | idealprompt eval - my_task"""

Source = Annotated[str, typer.Argument(metavar="PROMPT|-", help="A YAML artifact, or - for stdin.")]
Folder = Annotated[
    Path, typer.Argument(metavar="TASK", help="A folder with a task.yaml and examples.")
]
OptionalFolder = Annotated[
    Path | None,
    typer.Argument(
        metavar="TASK",
        help="A folder with a task.yaml and examples; not needed with --regression.",
        show_default=False,
    ),
]
Part = Annotated[Split, typer.Option("--split", help="Which split of the task.")]
Use = Annotated[Which, typer.Option("--use", help="Which prompt of the artifact.")]
MinScore = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, metavar="X", help="Exit with 3 if the metric is below this."),
]
MetricName = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="In place of the task's metric; module:function for your own.",
        autocompletion=completion.metrics,
    ),
]


@grouped
def evaluate(
    prompt: Source,
    task: OptionalFolder = None,
    split: Part = "test",
    use: Use = "recommended",
    min_score: MinScore = None,
    metric: MetricName = "",
    against: Against = None,
    worst: Worst = 5,
    jsonl: Jsonl = "",
    regression: Regression = None,
    force: Force = False,
    *,
    flags: ModelFlags,
    json: Json = False,
    format: FormatName = "",  # noqa: A002 - the option's own name
    talk: Talk,
) -> None:
    """Measure a prompt on a task, by default on the held-out examples.

    With --regression also, or without TASK only, how far the prompt moves the model's answers to
    the unrelated questions of a corpus.
    """
    from ..artifact import read_artifact
    from ..ui import formats
    from ..ui.console import Console, screen_of

    shown = formats.get(format_name(json, format))
    rows = rows_target(jsonl, json, force)
    console = Console(talk.level)
    if task is None:
        regression_alone(prompt, use, regression, flags, json, console)
        return
    folder = load(task, metric, console)  # before a slow pipe is waited for
    artifact = read_artifact(prompt)
    check_labels(artifact, folder)
    prompts = others(against or (), artifact, folder)
    pairs = read_regression(regression)
    report = _report(artifact, folder, split, use, flags, console, prompts, pairs)
    report = replace(report, worst=worst)
    stream = sys.stderr if jsonl == "-" else sys.stdout
    typer.echo(shown.evaluation(report, screen_of(stream)), err=jsonl == "-")
    write_jsonl(rows, report)
    value = report.evaluation.value
    if min_score is not None and value < min_score:
        raise ThresholdNotMet(
            f"{report.evaluation.metric} is {value:.4f}, below --min-score {min_score:g}"
        )


def load(folder: Path, metric: str, console: Console) -> Task:
    """The task, with the metric given in place of its own. Raises `TaskError` with the line of
    task.yaml where its own is not known or does not suit, `UsageError` for the one given."""
    from .. import metrics
    from ..task import load_task, read_settings

    if metric:
        metrics.get(metric)
    task = load_task(folder, metric=metric, notify=console.say)
    try:
        metrics.for_task(task, metric)
    except UsageError as error:
        if metric:
            raise
        raise read_settings(folder).fail("metric", str(error)) from None
    return task


def _report(
    artifact: Artifact,
    task: Task,
    split: Split,
    which: Which,
    flags: ModelFlags,
    console: Console,
    prompts: Sequence[Other] = (),
    regression: RegressionPairs | None = None,
) -> EvalReport:
    from .. import metrics
    from ..evaluation.evaluator import Evaluator
    from ..evaluation.metered_engine import MeteredEngine
    from ..ui.formats import EvalReport

    examples = {"train": task.train, "validation": task.validation, "test": task.test}[split]
    if not examples:
        raise TaskError(f"{task.root}: has no {split} split: use --split train")
    named, asked = choose_prompt(artifact, which)
    tell_of_prompt(artifact, which, console)
    ref = named_by(artifact.model, flags)
    weights = weights_of_prompt(artifact.model)
    with opened(flags, console.say, named=ref or task.model, recorded=weights) as engine:
        warn_if_other_model(engine.info(), artifact.model, console.say)
        evaluator = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric))
        with console.counting(
            f"{split} examples", len(examples) * (len(prompts_of(asked)) + len(prompts))
        ) as add:
            evaluator.engine.on_answers = add
            evaluation = evaluator.evaluate(asked, examples)
            against = compared_prompts(evaluator, evaluation, prompts, examples)
        system = system_of(asked, artifact.labels, console.say) if regression else ""
        moved = measure(engine, regression, system, console) if regression else None
        info = engine.info()
    recorded = _recorded(artifact, task, info, split, named)
    return EvalReport(task, info, split, named, evaluation, recorded, against, drift=moved)


def choose_prompt(artifact: Artifact, which: Which) -> tuple[str, Asked]:
    """What was asked for, and its name. Raises `ArtifactError` for a committee where the artifact
    has none."""
    return artifact.recommended if which == "recommended" else which, artifact.asked(which)


def tell_of_prompt(artifact: Artifact, which: Which, console: Console) -> None:
    """Notes where `prompt` no longer renders to the `messages` that were scored, and where the
    prompt in use is not the winner, or is used against the file's own recommendation."""
    if which == "recommended" and artifact.recommended == "baseline":
        console.say(
            f"Note: no reliable gain was found, so the {artifact.baseline_name} is used; --use "
            "winner takes the adapted prompt."
        )
    elif which == "winner" and artifact.recommended == "baseline":
        console.say("Note: this prompt is not recommended: no reliable gain was found.")
    elif which == "committee" and artifact.recommended != "committee" and artifact.committee:
        console.say(
            f"Note: the {artifact.committee.name} is not recommended: it is not reliably better."
        )
    used = artifact.recommended if which == "recommended" else which
    if artifact.committee is not None and used == "committee":
        console.say(f"An answer by the {artifact.committee.name} takes {artifact.committee.price}.")
    if artifact.rendered_now() != artifact.messages:
        console.say(
            "Note: `prompt` was edited after the search (its `messages` differ): the recorded "
            "scores are those of the prompt before."
        )


def _recorded(
    artifact: Artifact, task: Task, model: ModelInfo, split: Split, named: str
) -> float | None:
    """The artifact's own figure for the same prompt, images and model, if it has one."""
    same = artifact.task.fingerprint == task.fingerprint
    then = artifact.model
    alike = (then.fingerprint, then.quantisation) == (model.fingerprint, model.quantisation)
    if not same or split != "test" or not alike:
        return None
    if named == "committee" and artifact.committee is not None:
        scores = artifact.committee.scores
    else:
        scores = artifact.scores.winner if named == "winner" else artifact.scores.baseline
    return scores.test.value if scores.test else None


def check_stdin_once(prompt: str, images: list[str]) -> None:
    """Only one of the two can come from stdin."""
    if prompt == "-" and "-" in images:
        raise UsageError("the prompt and the inputs cannot both come from stdin: name one of them")
