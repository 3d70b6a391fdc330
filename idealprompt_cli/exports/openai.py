"""An OpenAI-style chat request, and the label of each answer word."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from .base import answers, chat, max_tokens, stops


def request(artifact: Artifact, prompt: Prompt) -> dict[str, Any]:
    """The body of a chat completion; {{image_1}} is to be replaced by a data: URL."""
    body: dict[str, Any] = {
        "model": artifact.model.name,
        "messages": chat(artifact, prompt),
        "temperature": 0,
        "max_tokens": max_tokens(artifact, prompt),
    }
    stop = stops(artifact, prompt)
    return body | ({"stop": stop} if stop else {})


class OpenAI:
    name = "openai"
    summary = "a chat request, `request`, and the label of each answer word, `answers`"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        data = {"request": request(artifact, prompt), "answers": answers(artifact, prompt)}
        return json.dumps(data, ensure_ascii=False, indent=2)
