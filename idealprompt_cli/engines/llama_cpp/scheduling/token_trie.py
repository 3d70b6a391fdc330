"""Token paths as a trie, and the trie as decode steps of one sequence.

Paths with a common beginning share the computation of it. A sequence traverses the trie depth
first: decode down to a leaf, truncate to the branch, decode the next branch. Pure Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Lookup:
    """At a computed position: add log p of `token` to result `target`."""

    token: int
    target: int


@dataclass(frozen=True)
class Step:
    """Decode `tokens` from depth `start` (0 = the end of the prefix), after truncating to it.
    `lookups[i]` belong to the position of `tokens[offsets[i]]`. `owners[i]` is the path that first
    needed `tokens[i]`."""

    start: int
    tokens: Tokens
    offsets: tuple[int, ...]
    lookups: tuple[tuple[Lookup, ...], ...]
    owners: Tokens


@dataclass
class _Node:
    token: int
    depth: int
    owner: int
    children: dict[int, _Node] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)


def decode_steps(
    paths: Iterable[tuple[Tokens, Sequence[Tokens]]], limit: int, branching: bool = True
) -> tuple[Step, ...]:
    """The steps that score `options` after each `suffix`; targets number all options in order.

    Backends are (suffix, options). An option's last token is looked up, never decoded. No step is
    longer than `limit` tokens. Without `branching` (memories that cannot be truncated) every leaf
    is reached from depth 0.
    """
    root, target = _Node(-1, -1, -1), 0
    for owner, (suffix, options) in enumerate(paths):
        base = _descend(root, suffix, owner)
        for option in options:
            node = base
            for token in option[:-1]:
                node.lookups.append(Lookup(token, target))
                node = _descend(node, (token,), owner)
            node.lookups.append(Lookup(option[-1], target))
            target += 1
    return tuple(step for run in _runs(root, branching) for step in _split(run, limit))


def shared(before: Tokens, tokens: Tokens) -> int:
    """How many leading tokens of `tokens` need not be computed again after `before`: the common
    beginning, but never the last token, whose logits are needed."""
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


def _split(run: list[_Node], limit: int) -> Iterable[Step]:
    """Steps of at most `limit` tokens; lookups are made once, at a node's first visit."""
    for begin in range(0, len(run), limit):
        segment = run[begin : begin + limit]
        marked = [(i, tuple(node.lookups)) for i, node in enumerate(segment) if node.lookups]
        for node in segment:
            node.lookups = []
        yield Step(
            start=segment[0].depth,
            tokens=tuple(node.token for node in segment),
            offsets=tuple(i for i, _ in marked),
            lookups=tuple(lookups for _, lookups in marked),
            owners=tuple(node.owner for node in segment),
        )
