"""Words, offsets and short forms of answers: what a real language model needs."""

from __future__ import annotations

import random

import pytest

from idealprompt_cli.core.prompt import Verbaliser
from idealprompt_cli.evaluation.calibration import mean_offsets
from idealprompt_cli.fitting.answer_reading import fit_reading
from idealprompt_cli.fitting.questions import (
    FORMS,
    QUESTIONS,
    TEXT_FORMS,
    TEXT_QUESTIONS,
    questions_for,
    usual_answers,
)
from idealprompt_cli.fitting.text_contrast import features
from idealprompt_cli.fitting.verbalisers import fit_verbalisers, likelihood
from idealprompt_cli.fitting.word_sources import is_piece, short_forms
from idealprompt_cli.prompts.questions import form

from ..support.fake_vlm import letters_task, shop_task

LABELS = ("A", "B")


def biased(count: int = 24) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """A model that says "clothing" far more readily than "shoe", whatever it sees."""
    rng = random.Random(3)
    gold = {str(i): LABELS[i % 2] for i in range(count)}
    right = {"A": "clothing", "B": "shoe"}
    scores = {
        i: {
            "clothing": -0.5 + (right[x] == "clothing") + rng.gauss(0, 0.2),
            "shoe": -7.0 + (right[x] == "shoe") + rng.gauss(0, 0.2),
            "thing": -3.0 + rng.gauss(0, 0.2),
        }
        for i, x in gold.items()
    }
    return scores, gold


def test_offsets_let_a_word_speak_that_is_rarely_said() -> None:
    scores, gold = biased()
    plain, chosen = fit_verbalisers(scores, gold, LABELS), fit_reading(scores, gold, LABELS)
    assert chosen is not None
    assert {v.label: v.words[0] for v in chosen.verbalisers} == {"A": "clothing", "B": "shoe"}
    before = likelihood(scores, gold, LABELS, plain) if plain else -99.0
    after = likelihood(scores, gold, LABELS, chosen.verbalisers, chosen.calibration)
    assert after > before + 5
    offsets = dict(chosen.calibration)
    assert offsets["B"] - offsets["A"] > 4


def test_no_offsets_where_they_do_not_pay() -> None:
    scores = {str(i): {"red": -0.1, "blue": -3.0} for i in range(6)}
    scores |= {str(i): {"red": -3.0, "blue": -0.1} for i in range(6, 12)}
    gold = {i: "A" if int(i) < 6 else "B" for i in scores}
    chosen = fit_reading(scores, gold, LABELS)
    assert chosen is not None
    assert chosen.verbalisers == (Verbaliser("A", ("red",)), Verbaliser("B", ("blue",)))
    assert chosen.calibration == ()


def test_few_examples_are_read_by_one_word_for_each_label() -> None:
    scores, gold = biased(4)
    scores = {i: {**row, "shoe": row["shoe"] + 4.0} for i, row in scores.items()}
    chosen = fit_reading(scores, gold, (*LABELS, "C"))
    assert chosen is not None
    assert chosen.verbalisers == (Verbaliser("A", ("clothing",)), Verbaliser("B", ("shoe",)))
    offsets = dict(chosen.calibration)
    assert offsets["B"] - offsets["A"] == pytest.approx(2.5, abs=0.5)
    # Nothing is known of a label without an example.
    assert offsets["C"] < -20
    assert fit_reading(scores, dict.fromkeys(gold, "A"), LABELS) is None


def test_mean_offsets_bring_the_means_to_the_shares() -> None:
    rows = [("A", {"A": -1.0, "B": -5.0}), ("B", {"A": -1.0, "B": -5.0})]
    assert dict(mean_offsets(rows, LABELS)) == {"A": -2.0, "B": 2.0}


def test_sentences_come_down_to_the_word_that_tells_something() -> None:
    answers = {
        "1": "The product is a red shirt",
        "2": "The product is a blue shirt",
        "3": "The product is a high shoe",
        "4": "The product is a shoe for women",
        "5": "dark green",
        "6": "",
    }
    short = short_forms(answers)
    assert [short[i] for i in "123456"] == ["shirt", "shirt", "shoe", "shoe", "dark green", ""]


def test_pairs_of_words_stand_side_by_side() -> None:
    found = features("A red mug on the table, no watermark. Striped shirt")
    assert {"red mug", "no watermark", "striped shirt"} <= found
    assert not {"mug table", "table no watermark", "watermark striped"} & found


def test_questions_take_up_the_noun_of_the_task() -> None:
    pictures, texts = shop_task().train, letters_task().train
    assert (
        questions_for(pictures, "Grade this fabric: A, B or C.")[1]
        == "What is wrong with the fabric?"
    )
    assert questions_for(pictures, "Look at the image. Which code?") == questions_for(pictures)
    assert set(questions_for(pictures)) == {*map(form, FORMS), *QUESTIONS}
    assert set(questions_for(texts, "Grade this letter.")) == {
        *map(form, TEXT_FORMS), *TEXT_QUESTIONS
    }  # fmt: skip


def test_usual_answers_are_those_to_the_attribute() -> None:
    assert "accessory" in usual_answers(form("type"))
    assert usual_answers("What is the object used for?") == usual_answers(form("use"))
    assert usual_answers("Who is the product for?")[:2] == ("men", "women")
    assert usual_answers(form("color and item")) == usual_answers("What color is the object?")
    for question in ("Are the objects the same color?", form("item"), "What is the topic?"):
        assert usual_answers(question) == ()


def test_pieces_of_other_words_are_no_answers() -> None:
    words = (
        "top-up",
        "up",
        "handbag",
        "hand",
        "t-shirt",
        "shirt",
        "shoe",
        "shoes",
        "bank",
        "banking",
    )
    kept = [word for word in words if not is_piece(word, words)]
    assert kept == ["top-up", "handbag", "t-shirt", "shirt", "shoe", "shoes", "bank", "banking"]
