"""`reflect --dry-run`: a diagnosis as text for people and as events for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ..io.terminal import json_text, printable

if TYPE_CHECKING:
    from ..core.interfaces import Engine
    from ..core.task import Task
    from ..reflection import Diagnosis, Start
    from ..runs.config import RunConfig
    from ..ui.console import Console


def show_diagnosis(
    task: Task,
    model: Engine,
    config: RunConfig,
    start: Start,
    console: Console,
    events: bool,
) -> None:
    """Print what goes wrong with the prompt and what would be tried; nothing is kept."""
    from ..runs.run import run_diagnosis

    found = run_diagnosis(task, model, config, start, console.observer())
    console.close()
    typer.echo(as_events(found) if events else printable(as_text(found)))


def as_text(found: Diagnosis) -> str:
    """The diagnosis for people."""
    lines = [f"The prompt scores {100 * found.value:.1f} % on the training pictures."]
    for confusion in found.confusions:
        share = f"{100 * confusion.weight:.0f} % of the loss"
        count = len(confusion.cases)
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        lines += ["", f"{confusion.name}: {pictures}, {share}"]
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
    return "\n".join(json_text(event) for event in events)
