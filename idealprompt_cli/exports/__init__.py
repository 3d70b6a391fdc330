"""A prompt in the formats of other tools, by name. A new one: one file here and one line below.

Each turns an `Artifact` and one of its prompts into text. What they share (messages, answer words,
grammar) is in `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..artifact import Artifact
from ..core.committee import Asked
from ..core.errors import UsageError
from ..core.prompt import Prompt
from ..io.plugins import member
from .base import Approximate, CommitteeExport, Export
from .dspy import Dspy
from .gbnf import Gbnf
from .llama_server import LlamaServer
from .ollama import Ollama
from .openai import OpenAI
from .promptfoo import Promptfoo
from .python import Python
from .text import Text

EXPORTS: Mapping[str, Export] = {
    "openai": OpenAI(),
    "llama-server": LlamaServer(),
    "ollama": Ollama(),
    "gbnf": Gbnf(),
    "promptfoo": Promptfoo(),
    "dspy": Dspy(),
    "text": Text(),
    "python": Python(),
}

SIZELESS = ("text", "gbnf")
"""Formats that do not ask about images themselves."""

__all__ = ["EXPORTS", "Approximate", "CommitteeExport", "Export", "get", "rendered"]


def get(name: str) -> Export:
    """The export of that name, or a plugin's. Raises `UsageError` naming the nearest for any
    other."""
    return member("exports", EXPORTS, name)


def rendered(target: Export, artifact: Artifact, asked: Asked) -> str:
    """A prompt or a committee in that format. Raises `UsageError` for a committee, and for a size
    of images, where the format cannot carry it."""
    if isinstance(asked, Prompt):
        if asked.image_tokens and target.name not in SIZELESS:
            raise UsageError(
                f"--to {target.name}: cannot scale images to {asked.image_tokens} tokens: remove "
                "image_tokens from the prompt, and scale the images or limit the server's tokens"
            )
        return target.render(artifact, asked)
    if isinstance(target, CommitteeExport):
        return target.render_committee(artifact, asked)
    raise UsageError(
        f"--to {target.name}: cannot carry a committee, whose answers are added up: use --to "
        "python, or --use winner for the single prompt"
    )
