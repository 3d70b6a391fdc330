"""A prompt in the formats of other tools, by name. A new one: one file here and one line below.

Each turns an `Artifact` and one of its prompts into text. What they share (messages, answer words,
grammar) is in `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..io.plugins import member
from .base import Export
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

__all__ = ["EXPORTS", "Export", "get"]


def get(name: str) -> Export:
    """The export of that name, or a plugin's. Raises `UsageError` naming the nearest for any
    other."""
    return member("exports", EXPORTS, name)
