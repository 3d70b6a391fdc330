"""Give the model a role, as a system turn or in the user's."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

# Ordinary instruction English, fitted to no one model.
ROLES = ("You are a helpful visual assistant.", "You are an expert in image classification.")
TEXT_ROLES = ("You are a helpful assistant.", "You are an expert in text classification.")


class Role(Strategy):
    """A role sets the tone of the answer; a small model also reacts to a system turn as such."""

    name = "role"
    summary = "give the model a role"
    source = "role prompting, arXiv 2308.07702"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return True

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        if prompt.role:
            channel = "user" if prompt.role_channel == "system" else "system"
            moved = prompt.with_(role_channel=channel)
            return [Draft(moved, f"moves the role to the {channel} turn")]
        roles = ROLES if context.task.pictured else TEXT_ROLES
        return [Draft(prompt.with_(role=role), f'gives the role "{role}"') for role in roles]
