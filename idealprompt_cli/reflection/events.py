"""What a reflection writes down beside its edits: the cases that it looked at, and what a person
said, so that a resumed run asks nobody twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.prompt import Prompt
from ..core.results import Trial
from ..prompts.serialisation import fingerprint, from_dict, to_dict
from ..storage.journal import Journal

Tell = Callable[[str, Mapping[str, Any]], None]
# What a person makes of an accepted edit: the prompt to go on with, or None to refuse it.
Review = Callable[[Trial, Prompt], Prompt | None]


def noted(tell: Tell, journal: Journal) -> Tell:
    """`tell`, with every confusion that was worked on in the journal, once."""

    def told(kind: str, data: Mapping[str, Any]) -> None:
        record = {"kind": kind, **data}
        if kind == "confusion" and record not in journal.records(kind):
            journal.append([record])
        tell(kind, data)

    return told


def remembered(review: Review, journal: Journal) -> Review:
    """`review`, with its answers in the journal: those of a broken run stand."""
    known = iter(journal.records("review"))

    def reviewed(trial: Trial, before: Prompt) -> Prompt | None:
        of, record = fingerprint(trial.prompt), next(known, None)
        if record is not None and record["of"] == of:
            return from_dict(record["answer"]) if record["answer"] else None
        wanted = review(trial, before)
        answer = None if wanted is None else to_dict(wanted)
        journal.append([{"kind": "review", "of": of, "answer": answer}])
        return wanted

    return reviewed
