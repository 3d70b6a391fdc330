"""A prompt in the forms of other tools, by name. A new one: one file here and one line below.

Each turns an `Artifact` and one of its prompts into text, and knows nothing else. What all of them
have in common (messages, answer words, grammar) is made in `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import UsageError
from ..core.nearest import did_you_mean
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
    """The export of that name. Raises `UsageError` naming the nearest for any other."""
    if name not in EXPORTS:
        hint, known = did_you_mean(name, EXPORTS), f"known: {', '.join(EXPORTS)}"
        raise UsageError(f"--to {name}: unknown form: {hint}{'' if hint == known else f' {known}'}")
    return EXPORTS[name]
