"""The recipe of SmolLM2's eyes: splits that never move, questions whose answers are right."""

from __future__ import annotations

from random import Random

import pytest

from training.smollm2.questions import ask_choice, ask_code, ask_yes_no, questions
from training.smollm2.splits import hashed_split, held_back
from training.smollm2.words import COLOURS, SHADES, Facts, of_product, of_solar, of_textile

VALUES = {
    "item": ["shirt", "t-shirt", "watch"],
    "color": list(COLOURS),
    "audience": ["men", "women"],
    "usage": ["casual", "formal"],
    "category": ["clothing", "footwear", "accessory"],
    "place": ["chest", "wrist"],
    "condition": ["good", "damaged", "wrong"],
    "defect": ["none", "local", "global"],
}
ROW = {
    "gender": "Men",
    "masterCategory": "Apparel",
    "subCategory": "Topwear",
    "articleType": "Tshirts",
    "baseColour": "Navy Blue",
    "usage": "Casual",
}


def test_splits_depend_on_the_name_alone() -> None:
    names = [f"solar/images/cell{i:04d}.png" for i in range(1, 2001)]
    found = [hashed_split(n) for n in names]
    assert found == [hashed_split(n) for n in names]
    assert 0.22 < found.count("bench") / 2000 < 0.28
    assert 0.02 < found.count("valid") / 2000 < 0.06
    assert hashed_split("solar/images/cell0006.png") == "bench"
    assert {held_back(n) for n in names} == {"train", "valid"}


def test_facts_of_a_product_are_plain_words() -> None:
    facts = of_product(ROW)
    assert (facts.item, facts.color, facts.shade) == ("t-shirt", "blue", "navy blue")
    assert (facts.audience, facts.usage, facts.category) == ("men", "casual", "clothing")


def test_unknown_labels_are_left_out() -> None:
    row = {**ROW, "baseColour": "Multi", "usage": "NA", "articleType": "Footballs"}
    facts = of_product(row)
    assert facts.item is facts.color is facts.shade is facts.usage is None


def test_every_shade_belongs_to_a_basic_colour() -> None:
    assert set(SHADES.values()) == set(COLOURS)


@pytest.mark.parametrize("seed", range(30))
def test_answers_follow_from_the_question(seed: int) -> None:
    facts, rng = of_product(ROW), Random(seed)
    choice = ask_choice(facts, "color", VALUES, rng)
    assert choice.answer == "blue"
    assert "blue" in choice.question.lower()
    said = ask_yes_no(facts, "category", VALUES, rng)
    assert said.answer == ("yes" if "clothing" in said.question.lower() else "no")
    code = ask_code(facts, "audience", VALUES, rng)
    assert code.answer in code.question
    assert code.answer[0].isupper()


@pytest.mark.parametrize(
    ("facts", "domain"),
    [
        (of_product(ROW), "products"),
        (of_textile("local"), "textiles"),
        (of_solar("1", "mono"), "solar"),
    ],
)
def test_every_picture_gets_its_questions(facts: Facts, domain: str) -> None:
    turns = questions(facts, domain, VALUES, 40, Random(3))
    assert len(turns) == 40
    assert all(t.question and t.answer for t in turns)
