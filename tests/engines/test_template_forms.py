"""Forms of published chat templates, in small templates of our own, and in all of llama.cpp's:
`.ci/setup` keeps them beside the library that it compiles. Where a wheel was installed that has
none, `IDEALPROMPT_TEMPLATES` may name their folder (`models/templates` of llama.cpp's sources)."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from idealprompt_cli.core.prompt import FieldText, ImageSlot, Message
from idealprompt_cli.engines.llama_cpp.native.chat_template import ChatTemplate
from idealprompt_cli.engines.llama_cpp.native.tokenizer import BREAK

SYSTEM = Message("system", ("Be brief.",))
USER = Message("user", (ImageSlot(), "What is it?"))
TEXT = Message("user", ("What is it?",))
TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}"
PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}<img>{% else %}{{ p.text }}{% endif %}"
    "{% endfor %}{% endif %}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
THINKING = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}</s>\n{% endfor %}"
)


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, "<s>", "</s>")


def ending(source: str) -> str:
    """What follows the user's text, up to where the answer begins."""
    chat = template(source).render([SYSTEM, TEXT])
    return chat.segments[-1].partition("What is it?</s>\n")[2] + chat.separator


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        ("<assistant>", "<assistant>"),
        ("<assistant><think>\n", "<assistant><think>\n\n</think>\n\n"),
        (
            "<assistant><think>{% if not enable_thinking %}</think>{% endif %}",
            "<assistant><think></think>",
        ),
        (
            "<assistant>{% if enable_thinking is defined and enable_thinking is false %}"
            "<think>\n\n</think>\n\n{% endif %}",
            "<assistant><think>\n\n</think>\n\n",
        ),
        ("<assistant>{% if thinking %}<think>{% else %}</think>{% endif %}", "<assistant></think>"),
    ],
)
def test_a_thought_is_switched_off_or_closed(opened: str, expected: str) -> None:
    source = THINKING + "{% if add_generation_prompt %}" + opened + "{% endif %}"
    assert ending(source) == expected
    thinks = "think" in opened
    assert template(source).form.summary().endswith(", thinking off") == thinks


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<|START_THINKING|>", "<|START_THINKING|><|END_THINKING|>"),
        ("<seed:think>", "<seed:think></seed:think>"),
        ("[THINK]", "[THINK][/THINK]"),
        ("<think></think>", "<think></think>"),
        ("<|START_THINKING|><|END_THINKING|>", "<|START_THINKING|><|END_THINKING|>"),
    ],
)
def test_a_thought_that_no_variable_switches_off_is_closed(opened: str, expected: str) -> None:
    source = TURNS + "{% if add_generation_prompt %}<assistant>" + opened + "{% endif %}"
    assert ending(source) == f"<assistant>{expected}"


def test_a_thought_is_closed_in_the_template_s_own_words() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}<assistant>"
        "{% if m.reasoning_content %}My steps: {{ m.reasoning_content }}\n[FINAL]\n{% endif %}"
        "{{ m.content }}</s>\n{% else %}<{{ m.role }}>{{ m.content }}</s>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>My steps: {% endif %}"
    )
    assert ending(source) == "<assistant>My steps: \n[FINAL]\n"


def test_the_least_effort_that_a_template_knows_is_chosen() -> None:
    source = (
        "{% if reasoning_effort not in ('low', 'high') %}{{ raise_exception('effort') }}{% endif %}"
        + TURNS
        + "<assistant effort={{ reasoning_effort }}>"
    )
    assert ending(source) == "<assistant effort=low>"


