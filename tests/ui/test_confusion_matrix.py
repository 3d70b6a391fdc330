"""Confusion matrices and wrong answers on screens of any width."""

from __future__ import annotations

import pytest

from idealprompt_cli.core.results import Outcome
from idealprompt_cli.ui.confusion_matrix import confusion_lines
from idealprompt_cli.ui.wrong_answers import wrong_lines

LABELS = ("card_arrival", "lost_or_stolen_card", "age_limit")
COUNTS = ((9, 0, 1), (2, 7, 0), (0, 0, 12))


def test_names_where_they_fit() -> None:
    assert confusion_lines(("A", "B"), ((5, 1), (0, 12)), 40) == [
        "      A   B",
        "  A   5   1",
        "  B   .  12",
    ]


def test_numbers_where_names_do_not_fit() -> None:
    assert confusion_lines(LABELS, COUNTS, 40) == [
        "                          1   2   3",
        "  1 card_arrival          9   .   1",
        "  2 lost_or_stolen_card   2   7   .",
        "  3 age_limit             .   .  12",
    ]
    assert "2 lost_or_s…" in confusion_lines(LABELS, COUNTS, 26)[2]


def test_a_list_where_numbers_do_not_fit() -> None:
    labels = [f"label-{n}" for n in range(40)]
    counts = [[(row + column) % 7 for column in range(40)] for row in range(40)]
    lines = confusion_lines(labels, counts, 60)
    assert lines[0] == "  label-0 predicted as label-6: 6"
    assert len(lines) == 13
    assert lines[-1].startswith("  and ")
    assert confusion_lines(labels, [[0] * 40] * 40, 60) == ["  no confusions"]


@pytest.mark.parametrize("width", [24, 40, 80, 200])
@pytest.mark.parametrize("count", [2, 6, 10])
def test_tables_fit(width: int, count: int) -> None:
    labels = [f"a rather long label {n}" for n in range(count)]
    lines = confusion_lines(labels, [[n * 10 for n in range(count)]] * count, width)
    if "predicted as" not in lines[0]:
        assert max(map(len, lines)) <= width


def test_wrong_answers_quote_their_texts() -> None:
    one = Outcome("line-000002", "late", "lost", 0.0, -1.0, {"lost": 0.7, "late": 0.3})
    assert wrong_lines([(one, {"text": "Where is my\ncard?"})]) == [
        "  line-000002: lost (70 %), right is late",
        '    "Where is my card?"',
    ]
    several = wrong_lines([(one, {"title": "a mug " * 30, "maker": "x"})])
    assert several[1].startswith('    title: "a mug a mug')
    assert several[1].endswith('..."')
    assert len(several[1]) < 120
    assert several[2] == '    maker: "x"'
