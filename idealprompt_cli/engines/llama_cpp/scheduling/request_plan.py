"""A request as tokens: what is computed once per example, and what is computed per prompt.

prefix   everything up to the last picture, and the fields after it   kept per (pictures, text)
suffix   the text after the prefix, up to where the answer begins     decoded after the prefix
options  the answers to be scored, as tokens in context
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from ....core.errors import ModelError
from ....core.prompt import ImageSlot, Message
from ....core.requests import Generated, Scored
from ....io.images import content_hash
from ..native.chat_template import ChatTemplate
from ..native.tokenizer import split_at_breaks
from ..native.vision import Picture, Size

_KEPT = 4096
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

    def is_control(self, token: int) -> bool: ...

    def ends(self, token: int) -> bool: ...


@dataclass(frozen=True)
class Prefix:
    """Text before each picture, the pictures, the hashes of their contents, and the `fields`:
    tokens after the last picture that belong to the example. `sizes` are the (width, height) to
    which pictures are scaled, None for those taken as they are; the hash of a scaled one has it."""

    text: tuple[str, ...]
    images: tuple[Path, ...]
    hashes: tuple[str, ...]
    fields: tuple[int, ...]
    key: Key
    sizes: tuple[Size | None, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.images and not self.fields

    def parts(self) -> list[str | Picture]:
        """What mtmd tokenises, in reading order; without the fields."""
        parts: list[str | Picture] = []
        sizes = self.sizes or (None,) * len(self.images)
        pictures = map(Picture, self.images, self.hashes, sizes)
        for text, picture in zip(self.text, pictures, strict=True):
            parts.extend(split_at_breaks(text))
            parts.append(picture)
        return parts


NO_PREFIX = Prefix((), (), (), (), b"")


def make_prefix(
    text: tuple[str, ...],
    images: Sequence[Path],
    fields: tuple[int, ...] = (),
    sizes: tuple[Size | None, ...] = (),
) -> Prefix:
    """A prefix whose key is a hash of its text and its pictures' bytes and sizes. Raises
    `ImageError`."""
    if not images and not fields:
        return NO_PREFIX
    hashes = tuple(
        content_hash(image) + ("@{}x{}".format(*size) if size else "")
        for image, size in zip(images, sizes or (None,) * len(images), strict=True)
    )
    digest = hashlib.blake2b(digest_size=16)
    for segment, picture in zip(text, hashes, strict=True):
        digest.update(f"{len(segment)}:{segment}{picture}".encode())
    if fields:
        digest.update(f"fields {fields}".encode())
    return Prefix(text, tuple(images), hashes, fields, digest.digest(), sizes)


@dataclass(frozen=True)
class Plan:
    """A request without its pictures. `prefix` holds the text before each picture (one item per
    picture, breaks included), `tail` the text after the last one; `fields` and `suffix` are its
    tokens, those of the prefix and the others. `options[i]` are the tokens scored for option i;
    where one option begins another, `end` is the token that ends a turn, after each of them (-1
    otherwise). `separator` is what the template puts before an answer; `limits` are the most tokens
    of each picture, 0 for no limit."""

    prefix: tuple[str, ...]
    tail: str
    fields: tuple[int, ...]
    suffix: tuple[int, ...]
    options: tuple[tuple[int, ...], ...] = ()
    separator: str = ""
    end: int = -1
    limits: tuple[int, ...] = ()

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
        self._options: dict[tuple[str, str], tuple[int, ...]] = {}

    def plan(
        self,
        messages: tuple[Message, ...],
        prefill: str,
        options: tuple[str, ...] = (),
        whole: bool = True,
    ) -> Plan:
        """The plan of a request. Raises `ModelError` if the template rejects it."""
        key = (messages, prefill, options, whole)
        plan = self._kept.get(key)
        if plan is None:
            plan = self._make(messages, prefill, options)
            if not whole:
                plan = replace(plan, options=beginnings(plan.options))
            self._kept[key] = plan
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return plan

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Of each option the shortest text that begins it and no other one, and is tokenised as
        there; the options as they are where one of them begins another."""
        plan = self.plan(messages, prefill, options)
        if plan.end >= 0:
            return options
        lengths = map(len, beginnings(plan.options))
        parts = zip(options, plan.options, lengths, strict=True)
        return tuple(self._cut(plan, *part) for part in parts)

    def _cut(self, plan: Plan, option: str, tokens: tuple[int, ...], least: int) -> str:
        """The shortest beginning of an option that is tokenised as `least` or more of its
        `tokens`."""
        separator, escape = plan.separator, self._vocabulary.escape
        cuts = [option[:end] for end in range(1, len(option)) if option[:end].strip()]
        cuts = [cut for cut in cuts if cut == cut.rstrip()]
        texts = [separator + escape(cut) for cut in cuts]
        made = self._tokenise_options(plan.tail, plan.fields + plan.suffix, texts)
        for cut, found in zip(cuts, made, strict=True):
            if len(found) >= least and found == tokens[: len(found)]:
                return cut
        return option

    def _make(self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]) -> Plan:
        escape = self._vocabulary.escape
        chat = self._template.render(messages, escape)
        segments, end_of_fields, separator = list(chat.segments), chat.fields, chat.separator
        if self._vocabulary.adds_bos:
            bos = self._vocabulary.text(self._vocabulary.bos)
            if not segments[0].startswith(bos):
                segments[0] = bos + segments[0]
                end_of_fields += len(bos) if end_of_fields and len(segments) == 1 else 0
        if prefill:
            segments[-1] += separator + escape(prefill)
            separator = ""
        tail = segments[-1]
        whole = tuple(self._vocabulary.tokenize_rendered(tail))
        fields = self._count_fields(tail[:end_of_fields], whole) if end_of_fields else 0
        suffix = whole[fields:]
        if not suffix:
            raise ModelError("the chat template puts nothing after the image to answer from")
        tokens = self._tokenise_options(tail, whole, [separator + escape(o) for o in options])
        end = -1
        if _any_prefix(tokens):
            end = self._end_token(chat.closing)
            tokens = [(*option, end) for option in tokens]
        own = (whole[:fields], suffix, tuple(tokens))
        slots = [p for m in messages for p in m.content if isinstance(p, ImageSlot)]
        limits = tuple(slot.tokens for slot in slots)
        return Plan(tuple(segments[:-1]), tail, *own, separator, end, limits)

    def _count_fields(self, text: str, whole: tuple[int, ...]) -> int:
        """How many tokens of the tail belong to its first part, `text`: those that the two begin
        with alike, since the last ones of `text` may be tokenised together with what follows."""
        alone = self._vocabulary.tokenize_rendered(text)
        most = min(len(alone), len(whole) - 1)
        return next((i for i in range(most) if alone[i] != whole[i]), most)

    def _tokenise_options(
        self, tail: str, tokens: tuple[int, ...], options: list[str]
    ) -> list[tuple[int, ...]]:
        """Tokens of each option after the prompt. Only the text from the last control token on
        decides on them, since it is tokenised apart from the text before it."""
        controls = (i for i in reversed(range(len(tokens))) if self._is_control(tokens[i]))
        last = next(controls, -1)
        if last < 0:
            return [self._option(tail, tokens, option) for option in options]
        ending = tail[tail.rindex(self._vocabulary.text(tokens[last])) :]
        end = tuple(self._vocabulary.tokenize_rendered(ending))
        for option in options:
            if (ending, option) not in self._options:
                self._options[ending, option] = self._option(ending, end, option)
        return [self._options[ending, option] for option in options]

    def _is_control(self, token: int) -> bool:
        return self._vocabulary.is_control(token) and bool(self._vocabulary.text(token))

    def _option(self, ending: str, tokens: tuple[int, ...], option: str) -> tuple[int, ...]:
        """Tokens of an option as they follow the prompt: those of the whole minus those of the
        prompt; the option's own tokens where the prompt's end would be tokenised differently."""
        whole = tuple(self._vocabulary.tokenize_rendered(ending + option))
        n = len(tokens)
        alone = whole[n:]
        if whole[:n] != tokens or not alone:
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


def beginnings(options: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Of each option (none begins another) the shortest beginning that no other one has, at least
    one token."""
    if len(options) < 2:
        return tuple(options)
    ordered = sorted(set(options))
    alike = [0, *(_common(a, b) for a, b in pairwise(ordered)), 0]
    length = {option: 1 + max(alike[i], alike[i + 1]) for i, option in enumerate(ordered)}
    return tuple(option[: length[option]] for option in options)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading tokens are the same."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _any_prefix(options: list[tuple[int, ...]]) -> bool:
    """Whether some option's tokens begin another's (equal ones included)."""
    ordered = sorted(options)
    return any(b[: len(a)] == a for a, b in pairwise(ordered))
