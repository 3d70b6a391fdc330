"""Let the model write a description before it answers."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt


class DescribeFirst(Strategy):
    """A small model binds a label to a word more easily than to a look: the description puts the
    words next to the definitions."""

    name = "describe_first"
    summary = "describe the image first, then answer"
    source = "multimodal chain of thought, arXiv 2302.00923"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return prompt.reasoning == "none"

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        return [Draft(prompt.with_(reasoning="describe"), "describes the image first")]
