"""The answers that a run knows: those in its journal, and those of other runs in the shared cache.

Answers are kept by the key of their request and by option, so that two prompts that differ only in
their verbalisers share what they have in common. An answer from an earlier part of the same run (a
resumed journal) is `due`: it is charged at its first use as if it had just been computed, so that a
resumed run spends its budget exactly as an uninterrupted one. It knows no engine and no budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.results import Cost
from .journal import Journal
from .records import Answer, CacheMark, ScoreAnswer, TextAnswer, cost_of
from .response_cache import Asked, ResponseCache

TEXT = ("",)
"""The options of a request for text, whose answer is kept as one."""


@dataclass
class Entry:
    """A known answer; `due` is its cost until it is charged."""

    answer: Answer
    due: Cost

    def charge(self) -> Cost:
        """The cost at the first use, nothing afterwards."""
        cost, self.due = self.due, Cost()
        return cost

    @property
    def owed(self) -> bool:
        """Whether its first use costs budget."""
        return bool(self.due.evaluations) and not self.answer.cached


class ResponseStore:
    """Answers by key and option."""

    def __init__(self, journal: Journal | None = None, cache: ResponseCache | None = None) -> None:
        self._journal = journal or Journal.memory()
        self._cache = cache
        self._entries: dict[str, dict[str, Entry]] = {}
        answers: list[Answer] = [*self._journal.records(ScoreAnswer)]
        for answer in answers + self._journal.records(TextAnswer):
            self._remember(answer)
        self._rewind_cache()

    def known(self, key: str) -> dict[str, Entry]:
        """The answers under a key, by option."""
        return self._entries.get(key, {})

    def fetch(self, asked: Sequence[Asked], evaluations: int) -> None:
        """Take over what the cache has, and journal it: a resumed run need not find it again.
        `evaluations` is what one such request counts."""
        if self._cache is None or not asked:
            return
        wanted = [(key, () if options == TEXT else options) for key, options in asked]
        found = [
            replace(answer, evaluations=evaluations, cached=True)
            for answer in self._cache.find(wanted)
            if answer is not None
        ]
        self._journal.append(found)
        for answer in found:
            self._remember(answer)

    def keep(self, answers: Sequence[Answer]) -> None:
        """Add new answers. The journal comes first: what other runs can see must never be unknown
        to a resumed one."""
        self._journal.append(answers)
        if self._cache is not None:
            self._cache.keep(answers)
        for answer in answers:
            self._remember(answer)

    def _remember(self, answer: Answer) -> None:
        entry = Entry(answer, cost_of(answer))
        known = self._entries.setdefault(answer.key, {})
        for option in answer.scores if isinstance(answer, ScoreAnswer) else TEXT:
            known.setdefault(option, entry)

    def _rewind_cache(self) -> None:
        """A resumed run sees of the cache what it saw when it started: nothing, if it had none."""
        if self._cache is None:
            return
        marks = [record.mark for record in self._journal.records(CacheMark)]
        if not marks:
            marks = ["" if self._entries else self._cache.mark]
            self._journal.append([CacheMark(marks[0])])
        self._cache.rewind(marks[0])
