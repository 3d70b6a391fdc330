"""A request to tokens: what is computed once per picture, and what is computed per prompt.

head    everything up to and including the last picture   kept per (pictures, text)
suffix  the text after it, up to where the answer begins  decoded on top of the head
options the answers to be scored, as tokens in context
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from ....core.errors import ModelError
from ....core.prompt import Message
from ..native.chat_template import ChatTemplate
from ..native.tokenizer import WALL

_KEPT = 1024


class Tokeniser(Protocol):
    """What is asked of a vocabulary here; see `vocabulary.Vocabulary`."""

    adds_bos: bool
    bos: int
    eot: int

    def tokenize(self, text: str, special: bool) -> list[int]: ...

    def tokenize_walled(self, text: str) -> list[int]: ...

    def wall(self, content: str) -> str: ...

    def text(self, token: int) -> str: ...

    def ends(self, token: int) -> bool: ...


@dataclass(frozen=True)
class Plan:
    """A request without its pictures. `head` holds the text before each picture (one item per
    picture, walls inside), `suffix` the tokens after the last one; `options[i]` are the tokens
    scored for option i, the end of the turn included where `closed`."""

    head: tuple[str, ...]
    tail: str
    suffix: tuple[int, ...]
    options: tuple[tuple[int, ...], ...] = ()
    joint: str = ""


class Planner:
    """Renders and tokenises, and remembers, since one prompt is asked about many pictures."""

    def __init__(self, template: ChatTemplate, vocabulary: Tokeniser) -> None:
        self._template = template
        self._vocabulary = vocabulary
        self._kept: OrderedDict[object, Plan] = OrderedDict()

    def plan(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...] = ()
    ) -> Plan:
        """The plan of a request. Raises `ModelError` if the template refuses it."""
        key = (messages, prefill, options)
        plan = self._kept.get(key)
        if plan is None:
            plan = self._kept[key] = self._make(messages, prefill, options)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return plan

    def _make(self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]) -> Plan:
        wall = self._vocabulary.wall
        chat = self._template.render(messages, wall)
        pieces = list(chat.pieces)
        if self._vocabulary.adds_bos:
            bos = self._vocabulary.text(self._vocabulary.bos)
            if not pieces[0].startswith(bos):
                pieces[0] = bos + pieces[0]
        joint = chat.joint
        if prefill:
            pieces[-1] += joint + wall(prefill)
            joint = ""
        tail = pieces[-1]
        suffix = tuple(self._vocabulary.tokenize_walled(tail))
        if not suffix:
            raise ModelError("the chat template puts nothing after the picture to answer from")
        tokens = [self._option(tail, suffix, joint + wall(option)) for option in options]
        if _any_prefix(tokens):
            end = self._end_token(chat.closing)
            tokens = [(*option, end) for option in tokens]
        return Plan(tuple(pieces[:-1]), tail, suffix, tuple(tokens), joint)

    def _option(self, tail: str, suffix: tuple[int, ...], option: str) -> tuple[int, ...]:
        """Tokens of an option as they come after the prompt: those of the whole minus those of
        the prompt; the option's own tokens where the prompt's end would be tokenised anew."""
        whole = tuple(self._vocabulary.tokenize_walled(tail + option))
        n = len(suffix)
        alone = whole[n:]
        if whole[:n] != suffix or not alone:
            alone = tuple(self._vocabulary.tokenize_walled(option))
        if not alone:
            raise ModelError(f"the option {option!r} has no tokens; give every option some text")
        return alone

    def _end_token(self, closing: str) -> int:
        """The token by which an assistant's turn ends in this template, else the model's own."""
        tokens = self._vocabulary.tokenize(closing, special=True)
        if tokens and self._vocabulary.ends(tokens[0]):
            return tokens[0]
        return self._vocabulary.eot


def head_parts(text: str) -> list[str]:
    """A piece of head text cut at its walls, for tokenising part by part."""
    return [part for part in text.split(WALL) if part]


def _any_prefix(options: list[tuple[int, ...]]) -> bool:
    """Whether some option's tokens begin another's (equal ones included)."""
    ordered = sorted(options)
    return any(b[: len(a)] == a for a, b in pairwise(ordered))
