"""Placeholders of a question: `{column}`, and braces that are doubled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idealprompt_cli.core.placeholders import escape, fill, placeholder_names
from idealprompt_cli.core.prompt import FieldText


def test_fields_stand_where_their_names_stood() -> None:
    text = "Does {title} fit? {{no field}} {title} by { brand name }"
    assert placeholder_names(text) == ("title", "brand name")
    pieces = fill(text, {"title": "A {cup}", "brand name": "B"})
    assert pieces == ("Does ", "A {cup}", " fit? {no field} ", "A {cup}", " by ", "B")
    assert [isinstance(piece, FieldText) for piece in pieces] == [False, True] * 3
    assert fill("{a}{b}", {"a": "", "b": "x"}) == ("x",)


@pytest.mark.parametrize("text", ["a { b", "a } b", "{}", "{ }", 'as JSON: {"a": {"b": 1}}', "{{}"])
def test_a_brace_without_its_partner(text: str) -> None:
    with pytest.raises(ValueError, match="double braces that are text"):
        placeholder_names(text)


def test_an_unknown_field() -> None:
    with pytest.raises(ValueError, match=r"\{titel\} is not a field of this example \(fields: ti"):
        fill("{titel}", {"title": "x"})


@given(st.text())
def test_an_escaped_text_is_itself(text: str) -> None:
    assert placeholder_names(escape(text)) == ()
    assert "".join(fill(escape(text), {})) == text


@given(st.text(), st.text(min_size=1), st.text())
def test_any_text_may_be_a_field(before: str, value: str, after: str) -> None:
    pieces = fill(f"{escape(before)}{{x}}{escape(after)}", {"x": value})
    assert "".join(pieces) == before + value + after
    assert [piece for piece in pieces if isinstance(piece, FieldText)] == [value]
