"""Written answers: gold answers and replies in one form, and grammars that allow only such."""

from __future__ import annotations

import json

import pytest

from idealprompt_cli.answers import KINDS, infer, longest, parse_field, parse_number, plain_field
from idealprompt_cli.core.answer_schema import PLAIN, AnswerKind, AnswerSchema, Field

FIELDS = (
    Field("vendor"),
    Field("total", "number", optional=True),
    Field("items", "integer"),
    Field("paid", "boolean"),
    Field("currency", "choice", ("EUR", "USD")),
)
FORMS: dict[AnswerKind, AnswerSchema] = {
    "text": PLAIN,
    "number": PLAIN,
    "json": AnswerSchema(fields=FIELDS),
    "labels": AnswerSchema(options=("light blue", "blue", "red")),
    "box": PLAIN,
}
BILL = {"vendor": 'A "b"', "total": 2.5, "items": 3, "paid": True, "currency": "EUR"}
GOLD: dict[AnswerKind, str] = {
    "text": "A line of text.",
    "number": "12.5",
    "json": json.dumps(BILL),
    "labels": "blue, red",
    "box": "[1, 2.5, 30, 40]",
}


@pytest.mark.parametrize("name", KINDS)
def test_contract(name: AnswerKind) -> None:
    kind, schema = KINDS[name], FORMS[name]
    assert kind.name == name
    assert kind.summary
    assert kind.gold(GOLD[name], schema) == GOLD[name]
    assert kind.read(GOLD[name], schema) == GOLD[name], "a right reply is the gold answer"
    assert kind.gold(kind.read(f" {GOLD[name]} ", schema), schema) == GOLD[name]
    assert longest(name, schema) == kind.longest(schema) > 0
    assert longest(name, AnswerSchema(schema.options, schema.fields, 7)) == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3.5 degrees", -3.5), ("There are 3 dogs.", 3), ("1,250.50", 1250.5),
        ("1.250,50 EUR", 1250.5), ("3,5", 3.5), ("1,250", 1250), ("1.2.3", 123), ("two", 2),
        ("Twenty-one cups", 21), ("a pair", None), ("", None), ("1'000", 1000), ("12 500", 12500),
        ("three of 5", 3), ("no one", 1), ("anyone", None), ("\u22124", -4),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float | None) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("light blue: yes, blue: no, red: yes", "light blue, red"),
        ("light blue yes, blue no, red no", "light blue"),
        ("light blue: no, blue: no, red: no", "none"),
        ("Red; blue", "blue, red"),
        ("It is light blue.", "light blue"),
        ("none", "none"),
        ("", "none"),
    ],
)
def test_labels(text: str, read: str) -> None:
    assert KINDS["labels"].read(text, FORMS["labels"]) == read


def test_labels_in_a_table() -> None:
    gold = KINDS["labels"].gold
    for cell in ('["red", "blue"]', "red; blue", "red|blue", "red, blue"):
        assert gold(cell, FORMS["labels"]) == "blue, red"
    assert gold("none", FORMS["labels"]) == gold("[]", FORMS["labels"]) == "none"
    with pytest.raises(ValueError, match="'green' is none of the labels"):
        gold("green", FORMS["labels"])
    with pytest.raises(ValueError, match="is no list of labels"):
        gold("[1, 2]", FORMS["labels"])


def test_json_replies() -> None:
    read = KINDS["json"].read
    schema = FORMS["json"]
    said = json.loads(
        read('Sure: {"items": "3", "vendor": "X", "total": "2,5", "more": 1} ok', schema)
    )
    assert said == {"vendor": "X", "total": 2.5, "items": 3, "paid": None, "currency": None}
    assert read("no object", schema) == read('{"vendor": ', schema) == ""
    wrong = json.loads(read('{"items": "many", "currency": "GBP"}', schema))
    assert (wrong["items"], wrong["currency"]) == ("many", "GBP"), (
        "a wrong value is kept to be seen"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"items": 2.5}, "items is 2.5: should be a whole number"),
        ({"paid": "perhaps"}, "paid is 'perhaps': should be true or false"),
        ({"currency": "GBP"}, "currency is 'GBP': should be one of EUR, USD"),
        ({"vendor": None}, "vendor is missing"),
        ({"extra": 1}, "'extra' is none of the fields"),
    ],
)
def test_json_golds_that_do_not_fit(change: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        KINDS["json"].gold(json.dumps(BILL | change), FORMS["json"])
    with pytest.raises(ValueError, match="is no JSON object"):
        KINDS["json"].gold("[1]", PLAIN)


def test_fields_are_inferred() -> None:
    rows = [{"a": "x", "n": 1, "f": 1.5, "b": True}, {"n": 2, "f": 2, "b": False, "z": None}]
    found = infer([json.dumps(row) for row in rows])
    shown = {field.name: plain_field(field) for field in found}
    assert shown == {"a": "text?", "n": "integer", "f": "number", "b": "boolean", "z": "text?"}
    assert tuple(parse_field(name, text) for name, text in shown.items()) == found
    assert plain_field(parse_field("c", ["EUR", "USD"])) == ["EUR", "USD"]
    for wrong in ("tekst", [], ["one"], [["a"], "b"]):
        with pytest.raises(ValueError, match="should be"):
            parse_field("c", wrong)
