"""Any number of a task's labels: each is decided in place, as on a checklist."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence

from ..core.answer_schema import AnswerSchema
from .base import ONE_LINE, gbnf_literal

NONE = "none"
_ITEM = re.compile(
    r"\s*(?P<label>.*?)(?:\s*[:=]\s*|\s+)(?P<tick>yes|no|true|false)[.\s]*", re.I | re.S
)


class Labels:
    """Written as "red: yes, striped: no", with a grammar that leaves the model the yes and no."""

    name = "labels"
    summary = "several labels at once, or none"

    def gold(self, text: str, schema: AnswerSchema) -> str:
        return (
            join(named(text), schema.options) if schema.options else join(named(text), named(text))
        )

    def read(self, text: str, schema: AnswerSchema) -> str:
        """The labels that were ticked; of a text that ticks nothing off, those that it names."""
        items = [found for part in re.split(r"[,;\n]", text) if (found := _ITEM.fullmatch(part))]
        if not items:
            return join(_mentioned(text, schema.options), schema.options)
        yes = {one["label"].lower() for one in items if one["tick"].lower() in ("yes", "true")}
        return join([label for label in schema.options if label.lower() in yes], schema.options)

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        del schema
        return ONE_LINE

    def grammar(self, schema: AnswerSchema) -> str | None:
        ticks = ' ", " '.join(f'{gbnf_literal(label)} ":"? " " tick' for label in schema.options)
        return f'root ::= " "? {ticks}\ntick ::= "yes" | "no"'

    def longest(self, schema: AnswerSchema) -> int:
        return 16 + sum(len(label) + 4 for label in schema.options)


def named(text: str) -> list[str]:
    """The labels in a cell: a JSON list, or names with ; | or , between them."""
    if text.strip().startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise ValueError('is no list of labels: write ["red", "striped"], or red; striped')
        return [one.strip() for one in found]
    parts = [part.strip() for part in re.split(r"[;|,]", text) if part.strip()]
    return [] if [part.lower() for part in parts] == [NONE] else parts


def join(labels: Collection[str], options: Sequence[str]) -> str:
    """Labels as one text, in the order of the options. Raises ValueError for others."""
    for label in labels:
        if label not in options:
            raise ValueError(f"{label!r} is none of the labels {', '.join(options)}")
    return ", ".join(option for option in dict.fromkeys(options) if option in labels) or NONE


def split(text: str) -> frozenset[str]:
    """The labels of a text that `join` made."""
    return frozenset(part for part in text.split(", ") if part and part != NONE)


def _mentioned(text: str, options: Sequence[str]) -> list[str]:
    """The labels that occur in a text as separate words, not as part of a longer label."""
    found = []
    for label in sorted(options, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(label)}(?!\w)", re.IGNORECASE)
        text, count = pattern.subn("\n", text)
        found += [label] * bool(count)
    return found
