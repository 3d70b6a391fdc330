"""Drop a part that may earn nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

DROPPABLE = (
    "demonstrations", "constraints", "cues", "context", "role", "output_format", "label_order",
)  # fmt: skip


class Compression(Strategy):
    """A small model does worse with every needless sentence, and each costs time on the device."""

    name = "compression"
    summary = "drop a part of the prompt"
    source = "prompt compression, arXiv 2310.05736"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return any(getattr(prompt, part) for part in DROPPABLE) or prompt.reasoning != "none"

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        empty = Prompt(question="")
        drafts = [
            Draft(prompt.with_(**{part: getattr(empty, part)}), f"drops the {part}")
            for part in DROPPABLE
            if getattr(prompt, part)
        ]
        if prompt.reasoning != "none":
            drafts.append(Draft(prompt.with_(reasoning="none"), "answers at once"))
        return [draft for draft in drafts if draft.prompt != prompt]
