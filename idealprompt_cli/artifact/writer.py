"""`Artifact` -> plain data (for JSON) and YAML text with comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..answers import plain_field
from ..core.answer_schema import AnswerSchema
from ..core.edits import EditReport
from ..core.prompt import ImageSlot, Message
from ..core.requests import ModelInfo
from ..io.yaml import dump as dump_yaml
from ..prompts.prompts import to_dict, words_for
from .content import SCHEMA, Artifact, Score, Scores, Step

_COMMENTS = {
    "schema": "An adapted prompt, written by idealprompt. `prompt` is what eval and predict use.",
    "task": "What was asked of which pictures.",
    "model": "The model that the prompt was adapted to.",
    "prompt": "The winning prompt in its parts.",
    "messages": "The same prompt as the model gets it, for other tools.",
    "labels": "The answers that are possible.",
    "verbalisers": "The words by which the model says each label.",
    "scores": "The metric with its 95 % interval. selection: the pictures that the search chose by,"
    " so the winner's is optimistic. test: pictures that it never saw.",
    "cost": "One evaluation is one prompt on one picture.",
    "trail": "The edits that led from the seed prompt to the winner.",
}


def to_data(artifact: Artifact) -> dict[str, Any]:
    """Plain data in the order of the file; the keys are the file's schema."""
    task = artifact.task
    return {
        "schema": SCHEMA,
        "task": {
            "name": task.name,
            "question": task.question,
            "answer": task.answer,
            "metric": task.metric,
            "language": task.language,
            "images": task.images,
            "fingerprint": task.fingerprint,
            **_schema_data(task.answer_schema),
        },
        "model": _model_data(artifact.model),
        "prompt": to_dict(artifact.prompt),
        "messages": messages_data(artifact.messages),
        "labels": list(artifact.labels),
        "verbalisers": {
            label: list(words_for(artifact.prompt, label)) for label in artifact.labels
        },
        "scores": {
            "baseline": _scores_data(artifact.baseline),
            "winner": _scores_data(artifact.winner),
        },
        "verdict": artifact.verdict,
        "recommended": artifact.recommended,
        "baseline": to_dict(artifact.baseline_prompt),
        "cost": {
            "evaluations": artifact.cost.evaluations,
            "tokens": artifact.cost.tokens,
            "seconds": artifact.cost.seconds,
            "stopped": artifact.stop,
        },
        "seed": artifact.seed,
        "trail": [_step_data(step) for step in artifact.trail],
    }


def dump(artifact: Artifact) -> str:
    """The YAML text, with a comment above what needs one."""
    blocks = []
    for key, value in to_data(artifact).items():
        comment = f"# {_COMMENTS[key]}\n" if key in _COMMENTS else ""
        blocks.append(comment + dump_yaml({key: value}))
    return "".join(blocks)


def _schema_data(schema: AnswerSchema) -> dict[str, Any]:
    """What written answers are made of; nothing for a task with one label a picture."""
    data = {
        "options": list(schema.options),
        "fields": {field.name: plain_field(field) for field in schema.fields},
        "max_tokens": schema.max_tokens,
    }
    return {key: value for key, value in data.items() if value}


def _model_data(model: ModelInfo) -> dict[str, Any]:
    return {
        "name": model.name,
        "engine": model.engine,
        "architecture": model.architecture,
        "family": model.family,
        "quantisation": model.quantisation,
        "n_ctx": model.n_ctx,
        "mode": model.mode,
        "fingerprint": model.fingerprint,
        "path": model.path,
        "mmproj": model.mmproj,
    }


def messages_data(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages with their content in reading order; pictures are counted from 1."""
    number = 0
    found = []
    for message in messages:
        content: list[dict[str, Any]] = []
        for piece in message.content:
            if isinstance(piece, ImageSlot):
                number += 1
                content.append({"image": number})
            else:
                content.append({"text": piece})
        found.append({"role": message.role, "content": content})
    return found


def _scores_data(scores: Scores) -> dict[str, Any]:
    return {"selection": _score_data(scores.selection), "test": _score_data(scores.test)}


def _score_data(score: Score | None) -> Mapping[str, Any] | None:
    return None if score is None else dict(vars(score))


def _step_data(step: Step) -> dict[str, Any]:
    data = {name: value for name, value in vars(step).items() if name != "edit"}
    return {**data, "edit": edit_data(step.edit)} if step.edit else data


def edit_data(edit: EditReport) -> dict[str, Any]:
    """An edit as plain data, for the file and for events."""
    return {
        "changes": [dict(vars(change)) for change in edit.changes],
        "why": edit.why,
        "confusion": edit.confusion,
        "inspired_by": list(edit.inspired_by),
        "fixed": list(edit.fixed),
        "broke": list(edit.broke),
        "p_value": round(edit.p_value, 6),
        "level": round(edit.level, 6),
    }
