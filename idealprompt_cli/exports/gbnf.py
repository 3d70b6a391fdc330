"""The grammar alone, for whatever runs on llama.cpp."""

from __future__ import annotations

from ..artifact import Artifact
from ..core.errors import UsageError
from ..core.prompt import Prompt
from .base import grammar


class Gbnf:
    name = "gbnf"
    summary = "the grammar that allows only the answer words"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        """Raises UsageError for free text, which has no such grammar."""
        rules = grammar(artifact, prompt)
        if not rules:
            raise UsageError("--to gbnf: this prompt asks for free text, which no grammar limits")
        return rules
