"""What an engine is asked and what it answers. Log-probabilities are natural logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .prompt import Message


@dataclass(frozen=True)
class ScoreRequest:
    """Ask for log p(option | messages, images, prefill) of each option.

    `prefill` is assistant text that already precedes the option (a description written
    first). `images` fill the `ImageSlot`s in order. Without `whole`, only the shortest beginning of
    each option that no other one has is scored, so that a long option is at no disadvantage; an
    engine that cannot may score whole options.
    """

    messages: tuple[Message, ...]
    images: tuple[Path, ...]
    options: tuple[str, ...]
    prefill: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Scored:
    """`logprobs[i]` is the summed natural-log probability of `options[i]`'s tokens (those of its
    beginning, where the request is not for `whole` options); where one option's tokens are a prefix
    of another's, the end-of-turn token is scored after each.
    `tokens` counts the positions that had to be computed for this request (shared ones are
    attributed to the first request that needed them)."""

    logprobs: tuple[float, ...]
    tokens: int = 0


@dataclass(frozen=True)
class GenerateRequest:
    """Ask for a greedy continuation. `grammar` is GBNF text or None; generation ends at the
    end of the turn, at `max_tokens`, or before any of the `stop` strings."""

    messages: tuple[Message, ...]
    images: tuple[Path, ...] = ()
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    grammar: str | None = None
    prefill: str = ""


@dataclass(frozen=True)
class Generated:
    """A continuation and the number of positions computed for it."""

    text: str
    tokens: int = 0
    finish: Literal["stop", "length"] = "stop"


@dataclass(frozen=True)
class ModelInfo:
    """Description of a loaded model; `fingerprint` is of the weights in both files."""

    engine: str
    name: str
    fingerprint: str
    architecture: str
    family: str
    quantisation: str
    n_ctx: int
    path: str = ""
    mmproj: str = ""
    mode: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
