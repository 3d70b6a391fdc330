"""Templates of others run in a process of their own, and cannot take time or memory without end."""

from __future__ import annotations

import os
import time

import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.prompt import Message
from idealprompt_cli.engines.llama_cpp.native import template_process
from idealprompt_cli.engines.llama_cpp.native.chat_template import BARE, ChatTemplate, load_template
from idealprompt_cli.engines.llama_cpp.native.jinja import JinjaTemplate
from idealprompt_cli.engines.llama_cpp.native.template_process import (
    IsolatedTemplate,
    TemplateLimit,
)

from ..support.tiny_models import CHATML, GEMMA

SLOW = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLING = (
    "{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}"
    "{{ n.s }}"
)


@pytest.mark.parametrize("source", [CHATML, GEMMA])
def test_the_same_text_as_in_this_process(source: str) -> None:
    chat = [Message("user", ("A \ud800 \u2028 <é>\n",)), Message("assistant", ("b",))]
    chat.append(Message("user", ("c",)))
    other, own = (ChatTemplate(source, "<s>", "</s>", trusted) for trusted in (False, True))
    assert other.form == own.form
    assert other.render(chat) == own.render(chat)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SLOW, r"does not end within 0\.5 seconds"),
        ("{{ 'x' * 10**9 }}", "too much memory"),
        (DOUBLING, "too much memory"),
        ("{% for i in range(99999) %}{{ 'x' * 100 }}{% endfor %}", "too much text"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "is not valid"),
        ("{{ " + "-" * 20_000 + "1 }}", "is not valid|ends the process"),
        ("{% if %}", "is not valid"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    ],
)
def test_a_hostile_template_is_one_line_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.setattr(template_process, "SECONDS", 0.5 if source == SLOW else 20.0)
    started = time.monotonic()
    with pytest.raises(ModelError, match=message) as caught:
        ChatTemplate(source, "", "", trusted=False)
    assert "\n" not in str(caught.value)
    assert "--chat-template" in str(caught.value)
    assert time.monotonic() - started < 30


def test_a_template_that_ends_its_process_is_named() -> None:
    template = IsolatedTemplate(CHATML, "", "")
    template._process.kill()
    with pytest.raises(TemplateLimit, match="ends the process that renders it"):
        template.rendered([{"role": "user", "content": "x"}], opened=True)


def test_the_process_ends_with_its_template() -> None:
    template = IsolatedTemplate(CHATML, "", "")
    number = template._process.pid
    del template
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_only_templates_of_others_get_a_process() -> None:
    assert isinstance(load_template(CHATML, "", "")._template, IsolatedTemplate)
    assert isinstance(load_template(CHATML, "", "", trusted=True)._template, JinjaTemplate)
    assert isinstance(load_template(BARE, "", "")._template, JinjaTemplate)
