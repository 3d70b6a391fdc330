"""How the model writes each kind of free answer, and how that is read (layer 1).

One file per kind; a single label is not among them, because it is scored and not written. Texts
are in one form everywhere: what `gold` makes of a table's cell and `read` of a reply can be
compared letter by letter. A new kind: one file here and one line below.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.answer_schema import AnswerKind, AnswerSchema
from .base import Kind
from .box import Box, parse_box
from .compare import normalised, object_of, same
from .fields import infer, parse_field, plain_field
from .json import Json
from .labels import Labels, join, split
from .number import Number, parse_number
from .text import Text

KINDS: Mapping[AnswerKind, Kind] = {
    "text": Text(),
    "number": Number(),
    "json": Json(),
    "labels": Labels(),
    "box": Box(),
}

__all__ = [
    "KINDS",
    "Kind",
    "infer",
    "join",
    "longest",
    "normalised",
    "object_of",
    "parse_box",
    "parse_field",
    "parse_number",
    "plain_field",
    "same",
    "split",
]


def longest(kind: AnswerKind, schema: AnswerSchema) -> int:
    """Tokens that an answer may take."""
    return schema.max_tokens or KINDS[kind].longest(schema)
