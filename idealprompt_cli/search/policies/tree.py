"""The tree of prompts that a search has scored: nodes, arms, and what was won on each.

A policy reads it to choose moves; the search grows it. It holds no pictures and no answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...core.interfaces import Draft, Strategy
from ...core.results import Outcome, Trial
from ...evaluation.cross_fitting import Candidate
from ...evaluation.statistics import within_one_error

Fresh = tuple[Draft, Candidate]

# Drafts of a strategy that are scored at a time where no count is given.
MANY = 5
# Differences in merit below this, half a standard error with some 50 examples, decide nothing.
STEP = 0.03


@dataclass
class Arm:
    """One strategy at one node: drafts not scored yet, children, and what they have won.

    `more` makes further drafts on demand; None once there are no more. `visits`
    counts drafts scored below this arm; `total` sums their paired gains over the arm's node and
    `best` is the highest of them (both as backed up from any depth).
    """

    waiting: list[Fresh] = field(default_factory=list)
    more: Iterator[Fresh] | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    best: float = -math.inf

    @property
    def open(self) -> bool:
        """Whether there may be drafts that were not scored."""
        return bool(self.waiting) or self.more is not None

    def add(self, gain: float) -> None:
        self.visits += 1
        self.total += gain
        self.best = max(self.best, gain)


@dataclass
class Node:
    """A complete trial with its candidate and its merit. `arms` has a strategy as soon as it was
    tried here; `gain` is the paired gain over the parent; `tokens` are those of the prompt and of
    what the model is made to write before its answer; `agreement` is the draft's (see `Draft`)."""

    trial: Trial
    candidate: Candidate
    merit: float
    length: int
    parent: Node | None = None
    gain: float = 0.0
    tokens: int = 0
    agreement: float = 1.0
    readability: float = 1.0
    arms: dict[str, Arm] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The metric's value."""
        return self.trial.evaluation.value if self.trial.evaluation else self.merit

    def rank(self) -> tuple[int, float, int, int]:
        """Sorts better nodes first: merit in steps of `STEP`, then agreement and readability in
        steps of 0.1, then the shorter prompt, then age."""
        sound = round(self.agreement, 1) + round(self.readability, 1)
        return (-round(self.merit / STEP), -sound, self.length, self.trial.id)


def _nothing_known(node: Node, strategy: Strategy) -> float | None:
    del node, strategy
    return None


@dataclass
class Tree:
    """All nodes, and per strategy and node (its trial's id) what its best draft has won there, as a
    share of what was missing. `room` is how many prompts the budget could still score in full;
    `outlook` what the evidence at hand lets expect of a strategy at a node (see `Strategy`)."""

    nodes: list[Node] = field(default_factory=list)
    gains: dict[str, dict[int, float]] = field(default_factory=dict)
    room: float = 1_000.0
    outlook: Callable[[Node, Strategy], float | None] = _nothing_known

    def best(self) -> Node:
        return min(self.nodes, key=Node.rank)

    def most_readable(self, best: Node) -> Node:
        """Of the nodes with the best one's score, and not clearly less sure of it."""

        def outcomes(node: Node) -> Sequence[Outcome]:
            return node.trial.evaluation.outcomes if node.trial.evaluation else ()

        equals = [
            node
            for node in self.nodes
            if node.value >= best.value - 1e-9 and within_one_error(outcomes(best), outcomes(node))
        ]
        return min(equals, key=lambda n: (-round(n.readability, 1), n.rank()), default=best)

    def add_gain(self, node: Node, strategy: str, share: float) -> None:
        """Keep the best share that a strategy's drafts have won at a node, at least nothing."""
        uses = self.gains.setdefault(strategy, {})
        uses[node.trial.id] = max(uses.get(node.trial.id, 0.0), share)

    def back_up(self, node: Node, strategy: str, gain: float) -> None:
        """Credit a draft's paired gain over `node` to the arm and to all arms above it."""
        place: Node | None = node
        while place is not None:
            place.arms.setdefault(strategy, Arm()).add(gain)
            gain += place.gain
            strategy, place = place.trial.strategy, place.parent

    def front(self) -> list[Node]:
        """Nodes that no other beats in merit without more tokens, the cheapest first."""
        kept: list[Node] = []
        for node in sorted(self.nodes, key=lambda n: (n.tokens, *n.rank())):
            if not kept or node.merit > kept[-1].merit + 1e-9:
                kept.append(node)
        return kept


@dataclass(frozen=True)
class Move:
    """A strategy to apply to a node; at most `drafts` of its drafts are made and scored now."""

    node: Node
    strategy: Strategy
    drafts: int = MANY


class Policy(Protocol):
    """Chooses the next moves, all of which are scored in one call; none when there is none left.

    Contract: a strategy without an arm at a node may be chosen, or one whose arm is open; nothing
    else. The choice depends on the arguments alone.
    """

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]: ...
