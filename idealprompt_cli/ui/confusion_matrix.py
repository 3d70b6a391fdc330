"""A confusion matrix as lines of text that fit a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence

LEAST_NAME = 8
LISTED = 12
_INDENT = "  "


def confusion_lines(
    labels: Sequence[str], counts: Sequence[Sequence[int]], width: int
) -> list[str]:
    """Rows are the right labels, columns the answers. Columns are numbered where their names do not
    fit; where numbers do not fit either, only the confusions are listed."""
    wide = max(len(label) for label in labels)
    cell = max(wide, _digits(counts)) + 2
    if len(_INDENT) + wide + cell * len(labels) <= width:
        return _table(labels, labels, counts, wide, cell)
    names = [f"{place} {label}" for place, label in enumerate(labels, 1)]
    headings = [str(place) for place in range(1, len(labels) + 1)]
    cell = max(_digits(counts), len(headings[-1])) + 2
    room = width - len(_INDENT) - cell * len(labels)
    if room >= LEAST_NAME:
        wide = min(room, max(len(name) for name in names))
        return _table([_cut(name, wide) for name in names], headings, counts, wide, cell)
    return _listed(labels, counts)


def _digits(counts: Sequence[Sequence[int]]) -> int:
    return max(len(str(count)) for row in counts for count in row)


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def _table(
    names: Sequence[str],
    headings: Sequence[str],
    counts: Sequence[Sequence[int]],
    wide: int,
    cell: int,
) -> list[str]:
    lines = [_INDENT + " " * wide + "".join(f"{heading:>{cell}}" for heading in headings)]
    for name, row in zip(names, counts, strict=True):
        cells = "".join(f"{count or '.':>{cell}}" for count in row)
        lines.append(f"{_INDENT}{name:<{wide}}{cells}")
    return lines


def _listed(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """The most frequent confusions, and how many more there are."""
    found = [
        (count, gold, answer)
        for gold, row in zip(labels, counts, strict=True)
        for answer, count in zip(labels, row, strict=True)
        if count and answer != gold
    ]
    found.sort(key=lambda one: -one[0])
    lines = [f"{_INDENT}{gold} predicted as {answer}: {n}" for n, gold, answer in found[:LISTED]]
    if len(found) > LISTED:
        lines.append(f"{_INDENT}and {len(found) - LISTED} more confusions")
    return lines or [f"{_INDENT}no confusions"]
