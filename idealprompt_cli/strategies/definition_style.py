"""Write definitions the other way round: "striped = K7" instead of "K7: striped"."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt


class DefinitionStyle(Strategy):
    """A model that looks a label up reads on from the word that it sees, so the label is found more
    easily after its description."""

    name = "definition_style"
    summary = "put the description before the label, or the label before the description"
    source = "own measurement: the order of key and value matters for in-context lookup"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return bool(prompt.label_descriptions)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        other = "label_first" if prompt.definition_style != "label_first" else "description_first"
        note = f"writes definitions {other.replace('_', ' ')}"
        return [Draft(prompt.with_(definition_style=other), note)]
