"""An engine that remembers and counts: the cache and the till between search and model.

Wraps an `Engine`. Answers are kept in the journal by the content of the request (messages, bytes
of the pictures, prefill) and by option, so that two prompts that differ only in their verbalisers
share what they have in common. An answer from an earlier part of the same run (a resumed journal)
is charged at its first use as if it had just been computed: that is what makes a resumed run spend
its budget exactly as the unbroken one. Everything used again is free.

Answers of other runs (`ResponseCache`) cost no budget, and yet must not change a run's course:
there are two tills. `nominal` counts them as if they had been computed, `spent` does not. Plans are
made by `nominal` (`affordable`), so a run that finds its answers goes the way of one that computes,
until that one's budget would be used up; then it goes on with what it has saved. Only `spent` ends
a run.

A large call is computed in portions, each of which is on the disk before the next is asked for;
`told` hears how many evaluations each was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..core.interfaces import Engine
from ..core.prompt import Message
from ..core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ..core.results import Cost
from ..storage.journal import Journal, Record
from ..storage.request_keys import prefix_free, score_key, text_key
from ..storage.response_cache import Asked, ResponseCache
from .budget import Budget, OutOfBudget
from .chunks import pictures_at_once, portions

_FREE = Cost()


@dataclass
class _Entry:
    """What one request told; `due` is its cost until somebody is charged for it, `found` whether
    another run had computed it."""

    scores: dict[str, float]
    text: str = ""
    finish: str = "stop"
    due: Cost = _FREE
    found: bool = False

    def charge(self) -> Cost:
        cost, self.due = self.due, _FREE
        return cost

    @property
    def owed(self) -> bool:
        """Whether its first use will cost budget."""
        return bool(self.due.evaluations) and not self.found


class MeteredEngine:
    """An `Engine` with memory, a till and a limit."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal | None = None,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.perf_counter,
        cache: ResponseCache | None = None,
    ) -> None:
        self._engine = engine
        self._journal = journal or Journal.memory()
        self._clock = clock
        self._cache = cache
        self.budget = budget or Budget()
        self.spent = self.nominal = Cost()
        self.told: Callable[[int], None] | None = None
        self._ahead = _FREE
        self._at_once = pictures_at_once(engine.info())
        self._scores: dict[str, dict[str, _Entry]] = {}
        self._texts: dict[str, _Entry] = {}
        for record in self._journal.records("score"):
            self._remember_scores(record)
        for record in self._journal.records("text"):
            self._remember_text(record)
        self._look_back()

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
        """Evaluations to plan with: what the budget would still allow if nothing had been found,
        and when that is used up, what it does allow."""
        return self.budget.affordable(self.nominal) or self.room()

    def room(self) -> int:
        """Evaluations that the budget still allows."""
        return self.budget.affordable(self.spent)

    @property
    def found(self) -> int:
        """Evaluations that earlier runs had made, and that cost nothing."""
        return self.nominal.evaluations - self.spent.evaluations

    def paid_scores(
        self, requests: Sequence[ScoreRequest], unit: int = 1
    ) -> list[tuple[Scored, Cost]]:
        """Scores and what each request cost (0 where it was known).

        `unit` is what a request counts in evaluations. Raises OutOfBudget before anything is
        computed when not all of it can be paid.
        """
        keys = [score_key(request) for request in requests]
        self._fetch_scores(self._missing(requests, keys), unit)
        self._check_budget(unit * len(self._missing(requests, keys, paid_only=True)))
        for part in portions(self._missing(requests, keys), self._at_once):
            self._compute_scores(part, unit)
        self._ahead = _FREE
        return [self._scored(r, key) for r, key in zip(requests, keys, strict=True)]

    def paid_texts(
        self, requests: Sequence[GenerateRequest], unit: int = 1
    ) -> list[tuple[Generated, Cost]]:
        """Like `paid_scores`, for generation."""
        keys = [text_key(request) for request in requests]
        self._fetch_texts(dict.fromkeys(key for key in keys if key not in self._texts), unit)
        wanted = zip(keys, requests, strict=True)
        missing = {key: request for key, request in wanted if key not in self._texts}
        due = {key for key in keys if key not in missing and self._texts[key].owed}
        self._check_budget(unit * (len(missing) + len(due)))
        for part in portions(list(missing.items()), self._at_once):
            self._compute_texts(part, unit)
        self._ahead = _FREE
        answers = []
        for key in keys:
            entry = self._texts[key]
            cost = self._charge(entry)
            generated = Generated(entry.text, cost.tokens)
            cut = entry.finish == "length"
            answers.append((replace(generated, finish="length") if cut else generated, cost))
        return answers

    # --- answers of other runs --------------------------------------------------------------------

    def _look_back(self) -> None:
        """A resumed run sees of the cache what it saw when it began: nothing, if it had none."""
        if self._cache is None:
            return
        marks = [record["mark"] for record in self._journal.records("cache")]
        if not marks:
            began = bool(self._scores or self._texts)
            marks = ["" if began else self._cache.mark]
            self._journal.append([{"kind": "cache", "mark": marks[0]}])
        self._cache.rewind(marks[0])

    def _fetch_scores(self, missing: Sequence[tuple[str, ScoreRequest]], unit: int) -> None:
        asked = [(key, request.options) for key, request in missing]
        for record in self._fetched(asked, unit):
            self._remember_scores(record)

    def _fetch_texts(self, missing: Iterable[str], unit: int) -> None:
        for record in self._fetched([(key, ()) for key in missing], unit):
            self._remember_text(record)

    def _fetched(self, asked: Sequence[Asked], unit: int) -> list[Record]:
        """What the cache knows of it, journalled: a resumed run need not find it again."""
        if self._cache is None or not asked:
            return []
        found = [record for record in self._cache.find(asked) if record is not None]
        records = [{**record, "evaluations": unit, "found": True} for record in found]
        self._journal.append(records)
        return records

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
                option in known and not (paid_only and known[option].owed)
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
        self._keep(records)
        for record in records:
            self._remember_scores(record)

    def _compute_texts(self, missing: Sequence[tuple[str, GenerateRequest]], unit: int) -> None:
        start = self._clock()
        answers = self._engine.generate([request for _, request in missing])
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
            for (key, _), answer in zip(missing, answers, strict=True)
        ]
        self._keep(records)
        for record in records:
            self._remember_text(record)

    def _keep(self, records: Sequence[Record]) -> None:
        """The journal first: what only other runs can see must not be new to a resumed one."""
        self._journal.append(records)
        if self._cache is not None:
            self._cache.keep(records)
        for record in records:
            self._ahead = self._ahead + _cost(record)
        if self.told is not None and (count := sum(record["evaluations"] for record in records)):
            self.told(count)

    def reckoned(self) -> Cost:
        """What is spent, with what was computed in the midst of a call."""
        return self.spent + self._ahead

    def _remember_scores(self, record: Record) -> None:
        entry = _Entry(record["scores"], due=_cost(record), found=_is_found(record))
        known = self._scores.setdefault(record["key"], {})
        for option in entry.scores:
            known.setdefault(option, entry)

    def _remember_text(self, record: Record) -> None:
        entry = _Entry({}, record["text"], record["finish"], _cost(record), _is_found(record))
        self._texts.setdefault(record["key"], entry)

    def _scored(self, request: ScoreRequest, key: str) -> tuple[Scored, Cost]:
        known, cost = self._scores[key], _FREE
        for entry in {id(known[option]): known[option] for option in request.options}.values():
            cost = cost + self._charge(entry)
        logprobs = tuple(known[option].scores[option] for option in request.options)
        return Scored(logprobs, cost.tokens), cost

    def _charge(self, entry: _Entry) -> Cost:
        cost = entry.charge()
        self.nominal = self.nominal + cost
        if entry.found:
            return _FREE
        self.spent = self.spent + cost
        return cost

    def _check_budget(self, evaluations: int) -> None:
        if evaluations and self.budget.affordable(self.spent) < evaluations:
            raise OutOfBudget(self.budget.tightest(self.spent))


def _cost(record: Record) -> Cost:
    return Cost(record["evaluations"], record["tokens"], record["seconds"])


def _is_found(record: Record) -> bool:
    return bool(record.get("found"))
