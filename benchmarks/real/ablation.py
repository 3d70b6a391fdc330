"""The package's search without one of its parts, as methods of `compare`.

Each part is switched off by replacing one name in the module that uses it, for one run. What is
left is the same search with the same pool and budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from benchmarks.contest import Record, contest
from benchmarks.memo import MemoEngine
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.fitting import question_bank
from idealprompt_cli.fitting.answer_reading import Reading
from idealprompt_cli.fitting.questions import questions_for
from idealprompt_cli.fitting.verbalisers import fit_verbalisers
from idealprompt_cli.prompts.questions import FORM
from idealprompt_cli.search import tree_search

_FIT = "idealprompt_cli.fitting.verbalisers.fit_reading"


@contextmanager
def without_begun_answers() -> Iterator[None]:
    """No form whose field begins the model's answer; only questions."""

    def questions(examples: Sequence[Example], asked: str = "") -> tuple[str, ...]:
        return tuple(q for q in questions_for(examples, asked) if not q.startswith(FORM))

    with patch.object(question_bank, "questions_for", questions):
        yield


@contextmanager
def without_usual_answers() -> Iterator[None]:
    """Only words that the model itself has said are scored."""
    with patch.object(question_bank, "usual_answers", lambda question: ()):
        yield


@contextmanager
def without_calibration() -> Iterator[None]:
    """Label bias is not corrected, neither of candidates nor of words that are fitted."""

    def plain(scores: Any, gold: Any, labels: Sequence[str], foreign: Any = ()) -> Reading | None:
        words = fit_verbalisers(scores, gold, labels, foreign=foreign)
        return Reading(words) if words else None

    hard, usual = (
        replace(rules, calibrate=False) for rules in (tree_search.HARD, tree_search.USUAL)
    )
    with (
        patch(_FIT, plain),
        patch.object(tree_search, "HARD", hard),
        patch.object(tree_search, "USUAL", usual),
        patch.object(tree_search.TreeSearch, "_calibrate_seed_prompt", lambda self, root: None),
    ):
        yield


PARTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "no begun answers": without_begun_answers,
    "no usual answers": without_usual_answers,
    "no calibration": without_calibration,
}


def ablated(
    method: str, engine: MemoEngine, task: Task, seed: int, budgets: Sequence[int]
) -> list[Record]:
    """The records of the search without the part that the method names."""
    with PARTS[method]():
        found = contest("puct", engine, task, seed, budgets)
    return [{**record, "method": method} for record in found]
