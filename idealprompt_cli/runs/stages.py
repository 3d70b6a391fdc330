"""The stages as the commands run them: progress from the ledger, reflection's settings, the
held-out pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.interfaces import Metric, Observer
    from ..core.results import RunResult
    from ..evaluation.metered_engine import MeteredEngine
    from ..reflection import Settings
    from ..reflection.events import Review
    from ..ui.console import Console


def settings_for(folder: Path, review: Review | None = None) -> Settings:
    """Probing questions, a grey picture in the folder, and a person if there is one."""
    from PIL import Image

    from ..fitting.questions import QUESTIONS
    from ..reflection import Settings

    blank = folder / "blank.png"
    Image.new("RGB", (224, 224), (128, 128, 128)).save(blank)
    return Settings(QUESTIONS, blank, review=review)


def heard_by(observer: Observer, ledger: MeteredEngine) -> MeteredEngine:
    """The ledger, which tells the observer of answers as they come."""

    def told(count: int) -> None:
        del count
        spent = ledger.reckoned()
        observer.answered(ledger.budget.spent(spent), ledger.budget.fraction(spent))

    ledger.told = told
    return ledger


def tested(result: RunResult, ledger: MeteredEngine, metric: Metric, console: Console) -> RunResult:
    """Both prompts on the held-out pictures, which is outside the budget."""
    from ..search.run import final_test

    count = len(result.task.test)
    if not count:
        return final_test(result, ledger, metric)
    console.say(f"Now both prompts on the {count} held-out pictures.")
    with console.counting(
        "held-out pictures", count * len({result.baseline, result.winner})
    ) as add:
        ledger.told = add
        return final_test(result, ledger, metric)
