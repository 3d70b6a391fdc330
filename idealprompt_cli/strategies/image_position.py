"""Put the image after the text, or before it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt


class ImagePosition(Strategy):
    """In a causal model the image tokens attend only to the tokens before them: with the text
    first, the image is read in the light of the question."""

    name = "image_position"
    summary = "move the image to the other side of the text"
    source = "modality order, arXiv 2410.03062"
    needs_images = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return True

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        other = "after" if prompt.image_position == "before" else "before"
        return [Draft(prompt.with_(image_position=other), f"puts the image {other} the text")]
