"""An engine that remembers and counts: the cache and the till between search and model.

Wraps an `Engine`. Answers are kept in the journal by the content of the request (messages, bytes
of the pictures, prefill) and by option, so that two prompts that differ only in their verbalisers
share what they have in common. An answer from an earlier part of the same run (a resumed journal)
is charged at its first use as if it had just been computed: that is what makes a resumed run spend
its budget exactly as the unbroken one. Everything used again is free.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from .budget import Budget, OutOfBudget
from .interfaces import Engine
from .journal import Journal, Record
from .types import (
    Cost,
    Generated,
    GenerateRequest,
    Message,
    ModelInfo,
    Scored,
    ScoreRequest,
)

_FREE = Cost()


@dataclass
class _Entry:
    """What one paid request told; `due` is its cost until somebody is charged for it."""

    scores: dict[str, float]
    text: str = ""
    finish: str = "stop"
    due: Cost = _FREE

    def charge(self) -> Cost:
        cost, self.due = self.due, _FREE
        return cost


class Ledger:
    """An `Engine` with memory, a till and a limit."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine = engine
        self._journal = journal or Journal.memory()
        self._clock = clock
        self.budget = budget or Budget()
        self.spent = Cost()
        self._scores: dict[str, dict[str, _Entry]] = {}
        self._texts: dict[str, _Entry] = {}
        for record in self._journal.records("score"):
            self._remember_scores(record)
        for record in self._journal.records("text"):
            self._remember_text(record)

    # --- Engine -----------------------------------------------------------------------------------

    def info(self) -> ModelInfo:
        return self._engine.info()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._engine.count_tokens(messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return [scored for scored, _ in self.paid_scores(requests)]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        return [generated for generated, _ in self.paid_texts(requests)]

    def close(self) -> None:
        self._engine.close()

    # --- with the bill ----------------------------------------------------------------------------

    def affordable(self) -> int:
        """Evaluations that the budget still allows."""
        return self.budget.affordable(self.spent)

    def paid_scores(
        self, requests: Sequence[ScoreRequest], unit: int = 1
    ) -> list[tuple[Scored, Cost]]:
        """Scores and what each request cost (0 where it was known).

        `unit` is what a request counts in evaluations. Raises OutOfBudget before anything is
        computed when not all of it can be paid.
        """
        keys = [_score_key(request) for request in requests]
        self._check_budget(unit * len(self._missing(requests, keys, paid_only=True)))
        missing = self._missing(requests, keys)
        if missing:
            self._compute_scores(missing, unit)
        return [self._scored(r, key) for r, key in zip(requests, keys, strict=True)]

    def paid_texts(
        self, requests: Sequence[GenerateRequest], unit: int = 1
    ) -> list[tuple[Generated, Cost]]:
        """Like `paid_scores`, for generation."""
        keys = [_text_key(request) for request in requests]
        wanted = zip(keys, requests, strict=True)
        missing = {key: request for key, request in wanted if key not in self._texts}
        due = {key for key in keys if key not in missing and self._texts[key].due.evaluations}
        self._check_budget(unit * (len(missing) + len(due)))
        if missing:
            self._compute_texts(missing, unit)
        answers = []
        for key in keys:
            entry = self._texts[key]
            cost = self._charge(entry)
            generated = Generated(entry.text, cost.tokens)
            cut = entry.finish == "length"
            answers.append((replace(generated, finish="length") if cut else generated, cost))
        return answers

    # --- inside -----------------------------------------------------------------------------------

    def _missing(
        self, requests: Sequence[ScoreRequest], keys: Sequence[str], paid_only: bool = False
    ) -> list[tuple[str, ScoreRequest]]:
        """Requests to send: options asked of the same prompt and pictures are asked together,
        as long as none of them begins another.

        With `paid_only`, what an earlier part of the run computed but this one has not paid for
        is missing too: the budget is checked as the unbroken run checked it at this place.
        """
        missing: dict[str, list[ScoreRequest]] = {}
        for request, key in zip(requests, keys, strict=True):
            known = self._scores.get(key, {})
            if all(
                option in known and not (paid_only and known[option].due.evaluations)
                for option in request.options
            ):
                continue
            waiting = missing.setdefault(key, [])
            if waiting:
                both = tuple(dict.fromkeys((*waiting[-1].options, *request.options)))
                if both == waiting[-1].options or prefix_free(both):
                    waiting[-1] = replace(waiting[-1], options=both)
                    continue
            waiting.append(request)
        return [(key, request) for key, waiting in missing.items() for request in waiting]

    def _compute_scores(self, missing: Sequence[tuple[str, ScoreRequest]], unit: int) -> None:
        start = self._clock()
        answers = self._engine.score([request for _, request in missing])
        share = (self._clock() - start) / len(missing)
        records: list[Record] = [
            {
                "kind": "score",
                "key": key,
                "scores": dict(zip(request.options, answer.logprobs, strict=True)),
                "evaluations": unit,
                "tokens": answer.tokens,
                "seconds": round(share, 6),
            }
            for (key, request), answer in zip(missing, answers, strict=True)
        ]
        self._journal.append(records)
        for record in records:
            self._remember_scores(record)

    def _compute_texts(self, missing: dict[str, GenerateRequest], unit: int) -> None:
        start = self._clock()
        answers = self._engine.generate(list(missing.values()))
        share = (self._clock() - start) / len(missing)
        records: list[Record] = [
            {
                "kind": "text",
                "key": key,
                "text": answer.text,
                "finish": answer.finish,
                "evaluations": unit,
                "tokens": answer.tokens,
                "seconds": round(share, 6),
            }
            for key, answer in zip(missing, answers, strict=True)
        ]
        self._journal.append(records)
        for record in records:
            self._remember_text(record)

    def _remember_scores(self, record: Record) -> None:
        entry = _Entry(scores=record["scores"], due=_cost(record))
        known = self._scores.setdefault(record["key"], {})
        for option in entry.scores:
            known.setdefault(option, entry)

    def _remember_text(self, record: Record) -> None:
        entry = _Entry({}, record["text"], record["finish"], _cost(record))
        self._texts.setdefault(record["key"], entry)

    def _scored(self, request: ScoreRequest, key: str) -> tuple[Scored, Cost]:
        known, cost = self._scores[key], _FREE
        for entry in {id(known[option]): known[option] for option in request.options}.values():
            cost = cost + self._charge(entry)
        logprobs = tuple(known[option].scores[option] for option in request.options)
        return Scored(logprobs, cost.tokens), cost

    def _charge(self, entry: _Entry) -> Cost:
        cost = entry.charge()
        self.spent = self.spent + cost
        return cost

    def _check_budget(self, evaluations: int) -> None:
        if evaluations and self.budget.affordable(self.spent) < evaluations:
            raise OutOfBudget(self.budget.tightest(self.spent))


def _cost(record: Record) -> Cost:
    return Cost(record["evaluations"], record["tokens"], record["seconds"])


def _score_key(request: ScoreRequest) -> str:
    """Where one option begins another one, an engine also scores the end of the turn, so that the
    answer depends on the company: then the options are part of the key."""
    company = () if prefix_free(request.options) else request.options
    return _digest("score", request.messages, request.images, request.prefill, company)


def _text_key(request: GenerateRequest) -> str:
    rest = (request.max_tokens, request.stop, request.grammar, request.prefill)
    return _digest("text", request.messages, request.images, rest)


def prefix_free(options: Sequence[str]) -> bool:
    """Whether no option begins another one."""
    return not any(b.startswith(a) for a, b in pairwise(sorted(options)))


def _digest(kind: str, messages: object, images: Sequence[Path], *rest: object) -> str:
    pictures = [_image_key(str(path)) for path in images]
    return hashlib.sha256(repr((kind, messages, pictures, rest)).encode()).hexdigest()[:32]


@lru_cache(maxsize=65536)
def _image_key(path: str) -> str:
    """The picture's content, so that a copied folder finds its answers; the path where there is
    no file (the scripted engine needs none)."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return path
