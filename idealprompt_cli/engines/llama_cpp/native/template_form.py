"""The form of a chat template, found by rendering short conversations with it: what content each
role takes, what a picture looks like, and what must follow the opened turn before an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ....core.errors import ModelError
from .jinja import JinjaTemplate, Turn
from .template_process import IsolatedTemplate

Template = JinjaTemplate | IsolatedTemplate

_SYSTEM, _USER, _ANSWER = "\ue0f2sys\ue0f2", "\ue0f2usr\ue0f2", "\ue0f2ans\ue0f2"
_THOUGHT, _MORE = "\ue0f2tht\ue0f2", "\ue0f2mor\ue0f2"
_OPENING = re.compile(
    r"<(?P<tag>(?!\|END)[^<>/]*(?:think|thought|reasoning)[^<>/]*)>|\[(?P<mark>THINK)\]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TemplateForm:
    """`user_list`: the user's content is a list of typed parts, else a string; `other_list`: that
    of the other roles. `system`: the template has a system role. `image` is what it prints for a
    picture, "" where pictures must be marked in the text. `bridge` follows the opened turn: it
    closes a thought, or names the channel of the answer. `separator` and `closing` are the text
    before and after an answer; `thinking`: the template is made for models that think first."""

    user_list: bool
    other_list: bool
    system: bool
    image: str
    bridge: str
    separator: str
    closing: str
    thinking: bool

    def summary(self) -> str:
        """One line for the user."""
        content = "list content" if self.user_list else "string content"
        system = "system role" if self.system else "no system role"
        images = ", images as parts" if self.image else ""
        return f"{content}, {system}{images}{', thinking off' if self.thinking else ''}"


def content(text: str, as_list: bool) -> Any:
    """The content of a message without pictures."""
    return [{"type": "text", "text": text}] if as_list else text


def find_form(template: Template) -> TemplateForm:
    """The form of a template. Raises `ModelError` if it drops the user's text."""
    image = _image(template)
    user_list = bool(image) or not _shows(template, [_turn("user", _USER, False)], _USER)
    user = _turn("user", _USER, user_list)
    if not _shows(template, [user], _USER):
        template.render([user], opened=True)  # says why, where it fails
        raise ModelError(
            "the chat template drops the user's text; pass another with --chat-template"
        )
    finished = [user, _turn("assistant", _ANSWER, False)]
    other_list = not _shows(template, finished, _ANSWER) and _shows(
        template, [user, _turn("assistant", _ANSWER, True)], _ANSWER
    )
    systems = [_turn("system", _SYSTEM, as_list) for as_list in (False, True)]
    accepted = [_shows(template, [turn, user], _SYSTEM, _USER) for turn in systems]
    if accepted[1] and not accepted[0]:
        other_list = True
    bridge, separator, closing, thinking = _answer_form(template, user, other_list)
    return TemplateForm(
        user_list, other_list, any(accepted), image, bridge, separator, closing, thinking
    )


def _turn(role: str, text: str, as_list: bool, **more: str) -> Turn:
    return {"role": role, "content": content(text, as_list), **more}


def _shows(template: Template, turns: list[Turn], *texts: str) -> bool:
    """Whether the rendered conversation has each text once, and no printed list."""
    rendered = template.rendered(turns, opened=turns[-1]["role"] == "user")
    return all(rendered.count(text) == 1 and not _printed(rendered, text) for text in texts)


def _printed(rendered: str, text: str) -> bool:
    """Whether a list of parts was printed as such, as Python or as JSON."""
    return f"'text': '{text}" in rendered or f'"text": "{text}' in rendered


def _image(template: Template) -> str:
    """What the template prints for a picture between two texts, "" where it does not take typed
    parts in their order."""
    parts = [{"type": "text", "text": _USER}, {"type": "image"}, {"type": "text", "text": _MORE}]
    text = template.rendered([{"role": "user", "content": parts}], opened=True)
    if text.count(_USER) != 1 or text.count(_MORE) != 1 or _printed(text, _USER):
        return ""
    return text[text.index(_USER) + len(_USER) : max(0, text.index(_MORE))].strip()


def _answer_form(template: Template, user: Turn, other_list: bool) -> tuple[str, str, str, bool]:
    """(bridge, separator, closing, thinking) of the assistant's turn."""
    opened = template.render([user], opened=True)
    finished = template.rendered([user, _turn("assistant", _ANSWER, other_list)], opened=False)
    before, _, closing = finished.partition(_ANSWER)
    end = opened[opened.rindex(_USER) :]
    closed = _close_thought(template, user, other_list, opened)
    if closed:
        return closed, "", closing, True
    thinking = bool(_OPENING.search(end)) or _thinks(template, user, end)
    between = before[len(opened) :] if before.startswith(opened) else ""
    if between.isspace():
        return "", between, closing, thinking
    bridge = between.rstrip(" ")  # a blank before an answer is tokenised with it
    return bridge, between[len(bridge) :], closing, thinking or bool(_OPENING.search(between))


def _thinks(template: Template, user: Turn, end: str) -> bool:
    """Whether the opened turn differs with thinking switched on."""
    on = template.rendered([user], True, enable_thinking=True, thinking=True, reasoning=True)
    return _USER in on and on[on.rindex(_USER) :] != end


def _close_thought(template: Template, user: Turn, other_list: bool, opened: str) -> str:
    """What closes the thought that the opened turn ends in, "" where it ends in none. The
    template's own form of a turn with a thought shows both, else the tag that was opened."""
    thoughts = dict.fromkeys(("reasoning_content", "reasoning", "thinking"), _THOUGHT)
    turn = _turn("assistant", _ANSWER, other_list, **thoughts)
    on = {"add_thoughts": True}
    for variables in (on, {**on, "enable_thinking": True, "thinking": True, "reasoning": True}):
        text = template.rendered([user, turn], opened=False, **variables)
        before, _, rest = text.partition(_THOUGHT)
        close, found, _ = rest.partition(_ANSWER)
        if found and close.strip():
            start = before.rstrip()
            if opened.startswith(start):
                done = _overlap(opened[len(start) :], close)
                return close[done:]
    end = opened[opened.rindex(_USER) :]
    tags = list(_OPENING.finditer(end))
    if not tags:
        return ""
    last = tags[-1]
    close = "[/THINK]" if last["mark"] else f"</{last['tag']}>"
    close = close.replace("</|START_", "<|END_")
    rest = end[last.end() :]
    if rest.strip():
        return ""  # something follows it: it is closed
    return f"\n{close}\n\n" if rest.endswith("\n") else close


def _overlap(opened: str, close: str) -> int:
    """How many characters of `close` the end of `opened` has already, blanks alone not counted."""
    lengths = (n for n in range(min(len(close), len(opened)), 0, -1) if opened.endswith(close[:n]))
    longest = next(lengths, 0)
    if close.strip() in opened:
        return len(close)
    return longest if close[:longest].strip() else 0
