"""The tables of `results/torture.json` in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tables(data: Mapping[str, Any]) -> str:
    """Kills by command, inputs by what was damaged, and the sums."""
    kills, inputs = data["kills"], data["inputs"]
    moments = ", ".join(f"{count:,} {_MOMENTS[name]}" for name, count in kills["by moment"].items())
    lines = [
        f"- {kills['total']:,} kills ({moments}): {len(kills['lost'])} runs or files lost, "
        f"{len(kills['paid twice'])} answers paid twice.",
        f"- {inputs['total']:,} damaged inputs: {len(inputs['faults'])} faults (tracebacks, "
        "hangs, aborts without a line, changed foreign files, more than 2 GiB); the "
        f"largest took {inputs['peak MiB']:,} MiB.",
        f"- Processor time, measured for {inputs['with processor time']:,} of them: at most "
        f"{inputs['most processor seconds']:.1f} s. Wall time of all: at most "
        f"{inputs['slowest seconds']:.1f} s, on a machine that other work kept busy.",
    ]
    if fixed := inputs["faults fixed during the campaign"]:
        lines.append(
            f"- {fixed} cases showed a fault at first and none when repeated, after a fix "
            "or on a machine that was less busy."
        )
    return "\n".join(
        [
            *lines,
            "",
            *_table("killed command", "kills", kills["by command"]),
            "",
            *_table("damaged", "inputs", inputs["by target"]),
        ]
    )


_MOMENTS = {
    "time": "at a random time",
    "write": "in the middle of a write",
    "sync": "at a sync",
    "rename": "at a rename",
}


def _table(first: str, second: str, counts: Mapping[str, int]) -> list[str]:
    rows = [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    return [f"| {first} | {second} |", "|---|---|", *rows]
