"""Guessing answers pays only where they repeat."""

from __future__ import annotations

from idealprompt_cli.engines.llama_cpp.scheduling.sequence_groups import DecodeCost
from idealprompt_cli.engines.llama_cpp.scheduling.speculative import Drafts

COST = DecodeCost(fixed=8.0, per_sequence=1.0, per_token=1.0)


def test_the_last_answer_is_the_guess() -> None:
    drafts = Drafts()
    assert drafts.guess("a", 4) == ()
    drafts.learn("a", (), (5, 6, 7))
    assert drafts.guess("a", 4) == (5, 6, 7)
    assert drafts.guess("a", 2) == (5, 6)
    assert drafts.guess("b", 2) == ()


def test_guessing_ends_where_answers_never_repeat_and_begins_again_where_they_do() -> None:
    drafts = Drafts()
    assert drafts.worth(COST, 8)
    for _ in range(50):
        drafts.learn("a", (1, 2, 3), (4, 5, 6))
    assert not drafts.worth(COST, 8)
    for _ in range(200):
        drafts.learn("a", (1, 2, 3), (1, 2, 3))
    assert drafts.worth(COST, 8)


def test_few_answers_at_a_time_make_guessing_cheap() -> None:
    drafts = Drafts()
    for _ in range(50):
        drafts.learn("a", (1, 2, 3, 4), (1, 9))
    assert drafts.worth(COST, 1), "a decode of one token costs ten times the token"
    assert not drafts.worth(COST, 8)
