"""Evaluations: verbalisers, margins, describe-first, batching, cost."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from idealprompt_cli.core.prompt import LabelText, Prompt, Verbaliser
from idealprompt_cli.core.task import Example
from idealprompt_cli.evaluation.evaluator import Evaluator, predict
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.metrics import METRICS

from ..support.fake_vlm import FakeVlm, shop_task

TASK = shop_task()
SEED = Prompt(TASK.question)
ASKED = Prompt(
    "Name the pattern.",
    verbalisers=(Verbaliser("K7", ("striped", "checked")), Verbaliser("M2", ("plain", "dotted"))),
)
DEFINED = SEED.with_(
    label_descriptions=(LabelText("K7", "striped or checked"), LabelText("M2", "plain or dotted"))
)


def evaluator() -> tuple[Evaluator, FakeVlm]:
    engine = FakeVlm()
    return Evaluator(MeteredEngine(engine), TASK, METRICS["accuracy"]), engine


def test_verbalised_words_are_read_as_labels() -> None:
    judge, engine = evaluator()
    done = judge.evaluate(ASKED, TASK.train)
    assert done.value == 1.0
    assert done.n == 16
    assert done.margin > 1
    assert engine.calls == 1
    first = done.outcomes[1]
    assert (first.gold, first.predicted, first.reply) == ("K7", "K7", "striped")
    assert sum(first.probabilities.values()) == pytest.approx(1.0)
    assert first.margin == pytest.approx(
        math.log(first.probabilities["K7"] / first.probabilities["M2"])
    )


def test_an_undefined_label_is_a_guess() -> None:
    judge, _ = evaluator()
    assert judge.evaluate(SEED, TASK.test).value < 0.7


def test_cost_counts_pairs_and_the_second_time_is_free() -> None:
    judge, _ = evaluator()
    assert judge.evaluate(SEED, TASK.train).cost.evaluations == 16
    assert judge.evaluate(SEED, TASK.train).cost.evaluations == 0
    assert judge.engine.account.spent.evaluations == 16


def test_many_prompts_go_out_in_one_call() -> None:
    judge, engine = evaluator()
    pairs = [(prompt, example) for prompt in (SEED, ASKED) for example in TASK.train]
    judged = judge.judge(pairs)
    assert engine.calls == 1
    assert [item.outcome.example_id for item in judged] == [e.id for _, e in pairs]


def test_describe_first_generates_then_scores_behind_the_description() -> None:
    judge, engine = evaluator()
    done = judge.evaluate(DEFINED.with_(reasoning="describe"), TASK.train[:2])
    assert engine.calls == 2
    request = engine.scored[0]
    assert request.prefill.startswith("a ")
    assert request.prefill.endswith("\nAnswer:")
    assert request.options == (" K7", " M2")
    assert done.outcomes[0].reasoning in request.prefill
    assert done.outcomes[0].reply in TASK.labels
    assert done.cost.evaluations == 2


def test_text_tasks_generate_and_grade() -> None:
    examples = tuple(
        Example(e.id, e.images, e.images[0].stem.split("_")[2], "made") for e in TASK.train
    )
    task = replace(TASK, answer="text", labels=(), train=examples, metric="exact_match")
    judge = Evaluator(MeteredEngine(FakeVlm()), task, METRICS["exact_match"])
    done = judge.evaluate(Prompt("Name the pattern."), task.train)
    assert done.value == 1.0
    assert done.outcomes[0].probabilities == {}


def test_a_word_claimed_twice_belongs_to_the_first_label() -> None:
    judge, engine = evaluator()
    greedy = ASKED.with_(
        verbalisers=(Verbaliser("K7", ("striped", "plain")), Verbaliser("M2", ("plain",)))
    )
    done = judge.evaluate(greedy, TASK.train[:1])
    assert engine.scored[0].options == ("striped", "plain")
    assert done.outcomes[0].predicted == "K7"


def test_predict_needs_no_gold() -> None:
    examples = [Example(e.id, e.images, "", "") for e in TASK.test[:3]]
    outcomes = predict(FakeVlm(), ASKED, TASK.labels, examples)
    assert [o.predicted for o in outcomes] == [e.answer for e in TASK.test[:3]]
    assert all(o.score == 0.0 and o.margin == 0.0 for o in outcomes)
