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
    """All nodes, and per strategy what each use has won, as a share of what was missing."""

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
    """The move with the highest expected merit: the node's own, plus the share of what is missing
    to 1 that the strategy is expected to win.

    That share is believed to fall with the strategy's place in the pool (which is ordered by
    strength) and is corrected by what the strategy has won in this run, the prior weighing as much
    as two uses. Moves on the same merit go to the better node. Whether a strategy applies is found
    out by the search: a move that yields nothing costs nothing.
    """

    first = 0.5
    decay = 0.8
    weight = 2.0

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Move | None:
        moves = [
            ((-self._expected(tree, node, place, s.name), node.rank(), place), Move(node, s))
            for node in tree.nodes
            for place, s in enumerate(strategies)
            if s.name not in node.tried
        ]
        return min(moves, key=lambda move: move[0])[1] if moves else None

    def _expected(self, tree: Tree, node: Node, place: int, name: str) -> float:
        gains = tree.gains.get(name, [])
        prior = self.first * self.decay**place
        share = (self.weight * prior + sum(gains)) / (self.weight + len(gains))
        return node.merit + share * (1.0 - node.merit)
