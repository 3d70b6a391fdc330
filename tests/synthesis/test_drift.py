"""How a system message moves the answers to unrelated questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.core.results import Interval
from idealprompt_cli.engines.scripted import ScriptedEngine
from idealprompt_cli.synthesis.corpus import Header, Pair
from idealprompt_cli.synthesis.drift import LIMIT, measure_drift, verdict, word_f1
from idealprompt_cli.ui.drift import drift_data, drift_lines

SCRIPT = Path(__file__).parent.parent / "synth.yaml"
PAIRS = [Pair(f"Why is number {n} even?", "Because it matters.") for n in range(20)]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(yaml.safe_load(SCRIPT.read_text(encoding="utf-8")))


def test_a_message_that_moves_nothing(engine: ScriptedEngine) -> None:
    report = measure_drift(engine, PAIRS, "You are kind.")
    assert (report.n, report.changed, report.overlap, report.loss) == (20, 0.0, 1.0, 0.0)
    assert report.verdict == "no drift"
    assert drift_lines(report)[-1].startswith("No drift")


def test_a_message_that_moves_all(engine: ScriptedEngine) -> None:
    report = measure_drift(engine, PAIRS, "You are a strange clerk.")
    assert (report.changed, report.overlap, report.verdict) == (1.0, 0.0, "drift")
    assert report.loss == pytest.approx(16 / 3), "three words, one token each"
    assert report.perplexities[1] > report.perplexities[0]
    data = drift_data(report)
    assert data["questions"][0]["with"] == "K1"
    assert any("Moved most" in line for line in drift_lines(report))


def test_known_answers_are_not_asked_again(engine: ScriptedEngine) -> None:
    own = Header(engine.info().fingerprint)
    measure_drift(engine, PAIRS, "You are kind.", own)
    known = len(engine.calls)
    engine.calls.clear()
    measure_drift(engine, PAIRS, "You are kind.", Header("another"))
    assert len(engine.calls) == known + len(PAIRS)
    engine.calls.clear()
    measure_drift(engine, PAIRS, "You are kind.", replace(own, weights="bf16 (text)"))
    assert len(engine.calls) == known + len(PAIRS), "answers with other weights are others"


def test_verdicts() -> None:
    assert verdict(Interval(-0.2, LIMIT / 2)) == "no drift"
    assert verdict(Interval(LIMIT / 2, 3.0)) == "unclear"
    assert verdict(Interval(2 * LIMIT, 3.0)) == "drift"


def test_word_f1() -> None:
    assert word_f1("The cat sat.", "the CAT sat") == 1.0
    assert word_f1("a b", "a c") == 0.5
    assert (word_f1("", ""), word_f1("a", "")) == (1.0, 0.0)
