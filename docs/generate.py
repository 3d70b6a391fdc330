"""Writes the pages that are made from the code: `python -m docs.generate`.

`strategies.md` and `metrics.md` from the registries, `commands.md` from the commands' help,
`artifact.schema.json` from the artifact's types. A test fails when they are stale.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command
from typer.testing import CliRunner

from idealprompt_cli.artifact import Score, Step, TaskSummary
from idealprompt_cli.artifact.content import SCHEMA, STOP_REASONS
from idealprompt_cli.cli.main import app
from idealprompt_cli.core.edits import EditReport
from idealprompt_cli.core.prompt import Demonstration, Prompt
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.strategies import STRATEGIES

FOLDER = Path(__file__).resolve().parent
TEXT = {"type": "string"}


def strategies_page() -> str:
    """Every strategy with what it does and where it comes from, in the order of the registry."""
    lines = [
        "# Strategies",
        "",
        "Made by `python -m docs.generate` from `idealprompt_cli/strategies/`; do not edit.",
        "The order is the one in which a search without experience tries them.",
        "",
        "| `--strategy` | what it does | why it helps a small model | source |",
        "|---|---|---|---|",
    ]
    for name, strategy in STRATEGIES.items():
        why = " ".join((type(strategy).__doc__ or "").split())
        cells = (f"`{name}`", strategy.summary, why, strategy.source)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric with what it counts and for which answers."""
    lines = [
        "# Metrics",
        "",
        "Made by `python -m docs.generate` from `idealprompt_cli/metrics/`; do not edit.",
        "Every value lies between 0 and 1, and more is better. `numeric:0.5` and `numeric:5%` are",
        "`numeric` with a tolerance. For one of your own see `extending.md`.",
        "",
        "| `metric:` | for `answer:` | what it is | how it is counted |",
        "|---|---|---|---|",
    ]
    for name, metric in METRICS.items():
        kinds = ", ".join(getattr(metric, "kinds", ())) or "any"
        extra = getattr(metric, "needs", ("", ""))[1]
        more = f" (`pip install 'idealprompt[{extra}]'`)" if extra else ""
        counted = " ".join((type(metric).__doc__ or "").split())
        cells = (f"`{name}`", kinds, metric.summary + more, counted)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help of every command, as it is printed 80 columns wide."""
    lines = [
        "# Commands",
        "",
        "Made by `python -m docs.generate` from the commands' own help; do not edit.",
    ]
    for words in ((), *sorted(_commands(get_command(app)))):
        name = " ".join(("idealprompt", *words))
        made = CliRunner().invoke(
            app, [*words, "--help"], prog_name="idealprompt", terminal_width=80, color=False
        )
        lines += ["", f"## {name}", "", "```", made.stdout.strip(), "```"]
    return "\n".join(lines) + "\n"


def _commands(top: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in getattr(top, "commands", {}).items():
        yield (*words, name)
        yield from _commands(inner, (*words, name))


# --- the artifact's schema ------------------------------------------------------------------------


def _of(kind: Any) -> dict[str, Any]:
    """JSON Schema of a type as the artifact holds it."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of(one) for one in args]}
    if origin is tuple:
        return {"type": "array", "items": _of(args[0])}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return {"type": simple[kind]}


def _record(kind: type, *, without: tuple[str, ...] = (), **other: Any) -> dict[str, Any]:
    """An object of a dataclass's fields; fields with a default may be missing."""
    hints = typing.get_type_hints(kind)
    parts = [part for part in dataclasses.fields(kind) if part.name not in without]
    missing = dataclasses.MISSING
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [part.name for part in parts if part.default is missing
                     and part.default_factory is missing],
        "properties": {part.name: other.get(part.name) or _of(hints[part.name]) for part in parts},
    }  # fmt: skip


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _map(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _task() -> dict[str, Any]:
    """The task's summary, with what its written answers are made of."""
    rule = _record(TaskSummary, without=("answer_schema",))
    field = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
    rule["properties"] |= {
        "options": {"type": "array", "items": TEXT},
        "fields": _map(field),
        "max_tokens": {"type": "integer"},
    }
    return rule


def schema() -> dict[str, Any]:
    """JSON Schema of `prompt.yaml`, as YAML or JSON readers see it."""
    prompt = _record(
        Prompt,
        label_descriptions=_map(TEXT),
        verbalisers=_map({"type": "array", "items": TEXT}),
        calibration=_map({"type": "number"}),
        demonstrations={"type": "array", "items": _record(Demonstration)},
    )
    piece = {"anyOf": [_object(text=TEXT), _object(image={"type": "integer"})]}
    message = _object(
        role={"enum": ["system", "user", "assistant"]}, content={"type": "array", "items": piece}
    )
    score = _of(Score)
    scores = _object(selection=score, test={"anyOf": [score, {"type": "null"}]})
    number = {"type": "number"}
    texts = {"type": "array", "items": TEXT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An adapted prompt, written by idealprompt",
        **_object(
            schema={"const": SCHEMA},
            task=_task(),
            model=_record(ModelInfo, without=("details",)),
            prompt=prompt,
            messages={"type": "array", "items": message},
            labels=texts,
            verbalisers=_map(texts),
            scores=_object(baseline=scores, winner=scores),
            verdict=TEXT,
            recommended={"enum": ["winner", "baseline"]},
            baseline=prompt,
            cost=_object(
                evaluations={"type": "integer"},
                tokens={"type": "integer"},
                seconds=number,
                stopped={"enum": list(STOP_REASONS)},
            ),
            seed={"type": "integer"},
            trail={"type": "array", "items": _record(Step, edit=_of(EditReport))},
        ),
    }


def pages() -> dict[str, str]:
    """File name -> what it should hold."""
    return {
        "strategies.md": strategies_page(),
        "metrics.md": metrics_page(),
        "commands.md": commands_page(),
        "artifact.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
