"""Where the search goes next: the tree's nodes and a rule that picks one and a strategy for it.

The rule is the one part of the search that is meant to be replaced; it sees nodes and what the
strategies have earned so far, never pictures or answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .crossfit import Candidate
from .interfaces import Strategy
from .types import Trial


@dataclass
class Node:
    """A complete trial with its candidate, its merit and the strategies tried on it."""

    trial: Trial
    candidate: Candidate
    merit: float
    length: int
    tried: set[str] = field(default_factory=set)

    def rank(self) -> tuple[float, int, int]:
        """Sorts better nodes first: merit in steps of 0.01, then the shorter prompt, then age."""
        return (-round(self.merit, 2), self.length, self.trial.id)


@dataclass
class Tree:
    """All nodes, and per strategy the gain of the best child over its parent at each use."""

    nodes: list[Node] = field(default_factory=list)
    gains: dict[str, list[float]] = field(default_factory=dict)

    def best(self) -> Node:
        return min(self.nodes, key=Node.rank)


@dataclass(frozen=True)
class Move:
    """A strategy to apply to a node."""

    node: Node
    strategy: Strategy


class Policy(Protocol):
    """Chooses the next move; None when there is none left."""

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Move | None: ...


class BestFirst:
    """The best node first; on it the strategies in the pool's order, those that have disappointed
    twice in this run last. Applicability is found out by the search: a move that yields nothing
    costs nothing."""

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Move | None:
        for node in sorted(tree.nodes, key=Node.rank):
            left = [s for s in strategies if s.name not in node.tried]
            if left:
                return Move(node, min(left, key=lambda s: _disappointed(tree, s.name)))
        return None


def _disappointed(tree: Tree, name: str) -> bool:
    gains = tree.gains.get(name, [])
    return len(gains) >= 2 and max(gains) <= 0.0
