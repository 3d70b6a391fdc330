"""The metered engine: pays once, remembers by option, never overspends, replays a resumed run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.prompt import Message, Prompt
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.evaluation.budget import Budget, OutOfBudget
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.storage.records import Header
from idealprompt_cli.storage.request_keys import prefix_free, score_key

from ..support.fake_vlm import FakeVlm, picture

PICTURE = (picture(1),)


def ask(options: Sequence[str], question: str = "Which?") -> ScoreRequest:
    return ScoreRequest(render(Prompt(question)), PICTURE, tuple(options))


def write(question: str = "Describe.") -> GenerateRequest:
    return GenerateRequest(render(Prompt(question)), PICTURE)


def test_known_options_are_free() -> None:
    engine = FakeVlm()
    metered = MeteredEngine(engine)
    first = metered.score([ask("abc")])[0]
    second = metered.score([ask("ca")])[0]
    assert second.logprobs == (first.logprobs[2], first.logprobs[0])
    assert second.tokens == 0
    assert (metered.account.spent.evaluations, engine.calls) == (1, 1)
    metered.score([ask("ad")])
    assert metered.account.spent.evaluations == 2


def test_one_call_asks_the_options_of_equal_prompts_together() -> None:
    engine = FakeVlm()
    metered = MeteredEngine(engine)
    answers = metered.score([ask("ab"), ask("bc"), ask("ab", "Another?")])
    assert [request.options for request in engine.scored] == [("a", "b", "c"), ("a", "b")]
    assert [len(answer.logprobs) for answer in answers] == [2, 2, 2]
    assert metered.account.spent.evaluations == 2


def test_options_that_begin_each_other_are_kept_apart() -> None:
    assert prefix_free(("ab", "b"))
    assert not prefix_free(("b", "c", "bc"))
    engine = FakeVlm()
    metered = MeteredEngine(engine)
    metered.score([ask(["re", "red"]), ask(["re", "blue"]), ask(["red", "blue"])])
    assert sorted(r.options for r in engine.scored) == [
        ("re", "blue"),
        ("re", "red"),
        ("red", "blue"),
    ]


def test_texts_are_paid_once() -> None:
    metered = MeteredEngine(FakeVlm())
    first, second = metered.generate([write(), write()])
    (third,) = metered.generate([write()])
    assert first.text == second.text == third.text
    assert (first.tokens, second.tokens, third.tokens) == (9, 0, 0)
    assert (metered.account.spent.evaluations, metered.account.spent.tokens) == (1, 9)


def test_nothing_is_computed_that_cannot_be_paid() -> None:
    engine = FakeVlm()
    metered = MeteredEngine(engine, budget=Budget(evaluations=1))
    with pytest.raises(OutOfBudget) as caught:
        metered.score([ask("ab"), ask("ab", "Another?")])
    assert caught.value.reason == "evaluations"
    assert engine.calls == 0
    metered.score([ask("ab")])
    metered.score([ask("ba")])
    with pytest.raises(OutOfBudget):
        metered.generate([write()])


def test_a_resumed_run_is_charged_as_the_unbroken_one_and_computes_nothing(tmp_path: Path) -> None:
    def steps(metered: MeteredEngine) -> list[int]:
        spent = []
        for options in ("ab", "ab", "abc", "cb"):
            metered.score([ask(options)])
            metered.generate([write()])
            spent.append(metered.account.spent.evaluations)
        return spent

    with Journal.create(tmp_path, Header()) as journal:
        unbroken = steps(MeteredEngine(FakeVlm(), journal))
    engine = FakeVlm()
    with Journal.resume(tmp_path, Header()) as journal:
        assert steps(MeteredEngine(engine, journal)) == unbroken == [2, 2, 3, 3]
    assert engine.calls == 0


def test_the_clock_is_inside_the_engine_only() -> None:
    ticks = iter(range(100))
    metered = MeteredEngine(FakeVlm(), clock=lambda: float(next(ticks)))
    metered.score([ask("ab"), ask("ab", "Another?")])
    assert metered.account.spent.seconds == pytest.approx(1.0)


def test_pictures_are_known_by_content(tmp_path: Path) -> None:
    engine = FakeVlm()
    metered = MeteredEngine(engine)
    for name in ("1_red_plain_mug_intact.png", "2_red_plain_mug_intact.png"):
        (tmp_path / name).write_bytes(b"the same picture")
        metered.score([ScoreRequest(render(Prompt("q")), (tmp_path / name,), ("a", "b"))])
    assert engine.calls == 1


def test_beginnings_are_kept_with_their_company() -> None:
    """How much of an option is scored depends on the others, except for whole options."""
    whole = ScoreRequest((Message("user", ("Which?",)),), (), ("red", "blue"))
    others = replace(whole, options=("red", "rest"))
    assert score_key(whole) == score_key(others)
    beginnings = replace(whole, whole=False)
    assert score_key(beginnings) != score_key(whole)
    assert score_key(beginnings) != score_key(replace(others, whole=False))
