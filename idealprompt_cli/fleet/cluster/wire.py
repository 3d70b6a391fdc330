"""Requests and answers as bytes, between coordinator and workers.

Of an example only digests travel: an image is named by the SHA-256 of its file, a text field by the
SHA-256 of its text, and the worker finds both in its own copy of the task folder. Texts and images
that are not in that folder are sent along as bytes.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ...core.prompt import FieldText, Message
from ...core.requests import GenerateRequest, ScoreRequest
from ...io.images import content_hash

R = TypeVar("R", ScoreRequest, GenerateRequest)


@dataclass(frozen=True)
class TextDigest:
    """In place of a text field that the worker has."""

    digest: str


@dataclass(frozen=True)
class SentFile:
    """An image that the worker does not have: its name and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Question:
    """What a worker is asked. `files` are by content hash."""

    operation: str
    arguments: tuple[Any, ...]
    files: Mapping[str, SentFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What a worker answers: a value, or the error that the same request would raise on any
    machine. `seconds` were spent inside the worker."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


def packed(value: Question | Reply) -> bytes:
    return pickle.dumps(value, protocol=5)


def unpacked(data: bytes) -> Any:
    """The value in bytes of our own workers or coordinator, which trust each other with code (see
    docs/fleet.md)."""
    return pickle.loads(data)


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digested(request: R, known_texts: Mapping[str, str]) -> R:
    """The request as it travels: images by hash, and text fields that workers have by digest."""
    return replace(
        request,
        images=tuple(Path(content_hash(image)) for image in request.images),
        messages=_mapped(request.messages, lambda text: _as_digest(text, known_texts)),
    )


def _as_digest(text: FieldText, known: Mapping[str, str]) -> object:
    digest = known.get(text)
    return text if digest is None else TextDigest(digest)


def restored(request: R, images: Mapping[str, Path], texts: Mapping[str, str]) -> R:
    """The request as the worker's engine gets it. Raises `KeyError` for a missing digest."""
    return replace(
        request,
        images=tuple(images[str(digest)] for digest in request.images),
        messages=tuple(
            replace(
                message,
                content=tuple(
                    FieldText(texts[part.digest]) if isinstance(part, TextDigest) else part
                    for part in message.content
                ),
            )
            for message in request.messages
        ),
    )


def _mapped(
    messages: Sequence[Message], change: Callable[[FieldText], object]
) -> tuple[Message, ...]:
    changed = []
    for message in messages:
        content: tuple[Any, ...] = tuple(
            change(part) if isinstance(part, FieldText) and part else part
            for part in message.content
        )
        changed.append(replace(message, content=content))
    return tuple(changed)


def key_of(request: ScoreRequest | GenerateRequest) -> tuple[str, ...]:
    """What makes a worker the right one for a travelling request: its images, or without any its
    text fields, or its whole text."""
    if request.images:
        return tuple(str(digest) for digest in request.images)
    parts = (part for message in request.messages for part in message.content)
    fields = tuple(
        part.digest if isinstance(part, TextDigest) else text_digest(part)
        for part in parts
        if isinstance(part, TextDigest | FieldText)
    )
    return fields or (text_digest(repr(request.messages)),)
