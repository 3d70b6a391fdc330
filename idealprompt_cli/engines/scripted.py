"""An engine that answers from a table, for tests and dry runs.

A script is YAML (or the same as a dict):

    name: fake                 # optional, as are all keys
    n_ctx: 4096
    seconds: 0                 # how long an answer takes
    rules:                     # tried in order
      - when: striped          # text (or a list: all of them) in the rendered chat
        image: K7/             # text in a picture's path
        text: A striped cup.   # the first matching rule that has it answers `generate`
        scores: {K7: -0.1}     # the first matching rule that has it answers `score`
      - when: "Answer with"
        add: {K7: 1.5}         # every matching rule's `add` is added to the scores
    default: {text: "", score: -5.0}   # for options and prompts that no rule names

A prompt is rendered as "role: text" lines, pictures as "<image>", then "assistant: " and the
prefill. One word is one token.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import ContextError, ModelError
from ..core.interfaces import Notice
from ..core.nearest import did_you_mean
from ..core.prompt import Message
from ..core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ..core.task import ModelRef
from ..io.files import read_bytes
from ..io.yaml import MAX_BYTES, plain_data
from .options import EngineOptions

Request = ScoreRequest | GenerateRequest
_KEYS = ("name", "n_ctx", "family", "seconds", "rules", "default")
_RULE_KEYS = ("when", "image", "text", "scores", "add")
_DEFAULT_KEYS = ("text", "score")


@dataclass(frozen=True)
class Rule:
    """One row of the table; `None` means that the rule does not answer that kind."""

    when: tuple[str, ...] = ()
    image: str = ""
    text: str | None = None
    scores: Mapping[str, float] | None = None
    add: Mapping[str, float] = field(default_factory=dict)

    def matches(self, chat: str, images: Sequence[Path]) -> bool:
        """Whether all of `when` is in the chat and `image` in some picture's path."""
        pictured = not self.image or any(self.image in path.as_posix() for path in images)
        return pictured and all(text in chat for text in self.when)


class ScriptedEngine:
    """An `Engine` on a table. `calls` records every request it got, in order."""

    def __init__(self, script: Mapping[str, Any], path: str = "") -> None:
        _check_keys(script, _KEYS, path)
        default = script.get("default") or {}
        _check_keys(default, _DEFAULT_KEYS, path)
        rules = script.get("rules") or []
        if not isinstance(rules, list | tuple):
            raise ModelError(f"{path}: rules should be a list, not {rules!r:.60}")
        self._rules = [_rule(row, path) for row in rules]
        self._text = str(default.get("text", ""))
        self._score = _number(default, "score", -5.0, path)
        self._seconds = _number(script, "seconds", 0.0, path, least=0.0, most=3600.0)
        self._closed = False
        self.calls: list[Request] = []
        digest = hashlib.sha256(json.dumps(script, sort_keys=True, default=str).encode())
        self._info = ModelInfo(
            engine="scripted",
            name=str(script.get("name", "scripted")),
            fingerprint=digest.hexdigest()[:16],
            architecture="scripted",
            family=str(script.get("family", "scripted")),
            quantisation="none",
            n_ctx=int(_number(script, "n_ctx", 4096, path, least=1, most=1 << 30)),
            path=path,
            mode="scripted",
        )

    def info(self) -> ModelInfo:
        """Identity; the fingerprint is the script's content."""
        return self._info

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words of the rendered chat."""
        return len(render(messages).replace("<image>", " ").split())

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Options are scored as a whole here."""
        del messages, prefill
        return options

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Scores by the rules. Raises `ContextError` for a prompt of more words than `n_ctx`."""
        chats = self._begin(requests)
        return [
            self._score_one(request, chat) for request, chat in zip(requests, chats, strict=True)
        ]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Texts by the rules, cut at `stop` strings and at `max_tokens` words."""
        chats = self._begin(requests)
        return [
            self._generate_one(request, chat) for request, chat in zip(requests, chats, strict=True)
        ]

    def close(self) -> None:
        """Further calls raise `ModelError`."""
        self._closed = True

    def _begin(self, requests: Sequence[Request]) -> list[str]:
        if self._closed:
            raise ModelError("the model is closed; open it again")
        chats = [render(request.messages, request.prefill) for request in requests]
        for chat in chats:
            if len(chat.split()) > self._info.n_ctx:
                raise ContextError(
                    f"a prompt needs {len(chat.split())} tokens and the context holds "
                    f"{self._info.n_ctx}; shorten the prompt"
                )
        self.calls.extend(requests)
        if self._seconds:  # even no sleep at all gives the processor away
            time.sleep(self._seconds * len(requests))
        return chats

    def _matching(self, request: Request, chat: str) -> list[Rule]:
        return [rule for rule in self._rules if rule.matches(chat, request.images)]

    def _score_one(self, request: ScoreRequest, chat: str) -> Scored:
        rules = self._matching(request, chat)
        base: Mapping[str, float] = next((r.scores for r in rules if r.scores is not None), {})
        logprobs = tuple(
            float(base.get(option, self._score)) + sum(r.add.get(option, 0.0) for r in rules)
            for option in request.options
        )
        return Scored(logprobs, len(chat.split()))

    def _generate_one(self, request: GenerateRequest, chat: str) -> Generated:
        rules = self._matching(request, chat)
        text = next((rule.text for rule in rules if rule.text is not None), self._text)
        for stop in request.stop:
            text = text.partition(stop)[0]
        words = text.split(" ")
        if len(words) > request.max_tokens:
            cut = " ".join(words[: request.max_tokens])
            return Generated(cut, len(chat.split()) + request.max_tokens, "length")
        return Generated(text, len(chat.split()) + len(words), "stop")


