"""Every metric keeps the contract, and each gives the values that its definition does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.interfaces import Metric
from idealprompt_cli.core.results import Outcome
from idealprompt_cli.metrics import METRICS, get


def outcomes(metric: Metric, pairs: list[tuple[str, str]]) -> list[Outcome]:
    return [Outcome(str(i), g, p, metric.grade(p, (g,))) for i, (g, p) in enumerate(pairs)]


@pytest.mark.parametrize("name", METRICS)
def test_contract(name: str) -> None:
    metric = METRICS[name]
    package = getattr(metric, "needs", ("json", ""))[0]
    pytest.importorskip(package)
    assert metric.name == name
    assert metric.summary
    assert metric.grade("a", ["a"]) == 1.0
    assert 0.0 <= metric.grade("b", ["a"]) <= 1.0
    assert metric.aggregate([]) == 0.0
    assert metric.aggregate(outcomes(metric, [("a", "a"), ("b", "b")])) == 1.0
    assert metric.aggregate(outcomes(metric, [("a", "b"), ("b", "a")])) == 0.0


PAIRS = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 0.75),
        ("exact_match", 0.75),
        ("balanced_accuracy", (2 / 3 + 1) / 2),
        ("macro_f1", (4 / 5 + 2 / 3) / 2),
    ],
)
def test_values(name: str, value: float) -> None:
    assert METRICS[name].aggregate(outcomes(METRICS[name], PAIRS)) == pytest.approx(value)


def test_macro_f1_counts_labels_that_were_only_predicted() -> None:
    metric = METRICS["macro_f1"]
    assert metric.aggregate(outcomes(metric, [("a", "a"), ("a", "c")])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("said", ["The Mug.", " mug", "MUG!", "a  mug", "ｍｕｇ"])
def test_exact_match_ignores_what_does_not_matter(said: str) -> None:
    assert METRICS["normalised_match"].grade(said, ["mug"]) == 1.0
    assert METRICS["exact_match"].grade(said, ["mug"]) == float(said == " mug")


def test_matches_keep_what_matters() -> None:
    for name in ("exact_match", "normalised_match"):
        assert METRICS[name].grade("red mug", ["mug"]) == 0.0


@pytest.mark.parametrize(
    ("name", "said", "right", "value"),
    [
        ("anls", "Hello wurld", "hello  world", 10 / 11),
        ("anls", "abcd", "wxyz", 0.0),
        ("1-cer", "abd", "abcd", 0.75),
        ("1-cer", "a long text that is not it", "abcd", 0.0),
        ("1-wer", "a small cup", "a large cup", 2 / 3),
        ("1-wer", "", "", 1.0),
        ("numeric", "3 dogs", "3", 1.0),
        ("numeric", "", "3", 0.0),
        ("numeric:0.5", "3.4", "3", 1.0),
        ("numeric:0.5", "3.6", "3", 0.0),
        ("numeric:5%", "104", "100", 1.0),
        ("numeric:5%", "94", "100", 0.0),
        ("json_fields", '{"a": "The X", "n": 2}', '{"a": "x", "n": 2.0}', 1.0),
        ("json_fields", '{"a": "y", "n": 2}', '{"a": "x", "n": 2}', 0.5),
        ("json_fields", '{"a": "x", "b": true}', '{"a": "x", "b": 1}', 0.5),
        ("json_fields", '{"a": "x", "c": 1}', '{"a": "x"}', 0.5),
        ("json_fields", "no object", '{"a": "x"}', 0.0),
        ("multilabel_f1", "red, blue", "blue, green", 0.5),
        ("multilabel_f1", "none", "none", 1.0),
        ("multilabel_f1", "none", "red", 0.0),
        ("iou", "[0, 0, 10, 10]", "[0, 0, 10, 10]", 1.0),
        ("iou", "[0, 0, 10, 10]", "[5, 0, 15, 10]", 1 / 3),
        ("iou", "", "[5, 0, 15, 10]", 0.0),
        ("iou", "[0, 0, 10, 10]", "[10, 10, 20, 20]", 0.0),
        ("iou@0.5", "[0, 0, 10, 10]", "[0, 0, 10, 20]", 1.0),
        ("iou@0.6", "[0, 0, 10, 10]", "[0, 0, 10, 20]", 0.0),
    ],
)
def test_grades(name: str, said: str, right: str, value: float) -> None:
    assert get(name).grade(said, [right]) == pytest.approx(value)


@pytest.mark.parametrize("name", METRICS)
def test_any_accepted_answer_counts(name: str) -> None:
    metric = METRICS[name]
    pytest.importorskip(getattr(metric, "needs", ("json", ""))[0])
    right = {"json_fields": '{"a": 1}', "numeric": "3", "iou": "[1, 2, 3, 4]"}.get(name, "red cup")
    assert metric.grade(right, ["other", right]) == metric.grade(right, [right, "other"]) == 1.0
    assert metric.grade("else", ["other", right]) < 1.0


@pytest.mark.parametrize(
    ("said", "accepted", "value"),
    [
        ("Yes.", ["yes"] * 8 + ["no"] * 2, 1.0),
        ("no", ["yes"] * 8 + ["no"] * 2, 2 / 3),
        ("maybe", ["yes", "yes", "no"], 0.0),
        ("crimson", ["red", "crimson"], 1.0),
    ],
)
def test_vqa_accuracy_counts_annotators(said: str, accepted: list[str], value: float) -> None:
    assert METRICS["vqa_accuracy"].grade(said, accepted) == pytest.approx(value)


def test_error_rates_sum_before_they_divide() -> None:
    metric = get("1-cer")
    found = metric.aggregate(outcomes(metric, [("a" * 9, "a" * 9), ("b", "c")]))
    assert found == pytest.approx(0.9)


def test_bleu_and_rouge_are_those_of_their_packages() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")
    pairs = [
        ("a small red striped mug on a table", "a small blue striped mug on a wooden table"),
        ("two large plain plates on a dark table", "two large plain plates on a dark table"),
        ("a hat", "a green hat on the left"),
    ]
    bleu, rouge = get("bleu"), get("rouge_l")
    right, said = [gold for gold, _ in pairs], [text for _, text in pairs]
    whole = sacrebleu.corpus_bleu(said, [right])
    assert bleu.aggregate(outcomes(bleu, pairs)) == pytest.approx(whole.score / 100)
    one = sacrebleu.sentence_bleu(said[0], [right[0]])
    assert bleu.grade(said[0], [right[0]]) == pytest.approx(one.score / 100)
    assert rouge.grade("a red cup", ["a blue cup"]) == pytest.approx(2 / 3)
    assert rouge.grade("", ["a cup"]) == 0.0


def test_a_missing_package_is_named_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'idealprompt\[text\]'"):
        get("bleu")
    assert get("anls").name == "anls"


def test_error_rates_by_their_usual_name_are_refused() -> None:
    with pytest.raises(UsageError, match="is an error rate; take 1-cer"):
        get("cer")
    with pytest.raises(UsageError, match=r"write numeric:0\.5 or numeric:5%"):
        get("numeric:some")
    with pytest.raises(UsageError, match=r"metric iou@2: write iou@0\.5"):
        get("iou@2")


OWN = """
def share(said, right):
    return len(set(said) & set(right)) / len(set(right))

