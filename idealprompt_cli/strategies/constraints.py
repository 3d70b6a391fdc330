"""Say what to leave aside."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

# Ordinary instruction English, fitted to no one model.
CONSTRAINTS = ("Ignore the background.", "Judge only by what is visible.", "Do not explain.")
TEXT_CONSTRAINTS = ("Judge only by what the text says.", "Do not explain.")


class Constraints(Strategy):
    """A negative constraint takes a distractor out of play."""

    name = "constraints"
    summary = "say what to leave aside"
    source = "negative constraints, after EvoPrompt's and GEPA's frequent edits"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return not prompt.constraints

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        texts = CONSTRAINTS if context.task.pictured else TEXT_CONSTRAINTS
        return [Draft(prompt.with_(constraints=(text,)), f'adds "{text}"') for text in texts]
