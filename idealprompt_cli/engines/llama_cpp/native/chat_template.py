"""Chat messages to the exact text that a model was trained on, through its own chat template.

Knows Jinja and the forms of published templates (no system role, content that must be a string,
an assistant turn that begins with a space), not tokens. Rendered in a sandbox, with
the environment that Transformers uses, since templates are written for that.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ....core.errors import ModelError
from ....core.prompt import Content, FieldText, ImageSlot, Message
from .tokenizer import BREAK

SLOT = "\ue0f1"
"""Marks a picture's place in rendered text; removed from all other text."""
_MARK = "\ue0f3"
"""Marks the end of the fields that belong to the prefix (see `Rendered.fields`)."""
_TODAY = datetime.datetime(2024, 7, 26)  # fixed: the same request must render the same any day
_RESERVED = {ord(letter): None for letter in (SLOT, _MARK, BREAK)}
_SYSTEM, _USER, _ANSWER = "\ue0f2sys\ue0f2", "\ue0f2usr\ue0f2", "\ue0f2ans\ue0f2"

Turn = dict[str, Any]
Escape = Callable[[str], str]


class TemplateRejection(Exception):
    """A template called `raise_exception`."""


class _Generation(jinja2.ext.Extension):
    """Ignores the `{% generation %}` tag of training templates."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it so

    def parse(self, parser: jinja2.parser.Parser) -> Any:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


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
    """A compiled template. Raises `ModelError` if it is no valid Jinja or renders nothing."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise ModelError(
                f"the model's chat template is not valid ({error}); pass one with --chat-template"
            ) from error
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self._as_list = self._takes_lists()
        self._has_system = self._takes_system()

    @property
    def form(self) -> str:
        """What was detected about the template, in words."""
        content = "list content" if self._as_list else "string content"
        system = "system role" if self._has_system else "no system role"
        return f"{content}, {system}"

    def render(self, messages: Sequence[Message], escape: Escape = str) -> Rendered:
        """Render with the assistant's turn opened. `escape` is applied to every text of the
        messages first. Raises `ModelError` if the template rejects the conversation."""
        turns = self._turns(messages, escape)
        text = self._render(turns, opened=True)
        separator, closing = self._around_answer(turns, text)
        *before, last = text.split(SLOT)
        fields = last.index(_MARK) if last.count(_MARK) == 1 == text.count(_MARK) else 0
        segments = tuple(segment.replace(_MARK, "") for segment in (*before, last))
        return Rendered(segments, fields, separator, closing)

    def _turns(self, messages: Sequence[Message], escape: Escape) -> list[Turn]:
        mark = _last_field(messages)
        turns: list[tuple[str, list[str]]] = []
        for index, message in enumerate(messages):
            end = mark[1] if mark and mark[0] == index else -1
            turns.append((message.role, _escaped(message.content, escape, end)))
        if not self._has_system:
            turns = _fold_system(turns)
        return [{"role": role, "content": self._content(parts)} for role, parts in turns]

    def _content(self, parts: list[str]) -> Any:
        text = "".join(parts)  # in one part, since templates trim the parts
        return [{"type": "text", "text": text}] if self._as_list else text

    def _render(self, turns: list[Turn], opened: bool) -> str:
        try:
            return self._template.render(
                messages=turns,
                add_generation_prompt=opened,
                raise_exception=_raise_exception,
                strftime_now=_TODAY.strftime,
                **self._tokens,
            )
        except TemplateRejection as error:
            raise ModelError(f"the chat template rejects this conversation: {error}") from error
        except Exception as error:  # a template is a program: it may fail in any way
            raise ModelError(
                f"the chat template fails ({type(error).__name__}: {error}); "
                "pass another with --chat-template"
            ) from error

    def _around_answer(self, turns: list[Turn], opened: str) -> tuple[str, str]:
        """(separator, closing) of a complete assistant turn."""
        try:
            answer = {"role": "assistant", "content": self._content([_ANSWER])}
            whole = self._render([*turns, answer], opened=False)
        except ModelError:
            return "", ""
        before, found, after = whole.partition(_ANSWER)
        if not found:
            return "", ""
        separator = before[len(opened) :] if before.startswith(opened) else ""
        return (separator if separator.isspace() else ""), after

    def _takes_lists(self) -> bool:
        """Whether content may be a list of parts: not where that fails or prints the list."""
        turn: Turn = {"role": "user", "content": [{"type": "text", "text": _USER}]}
        try:
            text = self._render([turn], opened=True)
        except ModelError:
            text = ""
        if _USER in text and "'type'" not in text and '"type"' not in text:
            return True
        self._probe_string()
        return False

    def _probe_string(self) -> None:
        if _USER not in self._render([{"role": "user", "content": _USER}], opened=True):
            raise ModelError(
                "the chat template drops the user's text; pass another with --chat-template"
            )

    def _takes_system(self) -> bool:
        user: Turn = {"role": "user", "content": self._content([_USER])}
        try:
            system: Turn = {"role": "system", "content": self._content([_SYSTEM])}
            text = self._render([system, user], opened=True)
        except ModelError:
            return False
        return _SYSTEM in text and _USER in text


@lru_cache(maxsize=8)
def load_template(source: str, bos: str, eos: str) -> ChatTemplate:
    """Compile once per text."""
    return ChatTemplate(source, bos, eos)


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


def _escaped(content: Content, escape: Escape, end: int) -> list[str]:
    """The parts of a message with adjacent texts joined before they are escaped, so that no
    control token forms across their border; a mark follows part `end`."""
    parts, text, at = [], "", -1
    for place, part in enumerate(content):
        if isinstance(part, str):
            text += part.translate(_RESERVED)
            at = len(text) if place == end else at
        else:
            parts += [*([_marked(escape(text), at)] if text else []), SLOT]
            text, at = "", -1
    return [*parts, _marked(escape(text), at)] if text else parts


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


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRejection(message)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
