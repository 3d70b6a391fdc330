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
from ....core.prompt import ImageSlot, Message

SLOT = "\ue0f1"
"""Marks a picture's place in rendered text; removed from all other text."""
_TODAY = datetime.datetime(2024, 7, 26)  # fixed: the same request must render the same any day
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
    the answer begins. `separator` is what the template puts before the answer (a space for
    "Assistant: yes", mostly nothing) and `closing` what follows it."""

    segments: tuple[str, ...]
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
        return Rendered(tuple(text.split(SLOT)), separator, closing)

    def _turns(self, messages: Sequence[Message], escape: Escape) -> list[Turn]:
        turns: list[tuple[str, list[str]]] = []
        for message in messages:
            parts = [
                SLOT if isinstance(part, ImageSlot) else escape(part.replace(SLOT, ""))
                for part in message.content
            ]
            turns.append((message.role, parts))
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
