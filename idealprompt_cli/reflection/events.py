"""A person's review of accepted edits, kept in the journal so that a resumed run asks nobody
twice."""

from __future__ import annotations

from collections.abc import Callable

from ..core.prompt import Prompt
from ..core.results import Trial
from ..prompts.serialisation import fingerprint
from ..storage.journal import Journal
from ..storage.records import ReviewRecord

# What a person makes of an accepted edit: the prompt to continue with, or None to reject it.
Review = Callable[[Trial, Prompt], Prompt | None]


def remembered(review: Review, journal: Journal) -> Review:
    """`review`, with its answers in the journal: those of an interrupted run still hold."""
    known = iter(journal.records(ReviewRecord))

    def reviewed(trial: Trial, before: Prompt) -> Prompt | None:
        of, record = fingerprint(trial.prompt), next(known, None)
        if record is not None and record.of == of:
            return record.answer
        answer = review(trial, before)
        journal.append([ReviewRecord(of, answer)])
        return answer

    return reviewed
