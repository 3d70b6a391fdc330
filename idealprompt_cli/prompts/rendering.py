"""A structured `Prompt` as chat messages: the only place that decides how its parts are worded.

Knows nothing of engines, files or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.prompt import Content, ImageSlot, Message, Prompt

# What separates a description written first from the answer. The answer's words then carry a
# leading space, because byte-pair vocabularies hold " word" as the usual token after a colon.
ANSWER_CUE = "\nAnswer:"

_REASONING_TEXT: Mapping[str, str] = {
    "none": "",
    "brief": "Think step by step, briefly, then answer.",
    "describe": "First describe the image in one sentence, then answer the question.",
}


# --- what the labels are called -------------------------------------------------------------------


def words_for(prompt: Prompt, label: str) -> tuple[str, ...]:
    """The words by which the model says a label: its verbaliser's, or the label itself."""
    for verbaliser in prompt.verbalisers:
        if verbaliser.label == label and verbaliser.words:
            return verbaliser.words
    return (label,)


def ordered_labels(prompt: Prompt, labels: Sequence[str]) -> tuple[str, ...]:
    """The task's labels in the prompt's order; labels that the order leaves out come last."""
    first = [label for label in prompt.label_order if label in labels]
    return (*first, *(label for label in labels if label not in first))


# --- rendering -----------------------------------------------------------------------------------


def render(prompt: Prompt, labels: Sequence[str] = (), images: int = 1) -> tuple[Message, ...]:
    """Chat messages of a prompt, with `images` image slots in the user's turn.

    Order of the text: role (when it has no turn of its own), context, cues, definitions,
    demonstrations, question, options, constraints, reasoning, output format. Definitions come
    before the question, so that the question stands next to the answer.
    """
    slots: Content = (ImageSlot(),) * images
    text = _body(prompt, labels)
    parts: Content = (text,) if text else ()
    content = (*slots, *parts) if prompt.image_position == "before" else (*parts, *slots)
    user = Message("user", content)
    if prompt.role and prompt.role_channel == "system":
        return (Message("system", (prompt.role,)), user)
    return (user,)


def _body(prompt: Prompt, labels: Sequence[str]) -> str:
    role = prompt.role if prompt.role_channel == "user" else ""
    parts = (
        role,
        prompt.context,
        *prompt.cues,
        _definitions(prompt, labels),
        _demonstrations(prompt),
        prompt.question,
        _options(prompt, labels),
        *prompt.constraints,
        _REASONING_TEXT[prompt.reasoning],
        prompt.output_format,
    )
    return " ".join(part.strip() for part in parts if part.strip())


def _definitions(prompt: Prompt, labels: Sequence[str]) -> str:
    texts = {entry.label: entry.text for entry in prompt.label_descriptions}
    known = [label for label in ordered_labels(prompt, labels or tuple(texts)) if label in texts]
    if not known:
        return ""
    pairs = [(words_for(prompt, label)[0], texts[label]) for label in known]
    if prompt.definition_style == "description_first":
        return "; ".join(f"{text} = {name}" for name, text in pairs) + "."
    return "; ".join(f"{name}: {text}" for name, text in pairs) + "."


def _options(prompt: Prompt, labels: Sequence[str]) -> str:
    """A list of the answers, only where an order was asked for and no definition shows it."""
    if not prompt.label_order or prompt.label_descriptions:
        return ""
    words = [word for label in ordered_labels(prompt, labels) for word in words_for(prompt, label)]
    return f"Options: {', '.join(dict.fromkeys(words))}."


def _demonstrations(prompt: Prompt) -> str:
    lines = [
        f"Image: {shown.description} Answer: {words_for(prompt, shown.answer)[0]}."
        for shown in prompt.demonstrations
    ]
    return " ".join(lines)


def length(prompt: Prompt, labels: Sequence[str] = ()) -> int:
    """Characters of the rendered text: the shorter of two equally good prompts is preferred."""
    pieces = [piece for message in render(prompt, labels) for piece in message.content]
    return sum(len(piece) for piece in pieces if isinstance(piece, str))
