"""Chat templates as Jinja programs, rendered in a sandbox with the environment that Transformers
uses, since templates are written for that. Thinking is switched off by every variable in use."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ....core.errors import ModelError

_TODAY = datetime.datetime(2024, 7, 26)  # fixed: the same request must render the same any day
_NO_THINKING: dict[str, Any] = {
    "enable_thinking": False,
    "thinking": False,
    "thinking_mode": "disabled",
    "thinking_budget": 0,
    "reasoning": False,
}
_EFFORTS = ("none", "no_think", "minimal", "low")
"""Values of `reasoning_effort`; the first that a template names is the least that it knows."""
_NO_TOOLS: dict[str, Any] = {"functions": "[]", "datetime": _TODAY.strftime("%Y-%m-%d")}
"""Variables that some templates for tool use require."""

Turn = dict[str, Any]


class TemplateRejection(Exception):
    """A template called `raise_exception`."""


class _Generation(jinja2.ext.Extension):
    """Ignores the `{% generation %}` tag of training templates."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it so

    def parse(self, parser: jinja2.parser.Parser) -> Any:
        parser.stream.skip(1)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class JinjaTemplate:
    """A compiled template. Raises `ModelError` if it is no valid Jinja."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        try:
            self._template = environment.from_string(source)
        except MemoryError:
            raise
        except Exception as error:  # deep nesting ends the parser or the compiler in many ways
            why = str(error) or type(error).__name__
            raise ModelError(
                f"the model's chat template is not valid ({why}); pass one with --chat-template"
            ) from error
        tokens = {"bos_token": bos, "eos_token": eos}
        self._variables = {**_NO_TOOLS, **_NO_THINKING, **_effort(source), **tokens}

    def render(self, turns: list[Turn], opened: bool, **variables: Any) -> str:
        """The conversation, with the assistant's turn opened at its end or not. Raises `ModelError`
        if the template rejects it."""
        return "".join(self.parts(turns, opened, **variables))

    def parts(self, turns: list[Turn], opened: bool, **variables: Any) -> Iterator[str]:
        """The same piece by piece."""
        try:
            yield from self._template.generate(
                messages=turns,
                add_generation_prompt=opened,
                raise_exception=_raise_exception,
                strftime_now=_TODAY.strftime,
                **{**self._variables, **variables},
            )
        except TemplateRejection as error:
            raise ModelError(f"the chat template rejects this conversation: {error}") from error
        except MemoryError:
            raise
        except Exception as error:  # a template is a program: it may fail in any way
            raise ModelError(
                f"the chat template fails ({type(error).__name__}: {error}); "
                "pass another with --chat-template"
            ) from error

    def rendered(self, turns: list[Turn], opened: bool, **variables: Any) -> str:
        """As `render`, "" where the template rejects the conversation."""
        try:
            return self.render(turns, opened, **variables)
        except ModelError:
            return ""


def _effort(source: str) -> dict[str, str]:
    if "reasoning_effort" not in source:
        return {}
    named = (effort for effort in _EFFORTS if re.search(rf"""(['"]){effort}\1""", source))
    return {"reasoning_effort": next(named, _EFFORTS[-1])}


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRejection(message)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