def render(messages: Sequence[Message], prefill: str = "") -> str:
    """The chat as the rules see it."""
    lines = [
        f"{message.role}: "
        + "".join(part if isinstance(part, str) else "<image>" for part in message.content)
        for message in messages
    ]
    return "\n".join([*lines, f"assistant: {prefill}"])


def open_scripted(ref: ModelRef | Path, _options: EngineOptions, _notice: Notice) -> ScriptedEngine:
    """Read a YAML script. Raises `ModelError` naming the file and what is wrong in it."""
    path = ref.text if isinstance(ref, ModelRef) else ref
    try:
        text = read_bytes(path, ModelError, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path}: is neither a GGUF file nor the YAML script of a scripted model: check the "
            "path"
        ) from error
    script = plain_data(text, str(path), ModelError)
    if not isinstance(script, dict):
        raise ModelError(f"{path}: a scripted model is a mapping with `rules`; see its manual")
    return ScriptedEngine(script, str(path))


def _rule(row: Any, path: str) -> Rule:
    _check_keys(row, _RULE_KEYS, path)
    when = row.get("when", ())
    text, scores = row.get("text"), row.get("scores")
    return Rule(
        when=(str(when),) if not isinstance(when, (list, tuple)) else tuple(map(str, when)),
        image=str(row.get("image", "")),
        text=None if text is None else str(text),
        scores=None if scores is None else _numbers(scores, path),
        add=_numbers(row.get("add") or {}, path),
    )


def _number(
    table: Mapping[str, Any],
    key: str,
    default: float,
    path: str,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> float:
    value = table.get(key, default)
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and least <= found <= most):
        raise ModelError(f"{path}: {key} is {value!r:.60}: should be a number that makes sense")
    return found


def _numbers(table: Any, path: str) -> dict[str, float]:
    try:
        return {str(option): float(value) for option, value in table.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"{path}: scores map options to numbers, not {table!r}") from error


def _check_keys(table: Any, known: Sequence[str], path: str) -> None:
    if not isinstance(table, Mapping):
        raise ModelError(f"{path}: expected a mapping with {', '.join(known)}, not {table!r}")
    for key in table:
        if key not in known:
            raise ModelError(f"{path}: unknown key {key!r}: {did_you_mean(str(key), known)}")
