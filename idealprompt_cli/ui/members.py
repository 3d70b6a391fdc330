"""The members of a committee, a line each, for tables and reports."""

from __future__ import annotations

from ..artifact import StoredCommittee, StoredMember

SHOWN = 3


def member_lines(committee: StoredCommittee) -> list[str]:
    """The question of each member, and for each label the words that speak most for it."""
    return [_line(member) for member in committee.members]


def _line(member: StoredMember) -> str:
    question = " ".join(f"{member.prompt.question} {member.prompt.answer_start}".split())
    found = []
    for label, weights in member.weights.items():
        best = sorted(zip(weights, member.words, strict=True), reverse=True)[:SHOWN]
        words = [word for weight, word in best if weight > 0]
        found.append(f"{', '.join(words) or 'nothing'} for {label}")
    return f"{question} ({'; '.join(found)})"
