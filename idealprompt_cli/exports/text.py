"""The prompt as plain text, to read or to paste."""

from __future__ import annotations

from ..artifact import Artifact
from ..core.prompt import ImageSlot, Prompt
from .base import contents, key


class Text:
    name = "text"
    summary = "plain text, to read or to paste"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        lines = []
        for message in contents(artifact, prompt, "{{{name}}}"):
            pieces = ["[image]" if isinstance(p, ImageSlot) else p for p in message.content]
            lines.append(f"{message.role}: {' '.join(pieces)}")
        words = key(artifact, prompt)
        return "\n".join([*lines, *(["", *words] if words else [])])
