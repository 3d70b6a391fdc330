"""Where the search goes next: the tree's nodes and a rule that picks one and a strategy for it.

The rule is the one part of the search that is meant to be replaced; it sees nodes and what the
strategies have earned so far, never pictures or answers.
"""

from __future__ import annotations

import math
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
    """The most promising move: the node's merit, plus the share of what is missing to 1 that the
    strategy is expected to win, plus an allowance for what has not been tried.

        merit + share * ((1 - merit) + curiosity * sqrt(moves so far))

    The share is believed to fall with the strategy's place in the pool (which is ordered by
    strength) and is corrected by what the strategy has won in this run, the prior weighing as much
    as two uses. The allowance (as in UCT, Kocsis & Szepesvari 2006) sends the walk back to strong
    moves on weak nodes once those on the best node only polish it. Whether a strategy applies is
    found out by the search: a move that yields nothing costs nothing.
    """

    first = 0.5
    decay = 0.8
    weight = 2.0
    curiosity = 0.2

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Move | None:
        worth = self.curiosity * math.sqrt(sum(len(gains) for gains in tree.gains.values()))
        shares = [self._share(tree, place, s.name) for place, s in enumerate(strategies)]
        moves = [
            ((-node.merit - share * (1.0 - node.merit + worth), node.rank(), place), Move(node, s))
            for node in tree.nodes
            for place, (s, share) in enumerate(zip(strategies, shares, strict=True))
            if s.name not in node.tried
        ]
        return min(moves, key=lambda move: move[0])[1] if moves else None

    def _share(self, tree: Tree, place: int, name: str) -> float:
        gains = tree.gains.get(name, [])
        prior = self.first * self.decay**place
        return (self.weight * prior + sum(gains)) / (self.weight + len(gains))
