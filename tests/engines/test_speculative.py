"""Guessing answers pays only where they repeat."""

from __future__ import annotations

from idealprompt_cli.engines.llama_cpp.scheduling.sequence_groups import DecodeCost
from idealprompt_cli.engines.llama_cpp.scheduling.speculative import Speculation

COST = DecodeCost(fixed=8.0, per_sequence=1.0, per_token=1.0)


def test_the_last_answer_is_the_guess() -> None:
    speculation = Speculation()
    assert speculation.draft("a", 4) == ()
    speculation.learn("a", (), (5, 6, 7))
    assert speculation.draft("a", 4) == (5, 6, 7)
    assert speculation.draft("a", 2) == (5, 6)
    assert speculation.draft("b", 2) == ()


def test_guessing_ends_where_answers_never_repeat_and_begins_again_where_they_do() -> None:
    speculation = Speculation()
    assert speculation.pays(COST, 8)
    for _ in range(50):
        speculation.learn("a", (1, 2, 3), (4, 5, 6))
    assert not speculation.pays(COST, 8)
    for _ in range(200):
        speculation.learn("a", (1, 2, 3), (1, 2, 3))
    assert speculation.pays(COST, 8)


def test_few_answers_at_a_time_make_guessing_cheap() -> None:
    speculation = Speculation()
    for _ in range(50):
        speculation.learn("a", (1, 2, 3, 4), (1, 9))
    assert speculation.pays(COST, 1), "a decode of one token costs ten times the token"
    assert not speculation.pays(COST, 8)


def test_drafts_are_counted() -> None:
    speculation = Speculation()
    speculation.learn("a", (), (5, 6, 7))
    speculation.learn("a", (5, 6, 7), (5, 6, 8))
    assert (speculation.drafted, speculation.accepted) == (3, 2)
