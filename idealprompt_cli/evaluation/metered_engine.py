"""An engine that remembers its answers and counts their cost.

Wraps an `Engine`: answers come from the `ResponseStore` where they are known, and every answer is
charged to the `Account` at its first use. Everything used again is free. A large call is computed
in chunks, each of which is on the disk before the next is asked for; `on_answers` hears how many
evaluations each was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from ..core.interfaces import Distinguishes, Engine
from ..core.prompt import Message
from ..core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ..core.results import Cost
from ..storage.journal import Journal
from ..storage.records import Answer, ScoreAnswer, TextAnswer, cost_of
from ..storage.request_keys import prefix_free, score_key, text_key
from ..storage.response_cache import ResponseCache
from ..storage.response_store import TEXT, Entry, ResponseStore
from .account import Account
from .budget import Budget
from .chunks import chunks, examples_at_once

R = TypeVar("R", ScoreRequest, GenerateRequest)
A = TypeVar("A", Scored, Generated)


class _Kind(Protocol[R, A]):
    """What differs between scoring and writing."""

    def key(self, request: R) -> str: ...

    def options(self, request: R) -> tuple[str, ...]: ...

    def merged(self, first: R, second: R) -> R | None:
        """One request in place of two with the same key, None where they must stay apart."""

    def ask(self, requests: Sequence[R]) -> Sequence[A]: ...

    def record(self, key: str, request: R, answer: A, cost: Cost) -> Answer: ...

    def answer(self, request: R, known: Mapping[str, Entry], tokens: int) -> A: ...


class _Scoring:
    def __init__(self, engine: Engine) -> None:
        self.ask = engine.score

    def key(self, request: ScoreRequest) -> str:
        return score_key(request)

    def options(self, request: ScoreRequest) -> tuple[str, ...]:
        return request.options

    def merged(self, first: ScoreRequest, second: ScoreRequest) -> ScoreRequest | None:
        """Options of the same prompt and pictures are asked together, as long as none of them
        begins another."""
        both = tuple(dict.fromkeys((*first.options, *second.options)))
        together = both == first.options or prefix_free(both)
        return replace(first, options=both) if together else None

    def record(self, key: str, request: ScoreRequest, answer: Scored, cost: Cost) -> Answer:
        scores = dict(zip(request.options, answer.logprobs, strict=True))
        return ScoreAnswer(key, scores, cost.tokens, cost.seconds, cost.evaluations)

    def answer(self, request: ScoreRequest, known: Mapping[str, Entry], tokens: int) -> Scored:
        found = (known[option].answer for option in request.options)
        scores = [one.scores if isinstance(one, ScoreAnswer) else {} for one in found]
        pairs = zip(request.options, scores, strict=True)
        return Scored(tuple(held[option] for option, held in pairs), tokens)


class _Writing:
    def __init__(self, engine: Engine) -> None:
        self.ask = engine.generate

    def key(self, request: GenerateRequest) -> str:
        return text_key(request)

    def options(self, request: GenerateRequest) -> tuple[str, ...]:
        del request
        return TEXT

    def merged(self, first: GenerateRequest, second: GenerateRequest) -> GenerateRequest | None:
        del second
        return first

    def record(self, key: str, request: GenerateRequest, answer: Generated, cost: Cost) -> Answer:
        del request
        return TextAnswer(
            key, answer.text, answer.finish, cost.tokens, cost.seconds, cost.evaluations
        )

    def answer(
        self, request: GenerateRequest, known: Mapping[str, Entry], tokens: int
    ) -> Generated:
        kept = known[self.options(request)[0]].answer
        assert isinstance(kept, TextAnswer), "keys differ between scores and texts"
        return Generated(kept.text, tokens, kept.finish)


class MeteredEngine:
    """An `Engine` with a memory and an account."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.perf_counter,
        cache: ResponseCache | None = None,
        at_once: int = 0,
    ) -> None:
        """`at_once`: examples in a chunk, 0 for what suits the model and the examples."""
        self.inner = engine
        self._clock = clock
        self._store = ResponseStore(journal, cache)
        self._at_once = at_once
        self._scoring, self._writing = _Scoring(engine), _Writing(engine)
        self.account = Account(budget or Budget())
        self.on_answers: Callable[[int], None] | None = None

    def with_budget(self, budget: Budget) -> MeteredEngine:
        """An engine with the same memory and an account of its own."""
        made = MeteredEngine(self.inner, budget=budget, clock=self._clock, at_once=self._at_once)
        made._store = self._store
        return made

    # --- Engine -----------------------------------------------------------------------------------

    def info(self) -> ModelInfo:
        return self.inner.info()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self.inner.count_tokens(messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return [scored for scored, _ in self.scores_with_cost(requests)]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        return [generated for generated, _ in self.texts_with_cost(requests)]

    def close(self) -> None:
        self.inner.close()

    # --- with costs -------------------------------------------------------------------------------

    def scores_with_cost(
        self, requests: Sequence[ScoreRequest], evaluations: int = 1
    ) -> list[tuple[Scored, Cost]]:
        """Scores and what each request cost (nothing where it was known).

        `evaluations` is what a request counts. Raises OutOfBudget before anything is computed when
        not all of it can be paid.
        """
        return self._answered(self._scoring, requests, evaluations)

    def texts_with_cost(
        self, requests: Sequence[GenerateRequest], evaluations: int = 1
    ) -> list[tuple[Generated, Cost]]:
        """Like `scores_with_cost`, for generation."""
        return self._answered(self._writing, requests, evaluations)

    def choice(
        self,
        messages: tuple[Message, ...],
        images: tuple[Path, ...],
        options: tuple[str, ...],
        prefill: str = "",
    ) -> ScoreRequest:
        """The request that compares options by their shortest beginnings that differ, so that a
        long one is at no disadvantage. Where the engine knows these as texts, they are the
        request's options, and requests with different options share their scores."""
        if isinstance(self.inner, Distinguishes) and prefix_free(options):
            short = self.inner.beginnings(messages, prefill, options)
            return ScoreRequest(messages, images, short, prefill)
        return ScoreRequest(messages, images, options, prefill, whole=False)

    def price(self, requests: Sequence[ScoreRequest]) -> int:
        """How many evaluations scoring these would cost now; asks and charges nothing."""
        keyed = [(self._scoring.key(request), request) for request in requests]
        return len(self._missing(self._scoring, keyed, unpaid=True))

    # --- inside -----------------------------------------------------------------------------------

    def _answered(
        self, kind: _Kind[R, A], requests: Sequence[R], evaluations: int
    ) -> list[tuple[A, Cost]]:
        self.account.in_flight = Cost()
        keyed = [(kind.key(request), request) for request in requests]
        unknown = [(key, kind.options(one)) for key, one in self._missing(kind, keyed)]
        self._store.fetch(unknown, evaluations)
        self.account.require(evaluations * len(self._missing(kind, keyed, unpaid=True)))
        missing = self._missing(kind, keyed)
        pictured = any(request.images for _, request in missing)
        most = self._at_once or examples_at_once(self.info(), pictured)
        for chunk in chunks(missing, most):
            self._compute(kind, chunk, evaluations)
        self.account.in_flight = Cost()
        return [self._charged(kind, key, request) for key, request in keyed]

    def _missing(
        self, kind: _Kind[R, A], keyed: Sequence[tuple[str, R]], unpaid: bool = False
    ) -> list[tuple[str, R]]:
        """Requests to send, merged where that is possible.

        With `unpaid`, what an earlier part of the run computed but this one has not paid for is
        missing too: the budget is checked as the uninterrupted run checked it at this place.
        """
        missing: dict[str, list[R]] = {}
        for key, request in keyed:
            known = self._store.known(key)
            options = kind.options(request)
            if all(one in known and not (unpaid and known[one].owed) for one in options):
                continue
            waiting = missing.setdefault(key, [])
            merged = kind.merged(waiting[-1], request) if waiting else None
            if merged is None:
                waiting.append(request)
            else:
                waiting[-1] = merged
        return [(key, request) for key, waiting in missing.items() for request in waiting]

    def _compute(self, kind: _Kind[R, A], chunk: Sequence[tuple[str, R]], evaluations: int) -> None:
        start = self._clock()
        answers = kind.ask([request for _, request in chunk])
        share = round((self._clock() - start) / len(chunk), 6)
        records = [
            kind.record(key, request, answer, Cost(evaluations, answer.tokens, share))
            for (key, request), answer in zip(chunk, answers, strict=True)
        ]
        self._store.keep(records)
        for record in records:
            self.account.in_flight += cost_of(record)
        if self.on_answers is not None and evaluations:
            self.on_answers(evaluations * len(records))

    def _charged(self, kind: _Kind[R, A], key: str, request: R) -> tuple[A, Cost]:
        known, cost = self._store.known(key), Cost()
        used = {id(known[option]): known[option] for option in kind.options(request)}
        for entry in used.values():
            cost += self.account.charge(entry.charge(), entry.answer.cached)
        return kind.answer(request, known, cost.tokens), cost
