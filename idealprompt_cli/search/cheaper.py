"""Prompts that may be as good as the best one for less: the end of a search.

The front of scores against cost should have them, and a search that looks for better prompts does
not come to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.results import FrontPoint
from ..evaluation.budget import OutOfBudget
from ..evaluation.racing import race
from .policies import Move

if TYPE_CHECKING:
    from .tree_search import TreeSearch

# Budgets, in prompts scored in full, of which one is kept for the end.
AMPLE = 8


def hold_back(search: TreeSearch) -> None:
    """Keep what `score_cheaper` needs, where that is a small part of the budget."""
    account, n = search.context.account, len(search.examples)
    if any(one.saves for one in search.strategies) and account.affordable() >= AMPLE * n:
        account.held_back = n


def score_cheaper(search: TreeSearch) -> None:
    """Score cheaper drafts of the best prompt on all examples, as far as the budget allows."""
    search.context.account.held_back = 0
    best = search.tree.best()
    try:
        for strategy in search.strategies:
            if strategy.saves and strategy.name not in best.arms:
                _score_drafts(search, Move(best, strategy))
    except OutOfBudget:
        return


def _score_drafts(search: TreeSearch, move: Move) -> None:
    drafts, _ = search.drafter.drafts(move)
    before = search.drafter.image_tokens(move.node.trial.prompt)
    for draft, candidate in drafts:
        if search.drafter.image_tokens(candidate.prompt) < before:
            (finish,) = race(
                search.context.evaluator,
                [candidate],
                None,
                search.examples,
                search.fold_of,
                calibrate=True,
            )
            search.record(finish, move.node, move.strategy.name, draft.note)


def front(search: TreeSearch) -> list[FrontPoint]:
    """What none beats in score at fewer tokens, the cheapest first."""
    found = []
    for node in search.tree.front():
        images = search.drafter.image_tokens(node.trial.prompt)
        found.append(FrontPoint(node.trial.id, node.tokens - images, images))
    return found
