"""A request as tokens: what is computed once per example, and what is computed per prompt.

prefix   everything up to and including the last picture   kept per (pictures, text)
suffix   the text after it, up to where the answer begins  decoded after the prefix
options  the answers to be scored, as tokens in context
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from ....core.errors import ModelError
from ....core.prompt import Message
from ....core.requests import Generated, Scored
from ....io.images import content_hash
from ..native.chat_template import ChatTemplate
from ..native.tokenizer import split_at_breaks
from ..native.vision import Picture

_KEPT = 1024
Key = bytes | str


class Tokeniser(Protocol):
    """What a planner needs of `tokenizer.Vocabulary`."""

    adds_bos: bool
    bos: int
    eot: int

    def tokenize(self, text: str, special: bool) -> list[int]: ...

    def tokenize_rendered(self, text: str) -> list[int]: ...

    def escape(self, content: str) -> str: ...

    def text(self, token: int) -> str: ...

    def ends(self, token: int) -> bool: ...


@dataclass(frozen=True)
class Prefix:
    """Text before each picture, the pictures, and the hashes of their contents."""

    text: tuple[str, ...]
    images: tuple[Path, ...]
    hashes: tuple[str, ...]
    key: Key

    def parts(self) -> list[str | Picture]:
        """What mtmd tokenises, in reading order."""
        parts: list[str | Picture] = []
        for text, image, digest in zip(self.text, self.images, self.hashes, strict=True):
            parts.extend(split_at_breaks(text))
            parts.append(Picture(image, digest))
        return parts


NO_PREFIX = Prefix((), (), (), b"")


def make_prefix(text: tuple[str, ...], images: Sequence[Path]) -> Prefix:
    """A prefix whose key is a hash of its text and its pictures' bytes. Raises `ImageError`."""
    if not images:
        return NO_PREFIX
    hashes = tuple(content_hash(image) for image in images)
    digest = hashlib.blake2b(digest_size=16)
    for segment, picture in zip(text, hashes, strict=True):
        digest.update(f"{len(segment)}:{segment}{picture}".encode())
    return Prefix(text, tuple(images), hashes, digest.digest())


@dataclass(frozen=True)
class Plan:
    """A request without its pictures. `prefix` holds the text before each picture (one item per
    picture, breaks included), `tail` the text after the last one and `suffix` its tokens;
    `options[i]` are the tokens scored for option i, the end of the turn included where one option
    begins another. `separator` is what the template puts before an answer."""

    prefix: tuple[str, ...]
    tail: str
    suffix: tuple[int, ...]
    options: tuple[tuple[int, ...], ...] = ()
    separator: str = ""

    @property
    def n_decoded(self) -> int:
        """Tokens decoded after the prefix: the suffix and the longest option but its last token."""
        return len(self.suffix) + max((len(option) for option in self.options), default=1) - 1


@dataclass(frozen=True)
class ScoreJob:
    """Score `plan.options` after `prefix` and `plan.suffix`."""

    prefix: Prefix
    plan: Plan


@dataclass(frozen=True)
class GenerateJob:
    """Continue greedily after `prefix` and `plan.suffix`."""

    prefix: Prefix
    plan: Plan
    max_tokens: int
    stop: tuple[str, ...] = ()
    grammar: str | None = None


class Backend(Protocol):
    """A way to compute jobs; answers come in the order of the jobs."""

    def score(self, jobs: list[ScoreJob]) -> list[Scored]: ...

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]: ...

    def close(self) -> None: ...


class Planner:
    """Renders and tokenises requests. Plans are kept, since one prompt is asked about many
    pictures."""

    def __init__(self, template: ChatTemplate, vocabulary: Tokeniser) -> None:
        self._template = template
        self._vocabulary = vocabulary
        self._kept: OrderedDict[object, Plan] = OrderedDict()

    def plan(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...] = ()
    ) -> Plan:
        """The plan of a request. Raises `ModelError` if the template rejects it."""
        key = (messages, prefill, options)
        plan = self._kept.get(key)
        if plan is None:
            plan = self._kept[key] = self._make(messages, prefill, options)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return plan

    def _make(self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]) -> Plan:
        escape = self._vocabulary.escape
        chat = self._template.render(messages, escape)
        segments = list(chat.segments)
        if self._vocabulary.adds_bos:
            bos = self._vocabulary.text(self._vocabulary.bos)
            if not segments[0].startswith(bos):
                segments[0] = bos + segments[0]
        separator = chat.separator
        if prefill:
            segments[-1] += separator + escape(prefill)
            separator = ""
        tail = segments[-1]
        suffix = tuple(self._vocabulary.tokenize_rendered(tail))
        if not suffix:
            raise ModelError("the chat template puts nothing after the picture to answer from")
        tokens = [self._option(tail, suffix, separator + escape(option)) for option in options]
        if _any_prefix(tokens):
            end = self._end_token(chat.closing)
            tokens = [(*option, end) for option in tokens]
        return Plan(tuple(segments[:-1]), tail, suffix, tuple(tokens), separator)

    def _option(self, tail: str, suffix: tuple[int, ...], option: str) -> tuple[int, ...]:
        """Tokens of an option as they follow the prompt: those of the whole minus those of the
        prompt; the option's own tokens where the prompt's end would be tokenised differently."""
        whole = tuple(self._vocabulary.tokenize_rendered(tail + option))
        n = len(suffix)
        alone = whole[n:]
        if whole[:n] != suffix or not alone:
            alone = tuple(self._vocabulary.tokenize_rendered(option))
        if not alone:
            raise ModelError(f"the option {option!r} has no tokens; give every option some text")
        return alone

    def _end_token(self, closing: str) -> int:
        """The token that ends an assistant's turn in this template, else the model's own."""
        tokens = self._vocabulary.tokenize(closing, special=True)
        if tokens and self._vocabulary.ends(tokens[0]):
            return tokens[0]
        return self._vocabulary.eot


def _any_prefix(options: list[tuple[int, ...]]) -> bool:
    """Whether some option's tokens begin another's (equal ones included)."""
    ordered = sorted(options)
    return any(b[: len(a)] == a for a, b in pairwise(ordered))
