"""Other search policies over the same pool of strategies, for `benchmarks/compare.py`.

All of them run inside the package's own tree search: they get the same edits, the same racing and
the same cross-fitted scores, and differ only in the choice of the next edit. That makes them
stronger than their originals, which score every candidate on all examples.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from idealprompt_cli.core.interfaces import Strategy
from idealprompt_cli.search.policies import BestFirst, Move, Node, Tree


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


@dataclass
class Thompson:
    """Thompson sampling: a draw of what each strategy wins of what is missing, and of each prompt's
    true merit; the move with the highest sum.

    A strategy's share has a Beta posterior: `weight` uses at what is believed of it (as best first
    has it), and what it has won. A prompt's merit is drawn about a mean that it inherits from its
    parent with the weight of `inherited` examples (after MPO's prior-inherited bound, 2025).
    """

    seed: int
    weight: float = 2.0
    inherited: float = 8.0

    def __post_init__(self) -> None:
        self.rng = random.Random(f"thompson {self.seed}")
        self.shares = BestFirst()

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        merits = {node.trial.id: self._merit(node) for node in tree.nodes}
        best: tuple[float, Move] | None = None
        for node in tree.nodes:
            for place, strategy in enumerate(strategies):
                if strategy.name in node.arms and not node.arms[strategy.name].open:
                    continue
                merit = merits[node.trial.id]
                value = merit + self._share(tree, node, place, strategy) * (1.0 - merit)
                if best is None or value > best[0]:
                    best = (value, Move(node, strategy))
        return [best[1]] if best else []

    def _merit(self, node: Node) -> float:
        seen = len(node.trial.evaluation.outcomes) if node.trial.evaluation else 1
        before = node.parent.merit if node.parent else node.merit
        total = seen + self.inherited
        mean = (seen * node.merit + self.inherited * before) / total
        spread = math.sqrt(max(0.01, mean * (1.0 - mean)) / total)
        return min(1.0, max(0.0, self.rng.gauss(mean, spread)))

    def _share(self, tree: Tree, node: Node, place: int, strategy: Strategy) -> float:
        gains = tree.gains.get(strategy.name, {}).values()
        mean = self.shares.share(tree, node, place, strategy.name)
        weight = self.weight + len(gains)
        return self.rng.betavariate(max(0.05, weight * mean), max(0.05, weight * (1.0 - mean)))
