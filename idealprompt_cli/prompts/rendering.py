"""A structured `Prompt` as chat messages: the only place that decides how its parts are worded.

Knows nothing of engines, files or scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import shorten

from ..core.errors import UsageError
from ..core.placeholders import fill, placeholder_names
from ..core.prompt import Content, FieldText, ImageSlot, Message, Prompt
from .questions import fields_apart

# What separates a description written first from the answer. The answer's words then carry a
# leading space, because byte-pair vocabularies hold " word" as the usual token after a colon.
ANSWER_CUE = "\nAnswer:"

Pieces = tuple[str, ...]

_REASONING_TEXT: Mapping[str, str] = {
    "none": "",
    "brief": "Think step by step, briefly, then answer.",
    "describe": "First describe the {noun} in one sentence, then answer the question.",
}


# --- what the labels are called -------------------------------------------------------------------


def prefill(prompt: Prompt, thought: str = "") -> str:
    """How the model's turn begins: its description and what leads to the answer, or the prompt's
    own start."""
    return f"{thought}{ANSWER_CUE}" if thought else prompt.answer_start


def begins(prompt: Prompt) -> bool:
    """Whether the last message is the model's own turn, begun by the prompt."""
    return bool(prompt.answer_start) and prompt.reasoning == "none"


def lead(start: str) -> str:
    """What separates an answer from the start of the turn: " " or nothing."""
    return " " if start and not start[-1].isspace() else ""


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


def render(
    prompt: Prompt,
    labels: Sequence[str] = (),
    images: int = 1,
    fields: Mapping[str, str] | None = None,
) -> tuple[Message, ...]:
    """Chat messages of a prompt, with `images` image slots in the user's turn.

    Order of the text: role (when it has no turn of its own), context, cues, definitions,
    demonstrations, question, options, constraints, reasoning, output format. Definitions come
    before the question, so that the question is next to the answer. `fields` are the example's
    own texts, which come out as `FieldText`; without them each is its placeholder, `{name}`.

    Raises UsageError for a placeholder that names no field of the example, or a stray brace.
    """
    slots: Content = (ImageSlot(prompt.image_tokens),) * images
    text = _body(prompt, labels, images, fields)
    content = (*slots, *text) if prompt.image_position == "before" else (*text, *slots)
    user = Message("user", content)
    if prompt.role and prompt.role_channel == "system":
        return (Message("system", (prompt.role,)), user)
    return (user,)


def whole_chat(prompt: Prompt, labels: Sequence[str] = (), images: int = 1) -> tuple[Message, ...]:
    """The messages as people and other tools see them: the model's turn last, where the prompt
    begins it."""
    messages = render(prompt, labels, images)
    begun = (Message("assistant", (prompt.answer_start,)),) if begins(prompt) else ()
    return (*messages, *begun)


def _body(
    prompt: Prompt, labels: Sequence[str], images: int, fields: Mapping[str, str] | None
) -> Pieces:
    question, moved = prompt.question, ""
    if prompt.fields_position != "question":
        question, moved = fields_apart(prompt.question)
    role = prompt.role if prompt.role_channel == "user" else ""
    parts: tuple[Pieces, ...] = (
        (role,),
        (prompt.context,),
        *((cue,) for cue in prompt.cues),
        (_definitions(prompt, labels),),
        (_demonstrations(prompt, images),),
        _filled(question, fields),
        (_options(prompt, labels),),
        *((constraint,) for constraint in prompt.constraints),
        (_REASONING_TEXT[prompt.reasoning].format(noun="image" if images else "text"),),
        (prompt.output_format,),
    )
    text, apart = _joined(parts, " "), _filled(moved, fields)
    return _joined((apart, text) if prompt.fields_position == "before" else (text, apart), "\n")


def _filled(text: str, fields: Mapping[str, str] | None) -> Pieces:
    """The text with an example's fields, or with its placeholders as field texts."""
    try:
        names = placeholder_names(text)
        return fill(text, {name: f"{{{name}}}" for name in names} if fields is None else fields)
    except ValueError as problem:
        shown = shorten(text, 60, placeholder="...")
        raise UsageError(f"the question {shown!r} {problem}") from problem


def _joined(parts: Sequence[Pieces], between: str) -> Pieces:
    """The parts that hold anything; neighbouring plain texts are one piece, and no part begins or
    ends with white space of its own."""
    pieces: list[str] = []
    for part in parts:
        own = list(part)
        if own and not isinstance(own[0], FieldText):
            own[0] = own[0].lstrip()
        if own and not isinstance(own[-1], FieldText):
            own[-1] = own[-1].rstrip()
        own = [piece for piece in own if piece]
        for piece in (*((between,) if pieces and own else ()), *own):
            if pieces and not any(isinstance(one, FieldText) for one in (piece, pieces[-1])):
                pieces[-1] += piece
            else:
                pieces.append(piece)
    return tuple(pieces)


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


def _demonstrations(prompt: Prompt, images: int) -> str:
    shown_as = "Image" if images else "Text"
    lines = [
        f"{shown_as}: {shown.description} Answer: {words_for(prompt, shown.answer)[0]}."
        for shown in prompt.demonstrations
    ]
    return " ".join(lines)


def readable(message: Message) -> str:
    """A message's content for people: an image's place is `[image]`, apart from the text."""
    text, after_picture = "", False
    for piece in message.content:
        picture = isinstance(piece, ImageSlot)
        shown = "[image]" if isinstance(piece, ImageSlot) else piece
        touching = text and shown and not text[-1].isspace() and not shown[0].isspace()
        text += (" " if touching and (picture or after_picture) else "") + shown
        after_picture = picture
    return text


def calibration_text(prompt: Prompt) -> str:
    """What corrects the label bias of a prompt, which its text does not show; "" for nothing."""
    between = "; " if any("," in label for label, _ in prompt.calibration) else ", "
    offsets = between.join(f"{label} {offset:+.2f}" for label, offset in prompt.calibration)
    return f"Calibration, added to the labels' log-probabilities: {offsets}." if offsets else ""


def length(prompt: Prompt, labels: Sequence[str] = ()) -> int:
    """Characters of the rendered text: the shorter of two equally good prompts is preferred."""
    pieces = [piece for message in render(prompt, labels) for piece in message.content]
    texts = [piece for piece in pieces if isinstance(piece, str)]
    return sum(map(len, texts)) + len(prompt.answer_start)
