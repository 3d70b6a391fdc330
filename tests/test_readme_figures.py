"""The README's figures are those of the raw results (`python -m benchmarks.readme` renews them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.readme import READMES, filled

MARKS = {
    "README.md": ("<!-- figures -->\n|", "<!-- transcript -->\n```"),
    "benchmarks/README.md": ("<!-- engine -->\n", "<!-- reflect -->\n|"),
}


@pytest.mark.parametrize(
    ("readme", "marks"), list(zip(READMES, MARKS.values(), strict=True)), ids=list(MARKS)
)
def test_the_readmes_say_what_was_measured(readme: Path, marks: tuple[str, ...]) -> None:
    text = readme.read_text(encoding="utf-8")
    assert filled(text) == text
    assert all(mark in text for mark in marks)
