"""A state that `dspy.Predict(...).load(...)` reads (checked with DSPy 3.4.1)."""

from __future__ import annotations

import json
import re
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from .base import against_blank, answers, chat, field_names, grammar, max_tokens, plain_text, thinks


class Dspy:
    """DSPy writes its own request around the instructions. The messages that were scored are under
    `idealprompt`, which DSPy ignores; docs/recipes.md shows how to send them unchanged. Text fields
    are inputs of the signature."""

    name = "dspy"
    summary = "a state for dspy.Predict, with its signature and the messages that were scored"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        images = [f"image_{number + 1}" for number in range(artifact.task.images)]
        texts = [re.sub(r"\W", "_", name) for name in field_names(prompt)]
        names = [*images, *texts]
        inputs = [f"{name}: dspy.Image" for name in images] + [f"{name}: str" for name in texts]
        fields = [_field(name) for name in (*names, "answer")]
        state: dict[str, Any] = {
            "traces": [],
            "train": [],
            "demos": [],
            "signature": {"instructions": _instructions(artifact, prompt), "fields": fields},
            "lm": None,
            "metadata": {"dependency_versions": {}},
            "idealprompt": {
                "signature": f"{', '.join(inputs)} -> answer: {_kind(artifact, prompt)}",
                "messages": chat(artifact, prompt),
                "answers": answers(artifact, prompt),
                "llama_server": _limits(artifact, prompt),
            },
        }
        return json.dumps(state, ensure_ascii=False, indent=2)


def _instructions(artifact: Artifact, prompt: Prompt) -> str:
    return "\n".join(text for text in plain_text(artifact, prompt) if text)


def _field(name: str) -> dict[str, str]:
    """A field as DSPy writes it without a description."""
    prefix = name.replace("_", " ").capitalize()
    return {"prefix": f"{prefix}:", "description": f"${{{name}}}"}


def _kind(artifact: Artifact, prompt: Prompt) -> str:
    """The answer's type in a signature: a literal of the words, or text."""
    words = list(answers(artifact, prompt))
    return f"Literal[{', '.join(map(repr, words))}]" if words else "str"


def _limits(artifact: Artifact, prompt: Prompt) -> dict[str, Any]:
    """What restricts a llama-server to the answers."""
    limits: dict[str, Any] = {"max_tokens": max_tokens(artifact, prompt), "top_k": 1}
    rules = grammar(artifact, prompt)
    if rules:
        limits["grammar"] = rules
        limits |= {} if thinks(artifact, prompt) else against_blank(artifact, prompt)
    return limits
