"""A prompt in named parts, and the chat messages that it is rendered to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Reasoning = Literal["none", "brief", "describe"]
ImagePosition = Literal["before", "after"]
FieldsPosition = Literal["question", "before", "after"]
"""Position of an example's text fields: at the question's placeholders, or all of them before or
after the instruction."""
RoleChannel = Literal["system", "user"]


@dataclass(frozen=True)
class Demonstration:
    """A worked example in words: the model's description of an image, and its answer."""

    description: str
    answer: str


@dataclass(frozen=True)
class LabelText:
    """Text attached to one private label."""

    label: str
    text: str


@dataclass(frozen=True)
class Verbaliser:
    """The words by which this model says a private label; any of them counts as the label."""

    label: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Prompt:
    """A prompt in named parts, each of which can be edited, reordered or dropped on its own.

    Rendered to chat messages by `idealprompt_cli.prompts.rendering` alone. Empty parts render to
    nothing, so a seed prompt is `Prompt(question="...")`. `answer_start` is how the model's own
    turn begins ("type:"); not used where a description comes first. `image_tokens` is how
    many tokens each picture is scaled to, at most; 0 leaves it as it is. `calibration`, never
    rendered, holds (label, what is added to the label's log-probability).
    """

    question: str
    role: str = ""
    role_channel: RoleChannel = "system"
    context: str = ""
    label_descriptions: tuple[LabelText, ...] = ()
    label_order: tuple[str, ...] = ()
    definition_style: Literal["label_first", "description_first"] = "label_first"
    cues: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    reasoning: Reasoning = "none"
    demonstrations: tuple[Demonstration, ...] = ()
    output_format: str = ""
    answer_start: str = ""
    image_position: ImagePosition = "before"
    image_tokens: int = 0
    fields_position: FieldsPosition = "question"
    verbalisers: tuple[Verbaliser, ...] = ()
    calibration: tuple[tuple[str, float], ...] = ()

    def with_(self, **parts: object) -> Prompt:
        """A copy with some parts replaced."""
        return replace(self, **parts)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class ImageSlot:
    """The place of the next picture in a message's content. `tokens` is how many it is scaled to
    there, at most (see `interfaces.SizesImages`); 0 leaves it as it is."""

    tokens: int = 0

    def __repr__(self) -> str:
        """Without a limit as ever: digests of requests hold it."""
        return f"ImageSlot({self.tokens or ''})"


class FieldText(str):
    """Text that belongs to the example, not to the prompt: data, never instructions. An engine may
    keep everything up to the last `FieldText` before the prompt's own text in its prefix cache."""

    __slots__ = ()


Content = tuple["str | ImageSlot", ...]


@dataclass(frozen=True)
class Message:
    """One chat turn; `content` interleaves text, image slots and field texts in reading order."""

    role: Literal["system", "user", "assistant"]
    content: Content
