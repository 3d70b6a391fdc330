"""The plain policy: the most promising single move, wherever in the tree it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core.interfaces import Strategy
from ...priors import Beliefs
from .tree import Move, Node, Tree


@dataclass(frozen=True)
class BestFirst:
    """The most promising move: the node's merit, plus the share of what is missing to 1 that the
    strategy is expected to win, plus an allowance for what has not been tried.

        merit + share * ((1 - merit) + curiosity * sqrt(moves so far))

    The share is what the memory believes; without one it falls with the strategy's place in the
    pool (which is ordered by strength). It is corrected by what the strategy has won in this run,
    the belief weighing as much as two uses. The allowance (as in UCT, Kocsis & Szepesvari 2006)
    sends the search back to strong moves on weak nodes once those on the best node only polish it.
    Whether a strategy applies is found out by the search: a move that yields nothing costs nothing.
    """

    beliefs: Beliefs = field(default_factory=Beliefs)
    first: float = 0.5
    decay: float = 0.8
    weight: float = 2.0
    curiosity: float = 0.2

    def usual(self, place: int) -> float:
        """What is expected, without a memory, of the strategy at a place of the pool."""
        return self.first * self.decay**place

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        value = self.curiosity * math.sqrt(sum(len(gains) for gains in tree.gains.values()))
        moves = [
            ((-node.merit - share * (1.0 - node.merit + value), node.rank(), place), Move(node, s))
            for node in tree.nodes
            for place, s in enumerate(strategies)
            if s.name not in node.arms
            for share in (self.share(tree, node, place, s.name),)
        ]
        return [min(moves, key=lambda move: move[0])[1]] if moves else []

    def share(self, tree: Tree, node: Node, place: int, name: str) -> float:
        """Expected share of what is missing at the node that the strategy wins, in [0, 1]."""
        gains = tree.gains.get(name, {}).values()
        prior = self.beliefs.of(node.trial.strategy, name).mean(self.usual(place))
        return (self.weight * prior + sum(gains)) / (self.weight + len(gains))
