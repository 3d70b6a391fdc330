"""Questions with placeholders for an example's text fields: rephrased without losing a field."""

from __future__ import annotations

import re

from ..core.placeholders import escape, placeholder_names
from ..core.prompt import Prompt

_MARK = re.compile(r"(?<!\{)\{([^{}\n]+)\}(?!\})")
_ASKS = re.compile(
    r"\s*(?:what|which|who|whose|where|when|why|how|is|are|does|do|can)\b", re.IGNORECASE
)
_TWICE = re.compile(r"\bthe (\w+(?: \w+)?) the \1\b", re.IGNORECASE)
_WORD = re.compile(r"\w")
# "Title: {title}" on a line of its own.
_HEADED = re.compile(r"^[^{}\n:]{0,40}:?\s*\{([^{}\n]+)\}$")


def replaceable(prompt: Prompt) -> bool:
    """Whether another question may be asked, and its answers be read in other words."""
    return not prompt.verbalisers and not is_given(prompt.question)


def is_given(question: str) -> bool:
    """Whether the question is data itself: nothing but placeholders, so nobody may ask another."""
    return bool(placeholder_names(question)) and not _WORD.search(_MARK.sub("", question))


# A wording of two lines that begins so asks for a form to be filled in; the second line ("type:")
# begins the model's answer.
FORM = "Fill in the form."


def form(field: str) -> str:
    """The wording that asks for one field of a form."""
    return f"{FORM}\n{field}:"


def asking(prompt: Prompt, question: str) -> Prompt:
    """The prompt with another question, which is plain text. The fields that the present one refers
    to precede it, each on a line of its own."""
    title, line, start = question.partition("\n")
    if title == FORM and line:
        question = title
    else:
        start = ""
    names = placeholder_names(prompt.question)
    return prompt.with_(question=with_fields(escape(question), names), answer_start=start)


def prompt_of(question: str) -> Prompt:
    """A prompt of a question alone."""
    return asking(Prompt(""), question)


def with_fields(question: str, names: tuple[str, ...]) -> str:
    """The question with a line before it for every field that it does not refer to."""
    missing = [name for name in names if name not in placeholder_names(question)]
    return "".join(f"{_title(name)}: {{{name}}}\n" for name in missing) + question


def fields_apart(question: str) -> tuple[str, str]:
    """(what the question says without its fields, the fields as lines): for prompts that have the
    fields before or after the instruction. A placeholder inside a sentence becomes "the <name>"."""
    if is_given(question):
        return "", question
    kept, moved = [], []
    lines = question.split("\n")
    for line in lines:
        if len(lines) > 1 and _HEADED.match(line.strip()):
            moved.append(line.strip())
            continue
        for name in placeholder_names(line):
            own = f"{_title(name)}: {{{name}}}"
            if own not in moved:
                moved.append(own)
        said = _MARK.sub(lambda found: f"the {_title(found[1]).lower()}", _ended(line))
        kept.append(_TWICE.sub(r"the \1", said))
    return "\n".join(kept), "\n".join(moved)


def _ended(line: str) -> str:
    """ "Which code is it: {text}" -> "Which code is it?", and no quotation marks round a name."""
    line = re.sub(rf"[\"'“]({_MARK.pattern})[\"'”]", r"\1", line)
    end = "?" if _ASKS.match(line) else "."
    return re.sub(rf":\s*{_MARK.pattern}\s*$", end, line)


def _title(name: str) -> str:
    """ "product_name" -> "Product name"."""
    words = name.strip().replace("_", " ")
    return words[:1].upper() + words[1:]
