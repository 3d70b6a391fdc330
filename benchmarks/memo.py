"""An engine that never computes the same answer twice, for benchmarks that ask it a lot.

Unlike `MeteredEngine` it has no budget: every run sees the tokens and seconds that an answer took
the first time, so that methods that run later have no advantage. With a `ResponseCache`, answers
are shared between processes and runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import Message
from idealprompt_cli.core.requests import (
    Generated,
    GenerateRequest,
    ModelInfo,
    Scored,
    ScoreRequest,
)
from idealprompt_cli.storage.records import Answer, ScoreAnswer, TextAnswer
from idealprompt_cli.storage.request_keys import score_key, text_key
from idealprompt_cli.storage.response_cache import ResponseCache


class MemoEngine:
    """An `Engine`; `seconds` is what all answers given so far took when they were computed,
    `inside` what they took now, `computed` how many were computed here."""

    def __init__(self, engine: Engine, cache: ResponseCache | None = None) -> None:
        self._engine = engine
        self._info = engine.info()
        self._cache = cache
        self._scores: dict[str, dict[str, float]] = {}
        self._texts: dict[str, TextAnswer] = {}
        self._costs: dict[str, tuple[int, float]] = {}
        self._lengths: dict[tuple[Message, ...], int] = {}
        self.seconds = self.inside = 0.0
        self.computed = 0
        if cache is not None:
            cache.follow()

    def info(self) -> ModelInfo:
        return self._info

    def count_tokens(self, messages: Sequence[Message]) -> int:
        key = tuple(messages)
        if key not in self._lengths:
            self._lengths[key] = self._engine.count_tokens(messages)
        return self._lengths[key]

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        with self._timed():
            return self._score(requests)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        with self._timed():
            return self._generate(requests)

    def close(self) -> None:
        self._engine.close()
        if self._cache is not None:
            self._cache.close()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.inside += time.perf_counter() - start

    def _score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        keys = [score_key(request) for request in requests]
        missing = self._unknown(requests, keys)
        if missing:
            self._recall(missing)
            missing = self._unknown(requests, keys)
        if missing:
            start = time.perf_counter()
            answers = self._engine.score([request for _, request in missing])
            self._keep(
                [
                    ScoreAnswer(
                        key, dict(zip(request.options, answer.logprobs, strict=True)), answer.tokens
                    )
                    for (key, request), answer in zip(missing, answers, strict=True)
                ],
                start,
            )
        return [self._scored(request, key) for request, key in zip(requests, keys, strict=True)]

    def _generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        keys = [text_key(request) for request in requests]
        if self._cache is not None:
            asked = [(key, ()) for key in dict.fromkeys(keys) if key not in self._texts]
            self._remember([r for r in self._cache.find(asked) if r is not None])
        pairs = zip(keys, requests, strict=True)
        missing = {key: request for key, request in pairs if key not in self._texts}
        if missing:
            start = time.perf_counter()
            answers = self._engine.generate(list(missing.values()))
            self._keep(
                [
                    TextAnswer(key, answer.text, answer.finish, answer.tokens)
                    for key, answer in zip(missing, answers, strict=True)
                ],
                start,
            )
        answered = [(self._texts[key], self._charged(key)) for key in keys]
        return [Generated(kept.text, tokens, kept.finish) for kept, tokens in answered]

    def _unknown(
        self, requests: Sequence[ScoreRequest], keys: Sequence[str]
    ) -> list[tuple[str, ScoreRequest]]:
        return list(
            {
                (key, request.options): (key, request)
                for key, request in zip(keys, requests, strict=True)
                if not self._scores.get(key, {}).keys() >= set(request.options)
            }.values()
        )

    def _recall(self, missing: Sequence[tuple[str, ScoreRequest]]) -> None:
        if self._cache is not None:
            found = self._cache.find([(key, request.options) for key, request in missing])
            self._remember([record for record in found if record is not None])

    def _keep(self, answers: Sequence[Answer], start: float) -> None:
        share = round((time.perf_counter() - start) / len(answers), 6)
        self.computed += len(answers)
        kept = [replace(answer, seconds=share) for answer in answers]
        self._remember(kept)
        if self._cache is not None:
            self._cache.keep(kept)

    def _remember(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._costs.setdefault(answer.key, (answer.tokens, answer.seconds))
            if isinstance(answer, TextAnswer):
                self._texts[answer.key] = answer
            else:
                self._scores.setdefault(answer.key, {}).update(answer.scores)

    def _scored(self, request: ScoreRequest, key: str) -> Scored:
        known = self._scores[key]
        return Scored(tuple(known[o] for o in request.options), self._charged(key))

    def _charged(self, key: str) -> int:
        tokens, seconds = self._costs[key]
        self.seconds += seconds
        return tokens
