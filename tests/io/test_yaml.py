"""Strict YAML: what is written reads back the same, and what is wrong is named."""

from __future__ import annotations

import random

import pytest
import yaml

from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.io.yaml import Section, dump, parse

AWKWARD = [
    "yes", "no", "null", "~", "", " ", "007", "1e3", "0x1F", "1:20", "2024-01-01", ".5", "-",
    "# no comment", "a: b", "- item", "*star", "&anchor", "!tag", "%", "@", "`", "{a}", "[a]",
    "line one\nline two", "ends with newline\n", "two\n\n\n", " leading", "trailing ", "tab\there",
    "  indented\nfirst line", "trailing blank \nin a line", "quote ' and \" both", "😀 émoji 漢字",
    "a\u2028b", "a\u0085b", "\ufeffbom", "bell\x07", "nul\x00", "\r\n", "back\\slash", "true",
    "x" * 500 + " " + "y" * 500, "---", "...", "? key", "<<", "|", ">", "a #b", "a:",
]  # fmt: skip


def read(text: str) -> Section:
    return parse(text, "file.yaml", ArtifactError)


@pytest.mark.parametrize("text", AWKWARD)
def test_text_survives(text: str) -> None:
    written = dump({"key": text, "list": [text, text], "block": {"inner": text}})
    assert read(written).plain() == {"key": text, "list": [text, text], "block": {"inner": text}}
    assert yaml.safe_load(written)["key"] == text, "another reader sees something else"


def test_random_text_survives() -> None:
    rng = random.Random(7)
    alphabet = "ab :#-'\"\n\t\\|>{}[]&*!%@`,?é😀\u2028\x85\x1b0123.e+~"
    for _ in range(300):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(12)))
        assert read(dump({"key": text})).plain() == {"key": text}


def test_several_lines_are_a_block() -> None:
    assert dump({"question": "one\ntwo\n"}) == "question: |\n  one\n  two\n"


def test_plain_scalars_stay_as_written() -> None:
    section = read("labels: [yes, no, 007, 1.0, 2024-01-01]")
    assert section.texts("labels") == ("yes", "no", "007", "1.0", "2024-01-01")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "file.yaml:2: a is given twice (first on line 1): drop one"),
        ("- a\n", "file.yaml:1: should hold lines of the form 'key: value'"),
        ("", "file.yaml: is empty: it should hold lines of the form 'key: value'"),
        ("# a note\n", "file.yaml: is empty: it should hold lines of the form 'key: value'"),
        ("a: [1\n", "file.yaml:2: is not valid YAML"),
        ("a: &x [b]\nb: *x\n", "file.yaml:2: is not valid YAML (an alias (*name) is not used"),
        ("a: \x01\n", "file.yaml: is not valid YAML"),
        ("? [a]\n: b\n", "file.yaml:1: a key should be plain text"),
        ("[" * 5000, "file.yaml"),
    ],
)
def test_what_is_no_mapping_is_named(text: str, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        read(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_wrong_types_are_named_with_their_place() -> None:
    section = read("a:\n  n: many\n  t: [x]\n  m:\n    - 1\n  i: 1.5\n  inf: .inf\n  e:\n")
    inner = section.section("a")
    for call, message in (
        (lambda: inner.number("n"), "file.yaml:2: a.n: is 'many': should be a number"),
        (lambda: inner.text("t"), "file.yaml:3: a.t: should be text, not a list"),
        (lambda: inner.section("m"), "file.yaml:4: a.m: should hold keys of its own"),
        (lambda: inner.integer("i"), "file.yaml:6: a.i: is '1.5': should be a whole number"),
        (lambda: inner.number("inf"), "file.yaml:7: a.inf: is '.inf': should be a number"),
        (lambda: inner.text("e"), "file.yaml:8: a.e: is missing"),
        (lambda: inner.text("none"), "file.yaml:2: a.none: is missing: add this key"),
        (lambda: section.known("aa"), "file.yaml:1: a: unknown key: did you mean aa?"),
        (lambda: inner.choice("n", ["few", "lots"]), "file.yaml:2: a.n: is 'many': known: few"),
    ):
        with pytest.raises(ArtifactError) as caught:
            call()
        assert str(caught.value).startswith(message), str(caught.value)
