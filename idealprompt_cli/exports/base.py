"""What the exports share: messages, answer words, a grammar and a JSON schema of the answers.

`eval` compares the probabilities of the answers' shortest beginnings that differ. Another tool
writes an answer token by token; a grammar or schema restricts it to the same answers, greedily.
Where two answers begin alike, or a label has several words, the results can differ; `python -m
benchmarks.exports` measures how often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from ..answers import KINDS
from ..answers import longest as longest_answer
from ..answers.base import gbnf_literal
from ..artifact import Artifact
from ..core.answer_schema import AnswerKind, Field
from ..core.committee import Committee
from ..core.placeholders import placeholder_names
from ..core.prompt import FieldText, ImageSlot, Message, Prompt
from ..engines.http.chat_protocol import json_object
from ..prompts.rendering import ANSWER_CUE, begins, ordered_labels, whole_chat, words_for

THOUGHT_CHARACTERS = 300
"""Room for a description or a thought, where one request writes it and the answer."""


class Export(Protocol):
    """`render` returns text that ends without a newline; `comment` says how it is used."""

    name: str
    summary: str

    def render(self, artifact: Artifact, prompt: Prompt) -> str: ...


@runtime_checkable
class CommitteeExport(Protocol):
    """What an export may offer besides: a committee in its format."""

    def render_committee(self, artifact: Artifact, committee: Committee) -> str: ...


@runtime_checkable
class Approximate(Protocol):
    """What an export may offer besides: why answers may differ from eval's."""

    def caveat(self, artifact: Artifact) -> str:
        """A clause with what was measured, "" where nothing is known to differ."""


def json_caveat(artifact: Artifact) -> str:
    """What JSON does to answers that are labels."""
    if not artifact.labels:
        return ""
    return (
        "answers are written as JSON, so the model reads the start of an object before its label: "
        "with clear prompts 96 % of answers were eval's, with a seed prompt on which it guesses "
        "as few as none; --to llama-server or python agree"
    )


def answers(artifact: Artifact, prompt: Prompt) -> dict[str, str]:
    """Word -> label, in the prompt's order; a word that two labels claim belongs to the first.
    Empty for answers that are written."""
    found: dict[str, str] = {}
    for label in ordered_labels(prompt, artifact.labels):
        for word in words_for(prompt, label):
            found.setdefault(word, label)
    return found


def grammar(artifact: Artifact, prompt: Prompt) -> str:
    """GBNF of the allowed answers; for a prompt that has the model describe or think first, one
    line of that and then the answer. "" where nothing limits the answer.

    A space may come before the answer, because some chat templates end without one.
    """
    if not artifact.labels:
        return written_grammar(artifact, prompt)
    if not thinks(artifact, prompt):
        return f'root ::= " "? answer\n{choices(artifact, prompt)}'
    root = f"root ::= thought {gbnf_literal(ANSWER_CUE + ' ')} answer"
    thought = f"thought ::= [^\\n]{{1,{THOUGHT_CHARACTERS}}}"
    return f"{root}\n{thought}\n{choices(artifact, prompt)}"


def written_grammar(artifact: Artifact, prompt: Prompt) -> str:
    """GBNF of a written answer, "" where nothing limits it: for text and numbers, and where a
    thought comes first, which the same request writes."""
    task = artifact.task
    if task.answer not in KINDS or prompt.reasoning != "none":
        return ""
    return KINDS[task.answer].grammar(task.answer_schema) or ""


def choices(artifact: Artifact, prompt: Prompt) -> str:
    """The grammar's rule of the answer words alone."""
    return "answer ::= " + " | ".join(gbnf_literal(word) for word in answers(artifact, prompt))


def against_blank(artifact: Artifact, prompt: Prompt) -> dict[str, Any]:
    """Keeps llama-server from starting an answer with a lone space token: grammars know characters,
    not tokens, and eval scores " red" as the model would write it. Only where all words start with
    letters, which no vocabulary separates from their space."""
    words = answers(artifact, prompt)
    plain = all(word[:1].isascii() and word[:1].isalpha() for word in words)
    return {"logit_bias": [[" ", -100]]} if words and plain else {}


def thinks(artifact: Artifact, prompt: Prompt) -> bool:
    """Whether an answer takes two requests, as it does in eval: one for the thought, which ends
    where the model ends it, and one for the answer after it."""
    return prompt.reasoning != "none" and bool(artifact.labels)


def max_tokens(artifact: Artifact, prompt: Prompt) -> int:
    """Room for the answer, and for the longest thought before it: a token has a character at
    least, and what the thought leaves over costs nothing."""
    thought = THOUGHT_CHARACTERS if prompt.reasoning != "none" else 0
    longest = max((len(word) for word in answers(artifact, prompt)), default=0)
    return thought + (max(16, longest) if longest else _written(artifact))


