"""What reflection worked on: each confusion, its cases by consequence, and edits tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.events import ConfusionChosen
from ...storage.records import EditRecord, Record

CASES = 5


@dataclass(frozen=True)
class Looked:
    """A wrong or barely right picture, and why it ranks where it does."""

    id: str
    consequence: float
    reason: str

    def short(self) -> str:
        """The reason without its confusion's share, which is shown with the confusion."""
        return self.reason.split(";")[0]


@dataclass(frozen=True)
class Judged:
    """An edit that was tried, and what became of it."""

    kind: str
    state: str
    why: str
    p_value: float


@dataclass(frozen=True)
class Worked:
    """A confusion; `weight` is its share of the loss that was left, `cases` come by consequence."""

    name: str
    weight: float
    cases: tuple[Looked, ...]
    edits: tuple[Judged, ...]

    def kept(self) -> tuple[Judged, ...]:
        """Edits that became part of the prompt."""
        return tuple(edit for edit in self.edits if edit.state in ("accepted", "changed"))

    def dropped(self) -> str:
        """The other edits in a phrase."""
        names = [edit.kind for edit in self.edits if edit not in self.kept()]
        return f"{len(names)} not kept ({', '.join(dict.fromkeys(names))})" if names else ""


def worked(records: Sequence[Record]) -> tuple[Worked, ...]:
    """A journal's confusions in the order in which they were worked on, each with the edits that
    follow it."""
    found: list[Worked] = []
    for record in records:
        if isinstance(record, ConfusionChosen):
            cases = tuple(
                Looked(case.example, case.consequence, case.reason) for case in record.cases
            )
            found.append(Worked(record.confusion, record.weight, cases, ()))
        elif isinstance(record, EditRecord) and found:
            edit, last = record.edit, found[-1]
            judged = Judged(edit.edit, edit.state, edit.why, edit.p_value)
            found[-1] = Worked(last.name, last.weight, last.cases, (*last.edits, judged))
    return tuple(found)


def lines(work: Sequence[Worked]) -> list[str]:
    """For a terminal."""
    if not work:
        return []
    shown = ["Reflection looked at (the most consequential first):"]
    for one in work:
        shown.append(f"  {one.name}: {100 * one.weight:.0f} % of the loss")
        shown += [f"    {case.id}: {case.short()}" for case in one.cases[:CASES]]
        more = len(one.cases) - CASES
        shown += [f"    and {more} more"] if more > 0 else []
        shown += [f"    kept: {e.kind}, {e.why} (p = {e.p_value:.2g})" for e in one.kept()]
        shown += [f"    {one.dropped()}"] if one.dropped() else []
    return shown
