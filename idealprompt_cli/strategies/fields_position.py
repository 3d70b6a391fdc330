"""Put the text fields before the instruction, after it, or where the question has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from ..core import prompt as parts
from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.placeholders import placeholder_names
from ..core.prompt import Prompt


class FieldsPosition(Strategy):
    """A causal model reads what comes first without knowing what comes after. Fields before the
    instruction also belong to the cached prefix, and are paid once for each example."""

    name = "fields_position"
    summary = "put the text fields before or after the instruction"
    source = "input order, arXiv 2410.03062; prefix caching"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return bool(placeholder_names(prompt.question))

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        others = [one for one in get_args(parts.FieldsPosition) if one != prompt.fields_position]
        return [
            Draft(prompt.with_(fields_position=other), f"puts the fields {_WHERE[other]}")
            for other in others
        ]


_WHERE = {
    "before": "before the instruction",
    "after": "after the instruction",
    "question": "where the question has them",
}
