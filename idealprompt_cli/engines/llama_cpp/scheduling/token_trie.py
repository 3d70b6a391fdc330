"""Many token paths as one tree, and the tree as a walk that one sequence can follow.

Paths that begin alike share their first tokens' computation. A sequence follows the tree depth
first: decode down to a leaf, cut back to the branch, decode the next branch. Pure Python; knows
nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Want:
    """At a computed position: add log p of `token` to result `target`."""

    token: int
    target: int


@dataclass(frozen=True)
class Step:
    """Decode `tokens` from depth `start` (0 = the end of the head), after cutting back to it.
    `wants[i]` belong to the position of `tokens[offsets[i]]`. `owners[i]` is the path that first
    needed `tokens[i]`."""

    start: int
    tokens: Tokens
    offsets: tuple[int, ...]
    wants: tuple[tuple[Want, ...], ...]
    owners: Tokens


@dataclass
class _Node:
    token: int
    depth: int
    owner: int
    children: dict[int, _Node] = field(default_factory=dict)
    wants: list[Want] = field(default_factory=list)


def walk(
    paths: Iterable[tuple[Tokens, Sequence[Tokens]]], limit: int, branching: bool = True
) -> tuple[Step, ...]:
    """The walk that scores `options` after each `suffix`; targets number the options through.

    Paths are (suffix, options). An option's last token is looked up, never decoded. No step is
    longer than `limit` tokens. Without `branching` (memories that cannot be cut in the middle)
    every leaf is walked to from depth 0.
    """
    root, target = _Node(-1, -1, -1), 0
    for owner, (suffix, options) in enumerate(paths):
        base = _descend(root, suffix, owner)
        for option in options:
            node = base
            for token in option[:-1]:
                node.wants.append(Want(token, target))
                node = _descend(node, (token,), owner)
            node.wants.append(Want(option[-1], target))
            target += 1
    return tuple(step for run in _runs(root, branching) for step in _cut(run, limit))


def shared(before: Tokens, tokens: Tokens) -> int:
    """How many first tokens of `tokens` need not be computed again after `before`: those that both
    begin with, but never the last one, whose logits are wanted."""
    most = min(len(before), len(tokens) - 1)
    return next((i for i in range(most) if before[i] != tokens[i]), max(0, most))


def _descend(node: _Node, tokens: Iterable[int], owner: int) -> _Node:
    for token in tokens:
        child = node.children.get(token)
        if child is None:
            child = node.children[token] = _Node(token, node.depth + 1, owner)
        node = child
    return node


def _runs(root: _Node, branching: bool) -> Iterable[list[_Node]]:
    """Depth first without recursion (a path may be thousands of tokens long)."""
    branches: list[list[_Node]] = [[node] for node in reversed(root.children.values())]
    while branches:
        run = branches.pop()
        while run[-1].children:
            first, *others = run[-1].children.values()
            trunk = [] if branching else list(run)
            branches.extend([*trunk, node] for node in reversed(others))
            run.append(first)
        yield run


def _cut(run: list[_Node], limit: int) -> Iterable[Step]:
    """Steps of at most `limit` tokens; wants are asked for once, at a node's first visit."""
    for begin in range(0, len(run), limit):
        piece = run[begin : begin + limit]
        marked = [(i, tuple(node.wants)) for i, node in enumerate(piece) if node.wants]
        for node in piece:
            node.wants = []
        yield Step(
            start=piece[0].depth,
            tokens=tuple(node.token for node in piece),
            offsets=tuple(i for i, _ in marked),
            wants=tuple(wants for _, wants in marked),
            owners=tuple(node.owner for node in piece),
        )
