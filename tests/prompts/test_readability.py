"""Whether a person would understand a prompt."""

from __future__ import annotations

import pytest

from idealprompt_cli.core.prompt import LabelText, Prompt, Verbaliser
from idealprompt_cli.prompts.readability import is_fragment, readability

LABELS = ("R1", "R2")


def read_as(question: str, first: str, second: str) -> Prompt:
    words = (Verbaliser("R1", (first,)), Verbaliser("R2", (second,)))
    return Prompt(question, verbalisers=words)


@pytest.mark.parametrize(
    "text",
    ["The product on the left side of the image is a t", "is a high", "of leather", "a t", ""],
)
def test_what_was_cut_out_of_a_sentence_is_a_fragment(text: str) -> None:
    assert is_fragment(text)


@pytest.mark.parametrize(
    "text", ["shirt", "t-shirt", "dark green", "no watermark", "T-shirt size M1"]
)
def test_words_and_short_phrases_are_none(text: str) -> None:
    assert not is_fragment(text)


def test_the_odd_winner_of_the_first_real_run_scores_below_a_plain_question() -> None:
    odd = read_as(
        "What is on the left side of the image?",
        "The product on the left side of the image is a t",
        "The product on the left side of the image is a high",
    )
    plain = read_as("Is it clothing or footwear?", "clothing", "footwear")
    assert readability(plain, LABELS).score == 1.0
    found = readability(odd, LABELS)
    assert found.score < 0.5
    assert any("not a word or phrase" in fault for fault in found.faults)
    assert found.describe().startswith("Readability ")
    assert readability(plain, LABELS).describe() == "Readability 100 of 100."


def test_answers_that_the_question_names_are_better_than_those_it_does_not() -> None:
    open_question = read_as("What is it?", "clothing", "footwear")
    offered = read_as("Is it clothing or footwear?", "clothing", "footwear")
    assert readability(open_question, LABELS).score < readability(offered, LABELS).score
    letters = read_as("Which option?", "A", "B")
    assert readability(letters, LABELS).score == 1.0


def test_an_answer_that_the_prompt_begins_needs_no_question() -> None:
    form = read_as("Fill in the form.", "clothing", "footwear").with_(answer_start="type:")
    assert readability(form, LABELS).score == 1.0


def test_definitions_are_looked_at_phrase_by_phrase() -> None:
    good = Prompt("Which?", label_descriptions=(LabelText("R1", "red, blue or dark green"),))
    torn = Prompt("Which?", label_descriptions=(LabelText("R1", "red, is a or the left of"),))
    assert readability(good, LABELS).faults == ()
    assert readability(torn, LABELS).faults


def test_long_prompts_are_less_readable() -> None:
    assert readability(Prompt("Which? " * 200), LABELS).faults == ("long",)
