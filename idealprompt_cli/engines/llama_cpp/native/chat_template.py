"""Chat messages to the exact text that a model was trained on, through its own chat template.

Knows the forms of published templates (see `template_form.py`), not tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....core.prompt import Content, FieldText, ImageSlot, Message
from .jinja import JinjaTemplate, Turn
from .template_form import content, find_form
from .template_process import IsolatedTemplate
from .tokenizer import BREAK

SLOT = "\ue0f1"
"""Marks a picture's place in rendered text; removed from all other text."""
_MARK = "\ue0f3"
"""Marks the end of the fields that belong to the prefix (see `Rendered.fields`)."""
BARE = "{{ messages[0]['content'] }}"
"""The template of the crash probe, which has no use for the model's own."""
_RESERVED = {ord(letter): None for letter in (SLOT, _MARK, BREAK)}

Escape = Callable[[str], str]


@dataclass(frozen=True)
class Rendered:
    """A rendered chat: `segments` of text with a picture between each two of them, ending where
    the answer begins. `fields` counts the characters at the start of the last segment that end
    with the example's own text (0: none). `separator` is what the template puts before the answer
    (a space for "Assistant: yes", mostly nothing) and `closing` what follows it."""

    segments: tuple[str, ...]
    fields: int
    separator: str
    closing: str


class ChatTemplate:
    """A model's chat template. Raises `ModelError` if it is not valid Jinja or drops the user's
    text."""

    def __init__(self, source: str, bos: str, eos: str, trusted: bool = True) -> None:
        """One that is not `trusted` is rendered in a process of its own."""
        self._template = (JinjaTemplate if trusted else IsolatedTemplate)(source, bos, eos)
        self.form = find_form(self._template)

    def render(self, messages: Sequence[Message], escape: Escape = str) -> Rendered:
        """Render with the assistant's turn opened. `escape` is applied to every text of the
        messages first. Raises `ModelError` if the template rejects the conversation."""
        n_images = sum(isinstance(part, ImageSlot) for m in messages for part in m.content)
        text, image = "", self.form.image
        if n_images and image:
            text = self._template.render(self._turns(messages, escape, typed=True), opened=True)
            text = text.replace(image, SLOT) if text.count(image) == n_images else ""
        if not text:
            text = self._template.render(self._turns(messages, escape, typed=False), opened=True)
        *before, last = text.split(SLOT)
        fields = last.index(_MARK) if last.count(_MARK) == 1 == text.count(_MARK) else 0
        segments = [segment.replace(_MARK, "") for segment in (*before, last)]
        segments[-1] += self.form.bridge
        return Rendered(tuple(segments), fields, self.form.separator, self.form.closing)

    def _turns(self, messages: Sequence[Message], escape: Escape, typed: bool) -> list[Turn]:
        """The messages as the template takes them; `typed` pictures are parts of their own."""
        mark, image = _last_field(messages), self.form.image
        turns: list[tuple[str, list[str]]] = []
        for index, message in enumerate(messages):
            end = mark[1] if mark and mark[0] == index else -1
            turns.append((message.role, _escaped(message.content, escape, end, image)))
        if not self.form.system:
            turns = _fold_system(turns)
        return [{"role": role, "content": self._content(role, p, typed)} for role, p in turns]

    def _content(self, role: str, parts: list[str], typed: bool) -> Any:
        if role != "user":
            return content("".join(parts), self.form.other_list)
        if not typed:  # in one part, since templates trim the parts
            return content("".join(parts), self.form.user_list)
        return [
            {"type": "image"} if part == SLOT else {"type": "text", "text": part} for part in parts
        ]


@lru_cache(maxsize=8)
def load_template(source: str, bos: str, eos: str, trusted: bool = False) -> ChatTemplate:
    """Compile once per text. Only a template that came with this package is `trusted`."""
    return ChatTemplate(source, bos, eos, trusted or source == BARE)


def _last_field(messages: Sequence[Message]) -> tuple[int, int] | None:
    """(message, part) of the last field that belongs to the prefix, None if there is none.

    A field belongs to it if the prompt's own text before it, back to the last picture, is not
    longer than the fields: else prompts that share that text would compute it for every example.
    Text must follow in the same message, since templates trim a message's end.
    """
    found, own, fields = None, 0, 0
    for index, message in enumerate(messages):
        for place, part in enumerate(message.content):
            if isinstance(part, ImageSlot):
                found, own, fields = None, 0, 0
            elif isinstance(part, FieldText):
                fields += len(part)
                rest = message.content[place + 1 :]
                if own <= fields and any(isinstance(p, str) and p.strip() for p in rest):
                    found = index, place
            else:
                own += len(part)
    return found


def _escaped(content: Content, escape: Escape, end: int, image: str) -> list[str]:
    """The parts of a message with adjacent texts joined before they are escaped, so that no
    control token forms across their border, nor what the template prints for an `image`; a mark
    follows part `end`."""
    parts, text, at = [], "", -1

    def finished() -> str:
        safe = escape(text)
        if image and image in safe:
            safe = safe.replace(image, image[0] + BREAK + image[1:])
        return _marked(safe, at)

    for place, part in enumerate(content):
        if isinstance(part, str):
            text += part.translate(_RESERVED)
            at = len(text) if place == end else at
        else:
            parts += [*([finished()] if text else []), SLOT]
            text, at = "", -1
    return [*parts, finished()] if text else parts


def _marked(text: str, at: int) -> str:
    """`text` with a mark after `at` characters, breaks not counted; unchanged for -1."""
    if at < 0:
        return text
    for index, letter in enumerate(text):
        if not at:
            return text[:index] + _MARK + text[index:]
        at -= letter != BREAK
    return text + _MARK


def _fold_system(turns: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Put the system text at the start of the first user turn, a blank line after it."""
    system = "\n\n".join("".join(parts) for role, parts in turns if role == "system")
    rest = [(role, parts) for role, parts in turns if role != "system"]
    if not system:
        return rest
    for index, (role, parts) in enumerate(rest):
        if role == "user":
            rest[index] = (role, [system + "\n\n", *parts])
            return rest
    return [("user", [system]), *rest]
