"""Offsets on the labels' log-probabilities: scored, kept, and free to try."""

from __future__ import annotations

import math

import pytest

from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.prompts.serialisation import from_dict, to_dict
from idealprompt_cli.reflection.calibration import calibrations

from ..support.fake_vlm import FakeVlm, shop_task

TASK = shop_task()


def test_an_offset_moves_the_odds_and_costs_nothing() -> None:
    evaluator = Evaluator(MeteredEngine(FakeVlm()), TASK, METRICS["accuracy"])
    plain = evaluator.evaluate(Prompt("Which?"), TASK.train)
    moved = evaluator.evaluate(Prompt("Which?", calibration=(("K7", 1.5),)), TASK.train)
    assert moved.cost.evaluations == 0
    for before, after in zip(plain.outcomes, moved.outcomes, strict=True):
        odds = [math.log(o.probabilities["K7"] / o.probabilities["M2"]) for o in (before, after)]
        assert odds[1] - odds[0] == pytest.approx(1.5)
        assert sum(after.probabilities.values()) == pytest.approx(1.0)


def test_it_is_kept_and_never_rendered() -> None:
    prompt = Prompt("Which?", calibration=(("K7", 1.5), ("M2", -2.0)))
    assert to_dict(prompt)["calibration"] == {"K7": 1.5, "M2": -2.0}
    assert from_dict(to_dict(prompt)) == prompt
    assert render(prompt, TASK.labels) == render(Prompt("Which?"), TASK.labels)


@pytest.mark.parametrize("bad", [[1], {"K7": "much"}, {"K7": True}, {"K7": 1e9}])
def test_anything_else_is_refused(bad: object) -> None:
    with pytest.raises(ArtifactError, match="calibration"):
        from_dict({"question": "?", "calibration": bad})


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_fold_that_holds_the_few_known_answers_gets_no_offsets(seen: int) -> None:
    task = shop_task()
    engine = MeteredEngine(FakeVlm())
    evaluator = Evaluator(engine, task, METRICS["accuracy"])
    prompt = Prompt(task.question)
    outcomes = evaluator.evaluate(prompt, task.train).outcomes
    evidence = ModelEvidence(engine, task.labels, task.train)
    outside = evidence.excluding([one.example_id for one in outcomes[seen:]])
    for proposal in calibrations(prompt, outcomes, evidence, task.labels, None):
        refit = proposal.draft.refit
        assert refit is not None
        assert refit(prompt, outside) == prompt
