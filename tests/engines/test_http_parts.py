"""The parts of the http engine that know no server."""

from __future__ import annotations

import math

import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.engines.http.forced_scoring import FLOOR, ForcedScores, ReportedPosition
from idealprompt_cli.engines.http.grammar_check import longest
from idealprompt_cli.engines.http.top_logprobs import UNLISTED, Prefixes
from idealprompt_cli.prompts.validation import SENTENCE

# --- forced paths ---------------------------------------------------------------------------------


def test_one_request_tells_of_others() -> None:
    forced = ForcedScores([(1, 2), (1, 3), (4,)])
    assert forced.next() == (1, 2)
    forced.learn(
        (1, 2), [ReportedPosition(1, {1: -1.0, 4: -2.0}), ReportedPosition(2, {2: -0.5, 3: -0.25})]
    )
    assert forced.next() is None
    assert forced.complete()
    assert forced.totals() == (-1.5, -1.25, -2.0)


def test_what_was_not_shown_is_asked_for() -> None:
    forced = ForcedScores([(1,), (2,)])
    forced.learn(forced.next() or (), [ReportedPosition(1, {1: -1.0})])
    assert forced.next() == (2,)
    forced.learn((2,), [ReportedPosition(2, {2: -1e38})])
    assert forced.totals() == (-1.0, FLOOR)


def test_a_server_that_hides_half_a_character() -> None:
    forced = ForcedScores([(7, 8, 9)])
    forced.learn(
        forced.next() or (), [ReportedPosition(8, {8: -1.0}), ReportedPosition(9, {9: -2.0})]
    )
    assert forced.next() is None
    assert not forced.complete()
    assert forced.totals() == (-3.0,)


# --- listed prefixes ------------------------------------------------------------------------------


def test_options_are_followed_along_the_longest_token() -> None:
    tried = Prefixes(("red", "rest"))
    assert tried.missing() == ""
    tried.learn("", [("re", {"r": -3.0, "re": -1.0}), ("d", {"d": -0.5})])
    assert tried.missing() is None
    assert tried.totals() == (-1.5, -1.0 - 0.5 - UNLISTED)
    assert tried.unlisted() == (False, True)


def test_blanks_before_the_answer_do_not_matter() -> None:
    tried = Prefixes((" red", " blue"))
    assert tried.blank == " "
    tried.learn("", [(" red", {" red": -0.1, "blue": -2.0})])
    assert tried.totals() == (-0.1, -2.0)


def test_an_option_that_begins_another() -> None:
    tried = Prefixes(("red", "red or blue"))
    tried.learn("", [("red", {"red": -1.0})])
    assert tried.missing() == "red"
    tried.learn("red", [(" or", {" or": math.log(0.25), ".": -1.0}), (" blue", {" blue": -0.5})])
    assert tried.totals()[0] == pytest.approx(-1.0 + math.log(0.75))
    assert tried.totals()[1] == pytest.approx(-1.0 + math.log(0.25) - 0.5)


def test_where_nothing_can_be_listed_the_rest_counts_as_sure() -> None:
    tried = Prefixes(("ab", "cd"))
    tried.learn("", [("a", {"a": -1.0, "c": -2.0})])
    while (place := tried.missing()) is not None:
        tried.give_up(place)
    assert tried.totals() == (-1.0, -2.0)


def test_beginnings_end_where_no_other_option_goes_on_alike() -> None:
    tried = Prefixes(("not red at all", "not blue", "green as grass"), whole=False)
    tried.learn("", [("not", {"not": -1.0, "green": -2.0})])
    assert tried.missing() == "not"
    tried.learn("not", [(" red", {" red": -0.5, " blue": -0.25})])
    assert tried.missing() is None
    assert tried.totals() == (-1.5, -1.25, -2.0)
    assert [tried.beginning(i) for i in range(3)] == ["not red", "not blue", "green"]
    same = Prefixes(("red", "red or blue"), whole=False)
    assert [same.beginning(i) for i in range(2)] == ["red", "red or"]


# --- grammars -------------------------------------------------------------------------------------

JSON = r"""
root   ::= "{" ws pair ("," ws pair)* ws "}"   # an object
pair   ::= string ":" ws (string | number)
string ::= "\"" ([^"\\] | "\\" .)* "\""
number ::= "-"? [0-9]+ ("." [0-9]{1,})?
ws     ::= [ \t\n]*
"""


@pytest.mark.parametrize(
    ("grammar", "text", "found"),
    [
        (SENTENCE, "Which colour is the cup?\nIt is red.", "Which colour is the cup?"),
        (SENTENCE, "Too short?", "Too short?"),
        (SENTENCE, "No end", None),
        ('root ::= " "? answer\nanswer ::= "K7" | "M2"', "K7, of course", "K7"),
        ('root ::= " "? answer\nanswer ::= "K7" | "M2"', "L7", None),
        (JSON, '{"a": 1, "b": "x\\"y"} and more', '{"a": 1, "b": "x\\"y"}'),
        (JSON, '{"a": }', None),
        (r"root ::= [a\-\]]{2,3}", "-]a-", "-]a"),
        (r"root ::= [\x41-\x43]+ .", "ABCD!", "ABCD"),
        ('root ::= ("ab" | "a") "b"', "abb", "abb"),
        ("root ::= [^a-c]{2}", "xyz", "xy"),
    ],
)
def test_the_longest_beginning_that_fits(grammar: str, text: str, found: str | None) -> None:
    assert longest(grammar, text) == found


@pytest.mark.parametrize(
    "grammar",
    ['answer ::= "a"', "root ::= other", 'root ::= ("a"', '"a"', "root ::= * ", "root ::= ~"],
)
def test_grammars_that_cannot_be_read(grammar: str) -> None:
    with pytest.raises(ModelError, match="not valid GBNF"):
        longest(grammar, "a")
