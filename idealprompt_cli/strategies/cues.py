"""Say what to look at."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

# Ordinary instruction English, fitted to no one model.
CUES = (
    "Look carefully at the image.",
    "Focus on the main object.",
    "Pay attention to small details.",
    "Consider the color, shape and texture.",
)
TEXT_CUES = (
    "Read the text carefully.",
    "Focus on what the writer wants.",
    "Pay attention to small details.",
)


class Cues(Strategy):
    """One sentence that draws attention to a part of the image or an attribute of it."""

    name = "cues"
    summary = "say what to look at"
    source = "directional stimulus prompting, arXiv 2302.11520"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(prompt.cues) < 2

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        return [
            Draft(prompt.with_(cues=(*prompt.cues, cue)), f'adds "{cue}"')
            for cue in (CUES if context.task.pictured else TEXT_CUES)
            if cue not in prompt.cues
        ][:3]
