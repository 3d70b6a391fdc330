"""Proposers: only models that can write are asked, and what they write is checked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from idealprompt_cli.core.requests import Generated, GenerateRequest
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.validation import clean, copies, fit_rewrite, names
from idealprompt_cli.proposers import PROPOSERS
from idealprompt_cli.proposers.same_model import SameModel, same_model
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.strategies import select

from ..support.fake_vlm import FakeVlm, graded_task


class Writer(FakeVlm):
    """The pretend model, with an answer to whatever comes without a picture."""

    def __init__(self, reply: str | None = None) -> None:
        super().__init__()
        self.reply = reply
        self.asked: list[str] = []

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        if requests[0].images:
            return super().generate(requests)
        self.asked += [str(r.messages[0].content[0]) for r in requests]
        return [Generated(self._write(text), 9) for text in self.asked[-len(requests) :]]

    def _write(self, text: str) -> str:
        return f"Please say: {text.split(': ', 1)[1]}" if self.reply is None else self.reply


def searched(engine: FakeVlm, journal: Journal | None = None, proposer: str = "same") -> RunResult:
    return searched_with(["rewrite", "cues"], 500, engine, journal, proposer)


def searched_with(
    names: Sequence[str],
    budget: int,
    engine: FakeVlm,
    journal: Journal | None = None,
    proposer: str = "same",
) -> RunResult:
    context = open_context(
        graded_task(), engine, METRICS["accuracy"], Budget(evaluations=budget), journal=journal
    )
    return search(context, SearchSettings(select(names), proposer=PROPOSERS[proposer]))


@pytest.mark.parametrize("reply", ["", "item", "the the the the the", "a cat sat on a mat today"])
def test_a_model_that_rambles_is_asked_once_or_twice_only(reply: str) -> None:
    engine = Writer(reply)
    assert same_model(engine) is None
    assert len(engine.asked) <= 2


def test_a_model_that_rewords_becomes_a_proposer() -> None:
    assert isinstance(same_model(Writer()), SameModel)
    assert PROPOSERS["none"](Writer()) is None


def test_what_is_written_is_paid_and_replayed() -> None:
    engine, journal = Writer(), Journal.memory()
    found = searched(engine, journal)
    assert len(engine.asked) > 2
    assert "rewrite" in {trial.strategy for trial in found.trials}
    again = Writer()
    assert searched(again, journal).winner == found.winner
    assert not again.asked


def test_nobody_is_asked_where_no_strategy_needs_it() -> None:
    engine = Writer()
    searched_with(["cues"], 200, engine)
    assert not engine.asked
    assert "rewrite" not in {t.strategy for t in searched(Writer(), proposer="none").trials}


# --- the guard ------------------------------------------------------------------------------------


def test_lead_ins_and_quotes_are_taken_off() -> None:
    assert clean('Sure, here it is: "Which color is it?"\nBye') == "Which color is it?"
    assert clean("1. Which color is it?") == "Which color is it?"
    assert clean("\n") == ""


def test_labels_stay_and_ramblings_go() -> None:
    asked = "Which code is it, K7 or M2?"
    assert fit_rewrite("Is the code K7 or M2 here?", asked, ("K7", "M2"), [])
    assert not fit_rewrite("Is the code K7 here?", asked, ("K7", "M2"), [])
    assert not fit_rewrite("Is the code K77 or M2 here?", asked, ("K7", "M2"), [])
    assert not fit_rewrite("which code is it K7 or M2", asked, ("K7", "M2"), [])
    assert not fit_rewrite("code " * 12, "What code?", (), [])
    assert not fit_rewrite("word " * 3 + " ".join(map(str, range(90))), asked, (), [])
    assert not names("K77", "K7")


def test_a_training_picture_is_not_quoted() -> None:
    said = ["a red striped mug, scratched at the rim"]
    assert copies("Is there a red striped mug, scratched?", said)
    assert not copies("Is the mug striped?", said)
    assert not fit_rewrite("Is it a red striped mug, scratched or not?", "What is it?", (), said)
