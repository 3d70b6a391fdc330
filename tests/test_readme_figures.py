"""Measured figures in the documentation equal the raw results (`python -m benchmarks.readme`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.readme import PAGES, ROOT, up_to_date

MARKS = {
    "README.md": ("<!-- photographs -->\n|", "<!-- verdict -->\n```"),
    "docs/demo.md": ("<!-- transcript -->\n```",),
    "docs/models.md": ("<!-- skills -->\n|",),
    "docs/evidence.md": ("<!-- evidence -->\n|",),
    "docs/tuning.md": ("<!-- tuning-scores -->\n",),
    "benchmarks/README.md": (
        "<!-- engine -->\n",
        "<!-- reflect -->\n|",
        "<!-- figures -->\n|",
        "<!-- real -->\n|",
        "<!-- torture -->\n- ",
    ),
}


def test_every_page_with_figures_is_listed() -> None:
    assert {str(page.relative_to(ROOT)) for page in PAGES} == set(MARKS)


@pytest.mark.parametrize("name", MARKS)
def test_figures_equal_the_results(name: str) -> None:
    text = Path(ROOT / name).read_text(encoding="utf-8")
    assert up_to_date(text) == text, "run: python -m benchmarks.readme"
    assert all(mark in text for mark in MARKS[name])
