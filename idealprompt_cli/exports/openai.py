"""An OpenAI-style chat request, and the label of each answer word."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..engines.http.chat_protocol import response_format
from .base import answers, chat, json_answer, json_caveat, max_tokens, stops

SCHEMA_TOKENS = 24
"""Room for the braces, keys and quotes of a JSON answer."""


def request(artifact: Artifact, prompt: Prompt) -> dict[str, Any]:
    """The body of a chat completion; {{image_1}} stands for a data: URL, {{NAME}} for a field."""
    body: dict[str, Any] = {
        "model": artifact.model.name,
        "messages": chat(artifact, prompt),
        "temperature": 0,
        "max_tokens": max_tokens(artifact, prompt),
    }
    stop = stops(artifact, prompt)
    return body | ({"stop": stop} if stop else {})


class OpenAI:
    """`response_format` restricts the reply to {"answer": WORD}, with a "thought" before it where
    the prompt asks for one."""

    name = "openai"
    summary = "a chat request with a JSON schema of the answer, and the label of each answer word"

    def caveat(self, artifact: Artifact) -> str:
        return json_caveat(artifact)

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        body = request(artifact, prompt)
        schema = json_answer(artifact, prompt)
        if schema is not None:
            body.pop("stop", None)
            body |= {"max_tokens": body["max_tokens"] + SCHEMA_TOKENS, **response_format(schema)}
        data = {"request": body, "answers": answers(artifact, prompt)}
        return json.dumps(data, ensure_ascii=False, indent=2)
