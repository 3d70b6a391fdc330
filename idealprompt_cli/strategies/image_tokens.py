"""Scale the images to fewer tokens, or to more."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt

FEWER_FROM = 128
"""Tokens from which on an image, and not the text, decides how long an answer takes."""
MORE_UP_TO = 256
"""Tokens up to which an image is worth enlarging."""
LEAST_CHANGE = 0.25
"""The share of the tokens that must go, or come, for a change to matter."""


class ImageTokens(Strategy):
    """Where a model takes images of any size, their size decides both on what it can see and on
    most of its work. Left out for models that make equally many tokens of every image."""

    name = "image_tokens"
    summary = "scale the images to half as many tokens, or twice as many where they are small"
    source = "dynamic resolution, Qwen2-VL, arXiv 2409.12191"
    needs_images = True
    saves = True

    def possible(self, evidence: Evidence) -> bool:
        return any(_limits(Prompt(""), evidence))

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return True

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        before = context.evidence.image_tokens(prompt.image_tokens)
        for limit in _limits(prompt, context.evidence):
            after = context.evidence.image_tokens(limit)
            note = f"scales images to {after:.0f} tokens, from {before:.0f}"
            yield Draft(prompt.with_(image_tokens=limit), note)


def _limits(prompt: Prompt, evidence: Evidence) -> Iterator[int]:
    """Limits that change the tokens of the images enough, the fewest first."""
    now = evidence.image_tokens(prompt.image_tokens)
    half, twice = int(now / 2), int(now * 2)
    if now >= FEWER_FROM and 0 < evidence.image_tokens(half) <= (1 - LEAST_CHANGE) * now:
        yield half
    small = not prompt.image_tokens and 0 < now <= MORE_UP_TO
    if small and evidence.image_tokens(twice) >= (1 + LEAST_CHANGE) * now:
        yield twice
