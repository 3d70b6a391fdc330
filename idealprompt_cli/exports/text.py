"""The prompt as plain text, to read or to paste."""

from __future__ import annotations

from ..artifact import Artifact
from ..core.prompt import ImageSlot, Prompt
from ..prompts.rendering import render
from .base import key


class Text:
    name = "text"
    summary = "plain text, to read or to paste"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        lines = []
        for message in render(prompt, artifact.labels, artifact.task.images):
            pieces = ["[image]" if isinstance(p, ImageSlot) else p for p in message.content]
            lines.append(f"{message.role}: {' '.join(pieces)}")
        words = key(artifact, prompt)
        return "\n".join([*lines, *(["", *words] if words else [])])