def broken(said, right):
    return said / right

def high(said, right):
    return 7

class Whole:
    name, summary = "whole", "a whole metric"
    def grade(self, said, right): return 1.0
    def aggregate(self, outcomes): return 0.25
"""


def test_a_metric_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_here.py").write_text(OWN)
    metric = get("mine_here:share")
    assert metric.name == "mine_here:share"
    assert metric.aggregate(outcomes(metric, [("ab", "ab"), ("ab", "ax")])) == 0.75
    assert get("mine_here:Whole").aggregate([]) == 0.25
    with pytest.raises(UsageError, match="TypeError on 'a', 'b'"):
        get("mine_here:broken").grade("a", ["b"])
    with pytest.raises(UsageError, match="gave 7 on 'a', 'b': should be a number from 0 to 1"):
        get("mine_here:high").grade("a", ["b"])
    with pytest.raises(UsageError, match="No module named 'not_here'"):
        get("not_here:share")
    with pytest.raises(UsageError, match="has no attribute 'shar'"):
        get("mine_here:shar")
    with pytest.raises(
        UsageError, match=r"a task\.yaml cannot name code; use --metric mine_here:share"
    ):
        get("mine_here:share", trusted=False)


def test_a_metric_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugged.py").write_text("def grade(said, right): return 0.5\n")
    info = tmp_path / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[idealprompt.metrics]\nhalf = plugged:grade\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"a task\.yaml cannot name; use --metric half"):
        get("half", trusted=False)
    assert "plugged" not in sys.modules
    assert get("half").grade("a", ["b"]) == 0.5
    with pytest.raises(UsageError, match="did you mean half"):
        get("hlf")


def test_an_unknown_name_is_a_usage_error_naming_the_nearest() -> None:
    assert get("accuracy").name == "accuracy"
    with pytest.raises(UsageError, match="did you mean macro_f1"):
        get("macrof1")
