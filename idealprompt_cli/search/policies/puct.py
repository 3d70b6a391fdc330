"""PUCT over the tree of strategies, with progressive widening and several moves a step.

At a node s with room r = 1 - merit(s) an arm (strategy) a has the value

    Q(s, a) + exploration * r * P(a | s) * sqrt(1 + N(s)) / (1 + N(s, a))

(Rosin 2011; Silver et al. 2016). Q is the mean of the best and the average paired gain backed up
from below the arm; before the first visit it is the gain that is believed, p(a) * r. P is p
normalised over the arms that are open at s. What is believed comes from the memory of earlier
runs and from this one (`BestFirst.share`); where the evidence at hand lets a strategy expect
little or much (its outlook), p is lowered or raised. From the root the descent follows the
best arm; an arm whose drafts are not all scored is widened when its visits have grown (k *
N^alpha, Coulom 2007), else the descent continues at its most promising child.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core.interfaces import Strategy
from ...priors import Beliefs
from .best_first import BestFirst
from .tree import Arm, Move, Node, Tree

# What a belief is multiplied by where the evidence promises nothing, or everything; and the most
# that is believed of any strategy.
LOW, HIGH = 0.15, 1.85
BEST_SHARE = 0.95


@dataclass(frozen=True)
class Puct:
    """The learnt policy. `exploration` is the PUCT constant (c in the papers). Up to `width` moves
    are chosen per step, so that their drafts are scored in one engine call; a move that was chosen
    but not scored yet counts as a visit without gain (virtual loss), which spreads them. Of a new
    arm as many drafts are scored as a part of what is left of the budget allows, one at least and
    `first_drafts` at most."""

    beliefs: Beliefs = field(default_factory=Beliefs)
    exploration: float = 0.6
    width: int = 3
    nodes_per_move: int = 8
    first_drafts: int = 5
    prompts_per_draft: float = 3.0
    widening: float = 0.5

    def choose(self, tree: Tree, strategies: Sequence[Strategy]) -> Sequence[Move]:
        descent = _Descent(self, tree, strategies)
        moves: list[Move] = []
        # A small tree is grown a move at a time: each result changes most of what is believed.
        width = min(self.width, 1 + len(tree.nodes) // self.nodes_per_move)
        while len(moves) < width and (move := descent.next()) is not None:
            moves.append(move)
        return moves

    def allowed(self, visits: int) -> int:
        """Drafts that an arm may have scored after so many visits."""
        return max(self.first_drafts, int(self.first_drafts * visits**self.widening))


@dataclass
class _Descent:
    """One step's choices; remembers what it has chosen."""

    policy: Puct
    tree: Tree
    strategies: Sequence[Strategy]
    taken: set[tuple[int, str]] = field(default_factory=set)
    losses: dict[tuple[int, str], int] = field(default_factory=dict)
    opened: dict[int, bool] = field(default_factory=dict)

    def next(self) -> Move | None:
        """The next move, from the root down; None when nothing is open."""
        self.opened.clear()
        node = self.tree.nodes[0]
        shares = BestFirst(self.policy.beliefs)
        while self._open(node):
            place = self._best_arm(node, shares)
            strategy = self.strategies[place]
            self.losses[node.trial.id, strategy.name] = self._lost(node, strategy.name) + 1
            arm = node.arms.get(strategy.name)
            if arm is None or self._widens(node, strategy.name, arm):
                self.taken.add((node.trial.id, strategy.name))
                return Move(node, strategy, self._drafts() if arm is None else 1)
            node = max(
                (child for child in arm.children if self._open(child)),
                key=lambda child: (child.merit + _promise(child), -child.trial.id),
            )
        return None

    def _drafts(self) -> int:
        bearable = int(self.tree.room / self.policy.prompts_per_draft)
        return max(1, min(self.policy.first_drafts, bearable))

    def _believed(self, node: Node, place: int, shares: BestFirst) -> float:
        """The share of the room that an arm is expected to win, in the light of its outlook."""
        strategy = self.strategies[place]
        share = shares.share(self.tree, node, place, strategy.name)
        outlook = self.tree.outlook(node, strategy)
        if outlook is None:
            return share
        promise = max(0.0, (outlook - node.value) / max(1e-9, 1.0 - node.value))
        return min(BEST_SHARE, share * (LOW + (HIGH - LOW) * min(1.0, promise)))

    def _best_arm(self, node: Node, shares: BestFirst) -> int:
        room = 1.0 - node.merit
        places = [i for i, s in enumerate(self.strategies) if self._arm_open(node, s.name)]
        believed = {i: self._believed(node, i, shares) for i in places}
        total = sum(believed.values()) or 1.0
        visits = sum(arm.visits for arm in node.arms.values())
        urge = self.policy.exploration * room * math.sqrt(1 + visits)

        def value_of(place: int) -> tuple[float, int]:
            name = self.strategies[place].name
            arm, lost = node.arms.get(name), self._lost(node, name)
            tried = (arm.visits if arm else 0) + lost
            value = believed[place] * room
            if arm is not None and arm.visits:
                value = (arm.best + arm.total / (arm.visits + lost)) / 2
            return value + urge * believed[place] / total / (1 + tried), -place

        return max(places, key=value_of)

    def _lost(self, node: Node, name: str) -> int:
        return self.losses.get((node.trial.id, name), 0)

    def _open(self, node: Node) -> bool:
        """Whether there is a move at the node or below."""
        known = self.opened.get(node.trial.id)
        if known is None:
            known = any(self._arm_open(node, s.name) for s in self.strategies)
            self.opened[node.trial.id] = known
        return known

    def _arm_open(self, node: Node, name: str) -> bool:
        arm = node.arms.get(name)
        free = (node.trial.id, name) not in self.taken
        if arm is None:
            return free
        return (arm.open and free) or any(self._open(child) for child in arm.children)

    def _widens(self, node: Node, name: str, arm: Arm) -> bool:
        """Whether a waiting draft is next: earned by visits, or nothing else is open here."""
        if not arm.open or (node.trial.id, name) in self.taken:
            return False
        scored = arm.visits - sum(_below(child) for child in arm.children)
        below = any(self._open(child) for child in arm.children)
        return not below or scored < self.policy.allowed(arm.visits)


def _below(node: Node) -> int:
    return sum(arm.visits for arm in node.arms.values())


def _promise(node: Node) -> float:
    """What the best draft below a node has won over it, at least nothing; a little more for a
    child that was not gone into."""
    best = max((arm.best for arm in node.arms.values()), default=0.0)
    return max(0.0, best) + 0.1 * (1.0 - node.merit) / (1 + _below(node))
