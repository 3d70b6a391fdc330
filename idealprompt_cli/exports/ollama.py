"""A Modelfile and a request for Ollama's /api/chat."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact
from ..core.prompt import ImageSlot, Prompt
from .base import answers, contents, json_answer, json_caveat, max_tokens, stops
from .openai import SCHEMA_TOKENS

MODEL = "adapted"


class Ollama:
    """The request carries the whole prompt, and a JSON schema that restricts the reply: Ollama has
    no grammars, and a Modelfile cannot hold a question. {{image_1}} stands for base64."""

    name = "ollama"
    summary = "a Modelfile and a ready request with a JSON schema of the answer"

    def caveat(self, artifact: Artifact) -> str:
        return json_caveat(artifact)

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        schema = json_answer(artifact, prompt)
        options: dict[str, Any] = {
            "temperature": 0,
            "repeat_penalty": 1.0,
            "num_ctx": artifact.model.n_ctx or 4096,
            "num_predict": max_tokens(artifact, prompt) + (SCHEMA_TOKENS if schema else 0),
        }
        stop = stops(artifact, prompt)
        if stop and schema is None:
            options["stop"] = stop
        request: dict[str, Any] = {
            "model": MODEL,
            "messages": _messages(artifact, prompt),
            "stream": False,
            "think": False,
            "options": options,
            **({"format": schema} if schema else {}),
        }
        data = {
            "usage": "jq -r .modelfile THIS.json > Modelfile; ollama create adapted -f Modelfile; "
            "jq .request THIS.json, filled in, is the body for http://127.0.0.1:11434/api/chat",
            "modelfile": _modelfile(artifact),
            "request": request,
            "answers": answers(artifact, prompt),
        }
        return json.dumps(data, ensure_ascii=False, indent=2)


def _modelfile(artifact: Artifact) -> str:
    files = [artifact.model.path or "model.gguf"]
    if artifact.task.images:
        files.append(artifact.model.mmproj or "mmproj.gguf")
    lines = [f"FROM {name if '/' in name else f'./{name}'}" for name in files]
    return "\n".join([*lines, "PARAMETER temperature 0", "PARAMETER repeat_penalty 1.0", ""])


def _messages(artifact: Artifact, prompt: Prompt) -> list[dict[str, Any]]:
    """Ollama's messages: text in one piece, images beside it."""
    number = 0
    found = []
    for message in contents(artifact, prompt):
        texts = [piece for piece in message.content if isinstance(piece, str)]
        entry: dict[str, Any] = {"role": message.role, "content": " ".join(texts)}
        pictures = sum(isinstance(piece, ImageSlot) for piece in message.content)
        if pictures:
            entry["images"] = [f"{{{{image_{number + n + 1}}}}}" for n in range(pictures)]
            number += pictures
        found.append(entry)
    return found
