"""A structured `Prompt` as plain data for YAML and JSON; reading it back names faults by place."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from ..core.errors import ArtifactError
from ..core.nearest import did_you_mean
from ..core.placeholders import placeholder_names
from ..core.prompt import (
    Demonstration,
    FieldsPosition,
    ImagePosition,
    LabelText,
    Prompt,
    Reasoning,
    RoleChannel,
    Verbaliser,
)

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "role_channel": get_args(RoleChannel),
    "reasoning": get_args(Reasoning),
    "image_position": get_args(ImagePosition),
    "fields_position": get_args(FieldsPosition),
    "definition_style": ("label_first", "description_first"),
}
_TEXT_LISTS = ("label_order", "cues", "constraints")


def to_dict(prompt: Prompt) -> dict[str, Any]:
    """Plain data for YAML or JSON; parts at their default are left out, `question` never is."""
    empty = Prompt(question="")
    data: dict[str, Any] = {"question": prompt.question}
    for part in fields(Prompt)[1:]:
        value = getattr(prompt, part.name)
        if value != getattr(empty, part.name):
            data[part.name] = _plain(part.name, value)
    return data


def _plain(name: str, value: Any) -> Any:
    if name == "label_descriptions":
        return {entry.label: entry.text for entry in value}
    if name == "calibration":
        return dict(value)
    if name == "verbalisers":
        return {entry.label: list(entry.words) for entry in value}
    if name == "demonstrations":
        return [{"description": shown.description, "answer": shown.answer} for shown in value]
    return list(value) if isinstance(value, tuple) else value


def from_dict(data: object, where: str = "prompt") -> Prompt:
    """The prompt that `to_dict` wrote. `where` names the place in error messages.

    Raises ArtifactError for an unknown key (naming the nearest), a missing question or a value of
    the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise ArtifactError(f"{where}: expected a mapping of prompt parts, got {data!r}")
    known = [part.name for part in fields(Prompt)]
    for key in data:
        if key not in known:
            raise ArtifactError(f"{where}: unknown key {key!r}: {did_you_mean(str(key), known)}")
    if "question" not in data:
        raise ArtifactError(f"{where}: the key 'question' is missing")
    return Prompt(**{key: _parsed(key, value, f"{where}.{key}") for key, value in data.items()})


def _parsed(name: str, value: Any, where: str) -> Any:
    if name in ("label_descriptions", "verbalisers"):
        return _parsed_labels(name, value, where)
    if name == "calibration":
        return _parsed_offsets(value, where)
    if name == "demonstrations":
        return tuple(_parsed_demonstration(item, where) for item in _list(value, where))
    if name in _TEXT_LISTS:
        return tuple(_text(item, where) for item in _list(value, where))
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ArtifactError(f"{where}: {value!r} is none of {', '.join(_CHOICES[name])}")
    text = _text(value, where)
    if name == "question":
        try:
            placeholder_names(text)
        except ValueError as problem:
            raise ArtifactError(f"{where} {problem}") from problem
    return text


def _parsed_labels(name: str, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{where}: expected a mapping from label, got {value!r}")
    if name == "label_descriptions":
        return tuple(LabelText(str(key), _text(text, where)) for key, text in value.items())
    return tuple(
        Verbaliser(str(key), tuple(_text(word, where) for word in _list(words, where)))
        for key, words in value.items()
    )


def _parsed_offsets(value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{where}: expected a mapping from label, got {value!r}")
    return tuple((str(label), _offset(text, f"{where}.{label}")) for label, text in value.items())


def _offset(value: object, where: str) -> float:
    """A number, which the YAML reader hands on as text."""
    try:
        number = float(_text(value, where))
    except ValueError:
        number = math.nan
    if not abs(number) <= 60:
        raise ArtifactError(f"{where}: expected a number from -60 to 60, got {value!r}")
    return number


def _parsed_demonstration(item: object, where: str) -> Demonstration:
    if not isinstance(item, Mapping) or set(item) != {"description", "answer"}:
        raise ArtifactError(f"{where}: each needs 'description' and 'answer', got {item!r}")
    return Demonstration(_text(item["description"], where), _text(item["answer"], where))


def _list(value: object, where: str) -> list[object]:
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ArtifactError(f"{where}: expected a list, got {value!r}")


def _text(value: object, where: str) -> str:
    """A YAML scalar as text. Numbers pass (a label may be 7); lists and booleans do not."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ArtifactError(f"{where}: expected text, got {value!r} (put quotes around it)")


def fingerprint(prompt: Prompt) -> str:
    """16 hexadecimal digits of the content; equal prompts have equal fingerprints."""
    text = json.dumps(to_dict(prompt), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
