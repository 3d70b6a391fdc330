"""Where the search goes next: the tree of prompts, and the rules that choose moves in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...priors import Beliefs
from .best_first import BestFirst
from .puct import Puct
from .tree import Arm, Fresh, Move, Node, Policy, Tree

POLICIES: Mapping[str, Callable[[Beliefs], Policy]] = {"puct": Puct, "best-first": BestFirst}

__all__ = ["POLICIES", "Arm", "BestFirst", "Fresh", "Move", "Node", "Policy", "Puct", "Tree"]
