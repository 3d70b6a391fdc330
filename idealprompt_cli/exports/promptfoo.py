"""A promptfoo configuration for a llama-server on this machine."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..io.yaml import dump
from .base import against_blank, answers, chat, grammar, max_tokens, thinks


class Promptfoo:
    name = "promptfoo"
    summary = "a configuration that asks a llama-server on this machine"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        config: dict[str, Any] = {
            "apiBaseUrl": "http://127.0.0.1:8080/v1",
            "apiKeyRequired": False,
            "temperature": 0,
            "max_tokens": max_tokens(artifact, prompt),
        }
        rules = grammar(artifact, prompt)
        if rules:
            config["passthrough"] = {"grammar": rules, "top_k": 1, "repeat_penalty": 1.0}
            if not thinks(artifact, prompt):
                config["passthrough"] |= against_blank(artifact, prompt)
        pictures = {f"image_{n + 1}": "file://picture.jpg" for n in range(artifact.task.images)}
        word = next(iter(answers(artifact, prompt)), "the answer")
        data = {
            "description": f"{artifact.task.name}, adapted to {artifact.model.name}",
            "prompts": [json.dumps(chat(artifact, prompt), ensure_ascii=False, indent=2)],
            "providers": [{"id": f"openai:chat:{artifact.model.name}", "config": config}],
            "defaultTest": {"assert": [{"type": "equals", "value": "{{expected}}"}]},
            "tests": [{"vars": {**pictures, "expected": word}}],
        }
        words = answers(artifact, prompt).items()
        lines = [f"# {word} = {label}\n" for word, label in words if word != label]
        head = "# One entry of `tests` per picture; `expected` is the answer word.\n"
        return (head + "".join(lines) + dump(data)).rstrip()
