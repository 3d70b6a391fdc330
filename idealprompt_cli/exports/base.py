"""What every export is made of: messages, the words that answer, a grammar that allows only them.

`eval` compares the probabilities of whole answers. Another tool writes an answer token by token;
the grammar keeps it to the same answers, greedily. Where two answers begin alike, or a label has
several words, the two ways can differ; tests/test_export_model.py measures how often.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..answers import KINDS
from ..answers import longest as longest_answer
from ..answers.base import gbnf_literal
from ..artifact import Artifact
from ..core.answer_schema import AnswerKind
from ..core.prompt import ImageSlot, Prompt
from ..evaluation.evaluator import REASONING_TOKENS
from ..prompts.rendering import ANSWER_CUE, ordered_labels, render, words_for


class Export(Protocol):
    """`render` returns text that ends without a newline; `comment` says how it is used."""

    name: str
    summary: str

    def render(self, artifact: Artifact, prompt: Prompt) -> str: ...


def answers(artifact: Artifact, prompt: Prompt) -> dict[str, str]:
    """Word -> label, in the prompt's order; a word that two labels claim belongs to the first.
    Empty for answers that are written."""
    found: dict[str, str] = {}
    for label in ordered_labels(prompt, artifact.labels):
        for word in words_for(prompt, label):
            found.setdefault(word, label)
    return found


def grammar(artifact: Artifact, prompt: Prompt) -> str:
    """GBNF of what may be answered; for a prompt that has the model describe or think first, one
    line of that and then the answer. "" where nothing limits the answer.

    A blank may stand before the answer, because some chat templates end without one.
    """
    if not artifact.labels:
        return written_grammar(artifact, prompt)
    if not thinks(artifact, prompt):
        return f'root ::= " "? answer\n{choices(artifact, prompt)}'
    root = f"root ::= thought {gbnf_literal(ANSWER_CUE + ' ')} answer"
    return f"{root}\nthought ::= [^\\n]{{1,300}}\n{choices(artifact, prompt)}"


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
    """What keeps llama-server from beginning an answer with a blank alone and then spelling it:
    grammars know letters, not tokens, and eval scores " red" as the model would write it. Only
    where all words begin with letters, which no vocabulary separates from their blank."""
    words = answers(artifact, prompt)
    plain = all(word[:1].isascii() and word[:1].isalpha() for word in words)
    return {"logit_bias": [[" ", -100]]} if words and plain else {}


def thinks(artifact: Artifact, prompt: Prompt) -> bool:
    """Whether an answer takes two requests, as it does in eval: one for the thought, which ends
    where the model ends it, and one for the answer after it."""
    return prompt.reasoning != "none" and bool(artifact.labels)


def max_tokens(artifact: Artifact, prompt: Prompt) -> int:
    """Room for the answer, and for the thought before it."""
    thought = 2 * REASONING_TOKENS if prompt.reasoning != "none" else 0
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


def chat(artifact: Artifact, prompt: Prompt, url: str = "{{{{image_{number}}}}}") -> list[Any]:
    """OpenAI-style messages; `url` is the pattern of a picture's place, counted from 1."""
    number = 0
    found = []
    for message in render(prompt, artifact.labels, artifact.task.images):
        parts: list[dict[str, Any]] = []
        for piece in message.content:
            if isinstance(piece, ImageSlot):
                number += 1
                place = url.format(number=number)
                parts.append({"type": "image_url", "image_url": {"url": place}})
            else:
                parts.append({"type": "text", "text": piece})
        plain = message.role == "system"
        found.append({"role": message.role, "content": parts[0]["text"] if plain else parts})
    return found


def plain_text(artifact: Artifact, prompt: Prompt) -> tuple[str, str]:
    """The system text ("" for none) and the user's, without the pictures."""
    texts = {"system": "", "user": ""}
    for message in render(prompt, artifact.labels, artifact.task.images):
        pieces = [piece for piece in message.content if isinstance(piece, str)]
        texts[message.role] = " ".join(pieces)
    return texts["system"], texts["user"]


def key(artifact: Artifact, prompt: Prompt) -> list[str]:
    """Lines that say which word stands for which label, where they differ."""
    pairs = answers(artifact, prompt).items()
    return [f"{word} = {label}" for word, label in pairs if word != label]
