"""Other search policies over the same pool of strategies, for `benchmarks/compare.py`.

All of them run inside the package's own tree search: they get the same edits, the same racing and
the same cross-fitted scores, and differ only in the choice of the next edit. That makes them
stronger than their originals, which score every candidate on all examples.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from idealprompt_cli.core.interfaces import Strategy
from idealprompt_cli.search.policies import Move, Node, Tree


def untried(node: Node, strategies: Sequence[Strategy]) -> list[Move]:
    """Moves that are left at a node, drafts that wait first."""
    waiting = [Move(node, s) for s in strategies if s.name in node.arms and node.arms[s.name].open]
    return waiting + [Move(node, s) for s in strategies if s.name not in node.arms]


@dataclass
class RandomSearch:
    """A random strategy on a random prompt that was found so far, all of its drafts."""

    seed: int

    def __post_init__(self) -> None:
        self.rng = random.Random(f"random {self.seed}")

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        moves = [move for node in tree.nodes for move in untried(node, strategies)]
        return [self.rng.choice(moves)] if moves else []


@dataclass
class BestOfN:
    """Random strategies on the seed prompt only: N candidates, the best one wins."""

    seed: int

    def __post_init__(self) -> None:
        self.rng = random.Random(f"best of n {self.seed}")

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        moves = untried(tree.nodes[0], strategies)
        return [self.rng.choice(moves)] if moves else []


@dataclass
class HillClimbing:
    """Random strategies on the best prompt so far; once they are used up, on the next best."""

    seed: int

    def __post_init__(self) -> None:
        self.rng = random.Random(f"hill {self.seed}")

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        for node in sorted(tree.nodes, key=Node.rank):
            if moves := untried(node, strategies):
                return [self.rng.choice(moves)]
        return []


@dataclass
class Beam:
    """Beam search after ProTeGi (arXiv 2305.03495): every prompt of the beam is expanded by
    `moves` random strategies, then the best `width` of all prompts so far are the next beam."""

    seed: int
    width: int = 4
    moves: int = 3
    queue: list[Move] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"beam {self.seed}")

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        if not self.queue:
            ranked = sorted(tree.nodes, key=Node.rank)
            for node in [n for n in ranked if untried(n, strategies)][: self.width]:
                moves = untried(node, strategies)
                self.queue += self.rng.sample(moves, min(self.moves, len(moves)))
        return [self.queue.pop(0)] if self.queue else []
