"""The README's figures are those of the raw results (`python -m benchmarks.readme` renews them)."""

from __future__ import annotations

from pathlib import Path

from benchmarks.readme import filled

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_readme_says_what_was_measured() -> None:
    text = README.read_text(encoding="utf-8")
    assert filled(text) == text
    assert "<!-- figures -->\n|" in text
    assert "<!-- transcript -->\n```" in text
