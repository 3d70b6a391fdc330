"""A structured `Prompt` as plain data for YAML and JSON: the keys, and what each may hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic_core import core_schema

from ..core.errors import ArtifactError
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
from ..io.validation import validated
from ..io.yaml import Section

_CONFIG = ConfigDict(
    frozen=True,
    extra="forbid",
    allow_inf_nan=False,
    coerce_numbers_to_str=True,  # a label may be 7
    title="Prompt",
)


def _question(text: str) -> str:
    placeholder_names(text)
    return text


def _number(value: object) -> object:
    """Anything but true and false, which would be read as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"is {value}: should be a number")
    return value


Offset = Annotated[float, BeforeValidator(_number), Field(ge=-60, le=60)]


class ShownExample(BaseModel):
    """A worked example: the model's description of an image, and the answer."""

    model_config = _CONFIG | {"title": "Demonstration"}

    description: str
    answer: str


class PromptKeys(BaseModel):
    """A prompt in its parts, by key; empty parts are left out."""

    model_config = _CONFIG

    question: Annotated[str, AfterValidator(_question)] = Field(
        description="What the model is asked. {column} stands for an example's text field."
    )
    role: str = Field(default="", description="Who the model is to be.")
    role_channel: RoleChannel = Field(default="system", description="Message that has the role.")
    context: str = Field(default="", description="What the model should know, before all else.")
    label_descriptions: dict[str, str] = Field(default={}, description="What each label means.")
    label_order: tuple[str, ...] = Field(default=(), description="Labels to list, in this order.")
    definition_style: Literal["label_first", "description_first"] = Field(
        default="label_first", description="Order of a label and its description."
    )
    cues: tuple[str, ...] = Field(default=(), description="What to look at.")
    constraints: tuple[str, ...] = Field(default=(), description="What to ignore or avoid.")
    reasoning: Reasoning = Field(default="none", description="What to write before the answer.")
    demonstrations: tuple[ShownExample, ...] = Field(default=(), description="Worked examples.")
    output_format: str = Field(default="", description="How to write the answer.")
    answer_start: str = Field(default="", description="How the model's answer begins.")
    image_position: ImagePosition = Field(
        default="before", description="Position of the images: before or after the text."
    )
    image_tokens: Annotated[int, BeforeValidator(_number), Field(ge=0)] = Field(
        default=0, description="Tokens that each image is scaled to, at most; 0: as it is."
    )
    fields_position: FieldsPosition = Field(
        default="question", description="Position of text fields: in the question or beside it."
    )
    verbalisers: dict[str, tuple[str, ...]] = Field(
        default={}, description="The words that count as each label."
    )
    calibration: dict[str, Offset] = Field(
        default={}, description="What is added to each label's log-probability; never rendered."
    )

    def prompt(self) -> Prompt:
        """The prompt that these keys describe."""
        parts: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        for name, part in _PAIRS.items():
            if name in parts:
                parts[name] = tuple(part(key, value) for key, value in parts[name].items())
        if "demonstrations" in parts:
            shown = parts["demonstrations"]
            parts["demonstrations"] = tuple(Demonstration(d.description, d.answer) for d in shown)
        return Prompt(**parts)


_PAIRS: Mapping[str, Callable[[str, Any], object]] = {
    "label_descriptions": LabelText,
    "verbalisers": Verbaliser,
    "calibration": lambda label, offset: (label, offset),
}
_ADAPTER = TypeAdapter(PromptKeys)


class _AsKeys:
    """Makes pydantic read, write and describe a `Prompt` by its keys."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, read: value if isinstance(value, Prompt) else read(value).prompt(),
            handler.generate_schema(PromptKeys),
            serialization=core_schema.plain_serializer_function_ser_schema(to_dict),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        described: dict[str, Any] = handler(schema["schema"])
        return described


StoredPrompt = Annotated[Prompt, _AsKeys()]
"""A `Prompt` in a pydantic type whose file has the keys."""


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
    return validated(_ADAPTER, Section.of(data, where, ArtifactError)).prompt()


def fingerprint(prompt: Prompt) -> str:
    """16 hexadecimal digits of the content; equal prompts have equal fingerprints."""
    text = json.dumps(to_dict(prompt), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
