"""The strategy tree, laid out: which nodes are shown, where, and which are summed up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .gather import Node

SHOWN_LEAVES = 4
LONGEST, LONGEST_LAST = 34, 72
"""Letters of a label that has a column to its right, and of a last one."""


@dataclass(frozen=True)
class Spot:
    """A place in the drawing: `depth` columns from the left, `row` from the top (a parent has its
    first child's row). `node` is None for a place that summarises several nodes; a `last` one has
    nothing to its right."""

    depth: int
    row: int
    parent: int | None
    label: str
    detail: str
    kind: str
    node: Node | None = None
    last: bool = True


def lay_out(nodes: Sequence[Node], path: Sequence[int]) -> list[Spot]:
    """Spots in drawing order; `parent` is an index into the same list. Of a node's leaves the best
    are shown and the others summed up, so that hundreds of trials stay readable."""
    children: dict[int | None, list[Node]] = defaultdict(list)
    known = {node.id for node in nodes}
    for node in nodes:
        children[node.parent if node.parent in known else None].append(node)
    spots: list[Spot] = []
    row = 0

    def place(node: Node, depth: int, parent: int | None) -> None:
        nonlocal row
        kind = "winner" if path and node.id == path[-1] else "path" if node.id in path else "tried"
        own = len(spots)
        label = _label(node, visits(node))
        inner, summed = _sorted_out(children[node.id], children, path)
        last = not inner and not summed
        spots.append(Spot(depth, row, parent, label, node.note, kind, node, last))
        first = row
        for child in inner:
            place(child, depth + 1, own)
        for label, detail, kind in summed:
            spots.append(Spot(depth + 1, row, own, label, detail, kind))
            row += 1
        if row == first:
            row += 1

    def visits(node: Node) -> int:
        """Prompts that were made of this one and of those."""
        return sum(1 + visits(child) for child in children[node.id])

    for root in children[None]:
        place(root, 0, None)
    return spots


def shortened(spot: Spot) -> str:
    """The label as it is drawn."""
    return cut(spot.label, LONGEST_LAST if spot.last else LONGEST)


def cut(label: str, limit: int) -> str:
    """At most `limit` letters, ended behind a whole word where one ends late enough."""
    if len(label) <= limit:
        return label
    kept = label[: limit - 2].rstrip(" ,")
    whole = label[: limit - 1].rpartition(" ")[0].rstrip(" ,")
    return f"{whole if len(whole) > limit // 2 else kept} …"


def _sorted_out(
    own: Sequence[Node], children: dict[int | None, list[Node]], path: Sequence[int]
) -> tuple[list[Node], list[tuple[str, str, str]]]:
    """Children to draw (the winner's way first, then by score), and summaries of the others."""
    done = [node for node in own if node.state == "complete"]
    done.sort(key=lambda node: (node.id not in path, -(node.value or 0.0), node.id))
    leaves = [node for node in done if not children[node.id] and node.id not in path]
    kept = set(path) | {node.id for node in done if node not in leaves}
    kept |= {node.id for node in leaves[:SHOWN_LEAVES]}
    summed = []
    rest = leaves[SHOWN_LEAVES:]
    if rest:
        best = 100 * max(node.value or 0.0 for node in rest)
        summed.append((f"+ {len(rest)} more, at most {best:.0f} %", _names(rest), "rest"))
    for state in ("pruned", "failed"):
        group = [node for node in own if node.state == state]
        if group:
            summed.append((f"{len(group)} {state}: {_names(group, 3)}", _names(group), state))
    return [node for node in done if node.id in kept], summed


def _names(nodes: Sequence[Node], limit: int = 99) -> str:
    counts = Counter(node.strategy for node in nodes).most_common()
    shown = [name if count == 1 else f"{name} ×{count}" for name, count in counts[:limit]]
    return ", ".join(shown) + (", …" if len(counts) > limit else "")


def _label(node: Node, visits: int) -> str:
    value = "" if node.value is None else f" {100 * node.value:.0f} %"
    return f"{node.strategy}{value}{f', {visits} below' if visits else ''}"