def test_the_channel_of_the_answer_belongs_to_the_opened_turn() -> None:
    source = (
        "{% for m in messages %}<{{ m.role }}>"
        "{% if m.role == 'assistant' %}<|channel|>final<|message|>{% endif %}{{ m.content }}</s>\n"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert ending(source) == "<assistant><|channel|>final<|message|>"


def test_a_picture_is_a_part_where_the_template_prints_one() -> None:
    chat = template(PARTS).render([SYSTEM, USER])
    assert chat.segments == ("<system>Be brief.</s>\n<user>", "What is it?</s>\n<assistant>")
    both = template(PARTS).render([Message("user", ("Look: ", ImageSlot(), ImageSlot(), "!"))])
    assert both.segments == ("<user>Look: ", "", "!</s>\n<assistant>")
    assert template(PARTS).form.summary() == "list content, system role, images as parts"


def test_no_space_stands_before_a_picture_that_comes_first() -> None:
    source = (
        "{% for m in messages %}{{ m.role | capitalize }}"
        "{% if m.content[0].type == 'image' %}:{% else %}: {% endif %}"
        "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}"
        "{% endfor %}<end>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    )
    chat = template(source).render([SYSTEM, USER])
    assert chat.segments == ("System: Be brief.<end>\nUser:", "What is it?<end>\nAssistant:")
    assert template(source).render([TEXT]).segments[0].startswith("User: What")
    assert chat.separator == " "


def test_a_user_cannot_write_a_picture() -> None:
    chat = template(PARTS).render([Message("user", (ImageSlot(), "an <img> tag <im", "g>"))])
    assert len(chat.segments) == 2
    assert chat.segments[1].replace(BREAK, "").startswith("an <img> tag <img>")
    assert "<img>" not in chat.segments[1]


def test_a_system_turn_that_must_be_a_string_is_kept_beside_typed_parts() -> None:
    source = (
        "{% if messages[0].role == 'system' %}<system>{{ messages[0].content | trim }}</s>\n"
        "{% set messages = messages[1:] %}{% endif %}" + PARTS
    )
    chat = template(source).render([SYSTEM, USER])
    assert chat.segments[0] == "<system>Be brief.</s>\n<user>"
    assert template(source).form.system


def test_pictures_that_a_template_moves_are_marked_in_the_text() -> None:
    source = (
        "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for p in m.content if p.type == 'image' %}<img>{% endfor %}"
        "{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}{% endif %}</s>\n"
        "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    chat = template(source).render([Message("user", ("Look: ", ImageSlot()))])
    assert chat.segments == ("<user>Look: ", "</s>\n<assistant>")


LIBRARY = importlib.util.find_spec("llama_cpp")
BESIDE = Path(LIBRARY.origin).parent / "templates" if LIBRARY and LIBRARY.origin else Path()
FILES = sorted(Path(os.environ.get("IDEALPROMPT_TEMPLATES") or BESIDE).glob("*.jinja"))
COUNT = 70
"""Templates in the sources of the version in `constraints.txt`."""
OPEN = re.compile(r"<(?!/|\|END)[^<>/]*(think|thought)[^<>/]*>|\[THINK\]|reasoning steps:", re.I)


@pytest.mark.skipif(not FILES, reason="this build of llama-cpp-python has no templates beside it")
def test_all_published_templates_are_tested() -> None:
    assert len(FILES) >= COUNT


@pytest.mark.skipif(not FILES, reason="this build of llama-cpp-python has no templates beside it")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_templates(path: Path) -> None:
    """Text and picture once, roles kept, no open thought, and nothing but the template's own after
    the user's text."""
    found = template(path.read_text(encoding="utf-8"))
    question = "What is it, then?"
    user = Message("user", (ImageSlot(), FieldText("Field"), question))
    chat = found.render([SYSTEM, user])
    before, after = chat.segments
    assert before.count("Be brief.") == 1
    assert after.count("FieldWhat is it, then?") == 1
    assert after[: chat.fields].endswith("Field")
    assert found.form.system or "gemma-2" in path.name, "only Gemma 2 has no system role"
    end = after.partition(question)[2]
    opened = [match.end() for match in OPEN.finditer(end)]
    assert not opened or end[opened[-1] :].strip(), "something closes the thought"
    assert "think" not in chat.separator
    text = found.render([TEXT]).segments
    assert len(text) == 1
    assert text[0].count("What is it?") == 1