def _written(artifact: Artifact) -> int:
    """Room for an answer that the model writes."""
    kind: AnswerKind = "text" if artifact.task.answer == "label" else artifact.task.answer
    return longest_answer(kind, artifact.task.answer_schema)


def stops(artifact: Artifact, prompt: Prompt) -> list[str]:
    """Where an answer that is written ends."""
    if artifact.labels or prompt.reasoning != "none":
        return []
    kind = "text" if artifact.task.answer == "label" else artifact.task.answer
    return list(KINDS[kind].ends(artifact.task.answer_schema))


def chat(
    artifact: Artifact,
    prompt: Prompt,
    *,
    image: str = "{{{{image_{number}}}}}",
    field: str = "{{{{{name}}}}}",
    escape: Callable[[str], str] = str,
) -> list[Any]:
    """OpenAI-style messages. `image` and `field` are the patterns of an image's and a field's
    placeholder; `escape` makes other text safe for what fills them in."""
    number = 0
    found = []
    for message in contents(artifact, prompt, field, escape):
        parts: list[dict[str, Any]] = []
        for piece in message.content:
            if isinstance(piece, ImageSlot):
                number += 1
                place = image.format(number=number)
                parts.append({"type": "image_url", "image_url": {"url": place}})
            else:
                parts.append({"type": "text", "text": piece})
        bare = message.role == "system" or not any(p["type"] == "image_url" for p in parts)
        content = "".join(part["text"] for part in parts) if bare else parts
        found.append({"role": message.role, "content": content})
    return found


def contents(
    artifact: Artifact,
    prompt: Prompt,
    field: str = "{{{{{name}}}}}",
    escape: Callable[[str], str] = str,
) -> list[Message]:
    """The prompt's messages with a placeholder for each field, adjacent texts joined."""
    found = []
    for message in whole_chat(prompt, artifact.labels, artifact.task.images):
        pieces: list[str | ImageSlot] = []
        for piece in message.content:
            if isinstance(piece, ImageSlot):
                pieces.append(piece)
                continue
            text = field.format(name=piece[1:-1]) if isinstance(piece, FieldText) else escape(piece)
            if pieces and isinstance(pieces[-1], str):
                pieces[-1] += text
            else:
                pieces.append(text)
        found.append(Message(message.role, tuple(pieces)))
    return found


def field_names(prompt: Prompt) -> tuple[str, ...]:
    """The fields that the prompt refers to."""
    try:
        return placeholder_names(prompt.question)
    except ValueError:
        return ()


def plain_text(artifact: Artifact, prompt: Prompt, field: str = "{{{name}}}") -> tuple[str, str]:
    """The system text ("" for none) and the user's, without the images. How the answer begins,
    where the prompt begins it, is asked for in words."""
    texts = {"system": "", "user": "", "assistant": ""}
    for message in contents(artifact, prompt, field):
        pieces = [piece for piece in message.content if isinstance(piece, str)]
        texts[message.role] = " ".join(pieces)
    if texts["assistant"]:
        texts["user"] += f'\nBegin your answer with "{texts["assistant"]}".'
    return texts["system"], texts["user"]


def json_answer(artifact: Artifact, prompt: Prompt) -> dict[str, Any] | None:
    """JSON schema of the reply, for tools that restrict replies by one: {"answer": ...}, after a
    "thought" where the prompt asks for a description or a thought first; None for free text, and
    where the prompt begins the answer, which no JSON can continue."""
    if begins(prompt):
        return None
    task, words = artifact.task, list(answers(artifact, prompt))
    answer: dict[str, Any]
    if words:
        answer = {"type": "string", "enum": words}
    elif task.answer == "number":
        answer = {"type": "number"}
    elif task.answer == "labels":
        options = list(task.options)
        answer = {"type": "array", "items": {"type": "string", "enum": options}}
    elif task.answer == "json":
        answer = json_object({one.name: _field_schema(one) for one in task.answer_schema.fields})
        if prompt.reasoning == "none":
            return answer
    else:
        return None
    thought = {"thought": {"type": "string", "maxLength": THOUGHT_CHARACTERS}}
    return json_object({**(thought if prompt.reasoning != "none" else {}), "answer": answer})


def _field_schema(declared: Field) -> dict[str, Any]:
    kinds = {"text": "string", "choice": "string", "boolean": "boolean", "integer": "integer"}
    kind = kinds.get(declared.kind, "number")
    choices = {"enum": list(declared.choices)} if declared.choices else {}
    return {"type": [kind, "null"] if declared.optional else kind, **choices}


def key(artifact: Artifact, prompt: Prompt) -> list[str]:
    """Lines that say which word stands for which label, where they differ."""
    pairs = answers(artifact, prompt).items()
    return [f"{word} = {label}" for word, label in pairs if word != label]
