"""The second stage as the commands run it: its share of the budget, its questions, a blank
picture, a person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..budget import Budget
    from ..interfaces import Metric, Observer, Proposer
    from ..journal import Journal
    from ..ledger import Ledger
    from ..reflection import Settings
    from ..types import RunResult

# Share of the budget that `search --reflect` gives to the search; reflection gets what is left.
SEARCH_SHARE = 0.6


def first_share(budget: Budget) -> Budget:
    """What the search may spend where reflection follows."""
    from ..budget import Budget

    def part(amount: float | None) -> float | None:
        return None if amount is None else SEARCH_SHARE * amount

    evaluations, tokens = part(budget.evaluations), part(budget.tokens)
    return Budget(
        None if evaluations is None else int(evaluations),
        part(budget.seconds),
        None if tokens is None else int(tokens),
    )


def second_stage(
    found: RunResult,
    ledger: Ledger,
    budget: Budget,
    metric: Metric,
    folder: Path,
    observer: Observer,
    journal: Journal,
    proposer: Proposer | None = None,
) -> RunResult:
    """Reflection on the best few of a search, on its ledger, with all of the budget opened.

    `folder` must exist; the picture without content is written there.
    """
    from ..reflection import from_search, reflect

    ledger.budget = budget
    settings = replace(settings_for(folder), proposer=proposer)
    return reflect(
        found.task,
        ledger,
        metric,
        from_search(found),
        observer=observer,
        settings=settings,
        journal=journal,
        seed=found.seed,
    )


def settings_for(folder: Path, interactive: bool = False) -> Settings:
    """Probing questions, a grey picture in the folder, and a person if there is one."""
    from PIL import Image

    from ..reflection import Settings
    from ..strategies.questions import QUESTIONS
    from .review import ask

    blank = folder / "blank.png"
    Image.new("RGB", (224, 224), (128, 128, 128)).save(blank)
    return Settings(QUESTIONS, blank, review=ask if interactive else None)
