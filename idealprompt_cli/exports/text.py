"""The prompt as plain text, to read or to paste."""

from __future__ import annotations

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..prompts.rendering import readable
from .base import contents, key


class Text:
    name = "text"
    summary = "plain text, to read or to paste"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        messages = contents(artifact, prompt, "{{{name}}}")
        lines = [f"{message.role}: {readable(message)}" for message in messages]
        words = key(artifact, prompt)
        return "\n".join([*lines, *(["", *words] if words else [])])
