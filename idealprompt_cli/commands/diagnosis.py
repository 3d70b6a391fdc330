"""A diagnosis as text for people and as events for programs (for `reflect --dry-run`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..reflection import Diagnosis


def as_text(found: Diagnosis) -> str:
    """The diagnosis for people."""
    lines = [f"The prompt scores {100 * found.value:.1f} % on the training pictures."]
    for confusion in found.confusions:
        share = f"{100 * confusion.weight:.0f} % of the loss"
        lines += ["", f"{confusion.name}: {len(confusion.cases)} pictures, {share}"]
        for case in confusion.cases:
            said = found.said.get(case.example_id, "")
            lines.append(f"  {case.example_id}: {case.reason}" + (f" ({said})" if said else ""))
    lines += ["", "Edits to try:" if found.proposals else "No edit to try."]
    for number, proposal in enumerate(found.proposals, start=1):
        lines.append(f"  {number}. {proposal.kind}: {proposal.why}")
        lines += [f"     {c.part} -> {c.after or '(nothing)'}" for c in found.changes(proposal)]
    return "\n".join(lines)


def as_events(found: Diagnosis) -> str:
    """The diagnosis for programs: an event a line."""
    events: list[dict[str, Any]] = [
        {"event": "case", "confusion": confusion.name, "example": case.example_id,
         "consequence": round(case.consequence, 4), "reason": case.reason}
        for confusion in found.confusions
        for case in confusion.cases
    ]  # fmt: skip
    events += [
        {"event": "proposal", "edit": p.kind, "why": p.why, "confusion": p.confusion,
         "inspired_by": list(p.inspired_by), "changes": [vars(c) for c in found.changes(p)]}
        for p in found.proposals
    ]  # fmt: skip
    return "\n".join(json.dumps(event, ensure_ascii=False) for event in events)
