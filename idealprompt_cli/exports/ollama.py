"""An Ollama Modelfile, with how to ask it."""

from __future__ import annotations

import json

from ..artifact import Artifact
from ..core.prompt import Prompt
from .base import key, max_tokens, plain_text, stops


class Ollama:
    name = "ollama"
    summary = "a Modelfile; the question is in its comments, because a Modelfile cannot hold it"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        system, user = plain_text(artifact, prompt)
        words = key(artifact, prompt)
        lines = [
            "# ollama create adapted -f Modelfile",
            f"# ollama run adapted {_shell(user)} ./picture.jpg",
            "# Ollama has no grammar: an answer that is none of the words counts as none.",
            *(f"# {line}" for line in words),
            f"FROM {artifact.model.path or './model.gguf'}",
            f"FROM {artifact.model.mmproj or './mmproj.gguf'}",
            *([f"SYSTEM {json.dumps(system, ensure_ascii=False)}"] if system else []),
            "PARAMETER temperature 0",
            "PARAMETER repeat_penalty 1.0",
            f"PARAMETER num_predict {max_tokens(artifact, prompt)}",
            *(f"PARAMETER stop {json.dumps(stop)}" for stop in stops(artifact, prompt)),
        ]
        return "\n".join(lines)


def _shell(text: str) -> str:
    """One line in single quotes."""
    return "'" + " ".join(text.split()).replace("'", "'\\''") + "'"
