"""Values that the artifact's file writes in a form of their own, as pydantic types.

Each type validates the file's form, serialises to it and states its JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from ..answers import parse_field
from ..core.answer_schema import Field
from ..core.prompt import ImageSlot, Message


def _read_messages(value: object) -> object:
    """Pieces `{text: ...}` and `{image: 1}` (with `tokens` where those are limited) as text and
    `ImageSlot`; anything else is left for the type's own check to report."""
    if not isinstance(value, list):
        return value
    return [
        {**message, "content": [_read_piece(piece) for piece in message["content"]]}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for message in value
    ]


def _read_piece(piece: object) -> object:
    if isinstance(piece, dict) and set(piece) in ({"image"}, {"image", "tokens"}):
        return {key: value for key, value in piece.items() if key == "tokens"}
    return piece["text"] if isinstance(piece, dict) and set(piece) == {"text"} else piece


def messages_data(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages with their content in reading order; pictures are counted from 1, with the most
    tokens that they may take, where that is limited."""
    number = 0
    found = []
    for message in messages:
        content: list[dict[str, Any]] = []
        for piece in message.content:
            if isinstance(piece, ImageSlot):
                number += 1
                limit = {"tokens": piece.tokens} if piece.tokens else {}
                content.append({"image": number, **limit})
            else:
                content.append({"text": str(piece)})
        found.append({"role": message.role, "content": content})
    return found


def _messages_schema() -> dict[str, Any]:
    def record(**properties: object) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": list(properties),
            "properties": properties,
        }

    image = record(image={"type": "integer"})
    limited = record(image={"type": "integer"}, tokens={"type": "integer"})
    piece = {"anyOf": [record(text={"type": "string"}), image, limited]}
    role = {"enum": list(get_args(get_type_hints(Message)["role"]))}
    return {
        "type": "array",
        "items": record(role=role, content={"type": "array", "items": piece}),
    }


def _check_fields(declared: dict[str, FieldKind]) -> dict[str, FieldKind]:
    parsed_fields(declared)
    return declared


def parsed_fields(declared: Mapping[str, FieldKind]) -> tuple[Field, ...]:
    """The declared fields of a JSON answer. Raises ValueError."""
    found = []
    for name, kind in declared.items():
        try:
            found.append(parse_field(name, kind))
        except ValueError as problem:
            raise ValueError(f"{name} {problem}") from None
    return tuple(found)


Messages = Annotated[
    tuple[Message, ...],
    BeforeValidator(_read_messages),
    PlainSerializer(messages_data),
    WithJsonSchema(_messages_schema()),
]
FieldKind = str | list[str]
FieldDeclarations = Annotated[dict[str, FieldKind], AfterValidator(_check_fields)]
