"""One greedy generation: choosing tokens, and detecting the end of the answer."""

from __future__ import annotations

import math
from typing import Literal

from ....core.errors import ModelError
from ....core.requests import Generated
from ..native.library import Floats
from ..native.tokenizer import Grammar, Vocabulary
from .request_plan import GenerateJob
from .token_trie import Tokens


class Continuation:
    """One generation in progress: feed it logits until `done`."""

    def __init__(self, job: GenerateJob, vocab: Vocabulary, room: int) -> None:
        self._vocab, self._job = vocab, job
        self._limit = min(job.max_tokens, room)
        self._grammar = Grammar(job.grammar, vocab.pointer) if job.grammar else None
        self._raw = b""
        self._tokens: list[int] = []
        self._finish: Literal["stop", "length"] = "length"
        self._ended = False
        self.count = 0
        self.last = -1
        self.done = self._limit <= 0

    def feed(self, logits: Floats, best: int) -> None:
        """Choose the next token from logits (n_vocab,), whose greatest is at `best`, and update
        `done`. Raises `ModelError` where they are no numbers, of which `argmax` takes the first."""
        if math.isnan(logits[best]):
            raise ModelError(
                "the model computes no numbers (NaN) where it writes an answer: its weights are "
                "damaged; download the model again"
            )
        token = self._grammar.choose(logits, best) if self._grammar else best
        if token < 0 or self._vocab.ends(token):
            self.done, self._finish, self._ended = True, "stop", True
            return
        if self._grammar:
            self._grammar.accept(token)
        self._tokens.append(token)
        self.last, self.count = token, self.count + 1
        self._raw += self._vocab.piece(token)
        if self._stopped():
            self.done, self._finish = True, "stop"
        elif self.count >= self._limit:
            self.done = True

    @property
    def room(self) -> int:
        """The most tokens that may be decoded: the last one of an answer never is."""
        return max(0, self._limit - 1)

    @property
    def decoded(self) -> Tokens:
        """The tokens so far that had to be decoded to reach the end."""
        return tuple(self._tokens if self._ended else self._tokens[:-1])

    def result(self, tokens: int) -> Generated:
        """The text so far, without what came after a stop string."""
        text = self._text()
        for stop in self._job.stop:
            text = text.partition(stop)[0]
        return Generated(text, tokens, self._finish)

    def close(self) -> None:
        if self._grammar:
            self._grammar.close()

    def _stopped(self) -> bool:
        if not self._job.stop:
            return False
        text = self._text()
        return any(stop in text for stop in self._job.stop if stop)

    def _text(self) -> str:
        text = self._raw.decode("utf-8", "ignore")
        return text.removeprefix(self._job.plan.separator)
