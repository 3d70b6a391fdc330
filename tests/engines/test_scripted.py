"""The scripted engine answers by its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ContextError, ModelError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.engines import open_engine
from idealprompt_cli.engines.scripted import ScriptedEngine, render

SCRIPT = """
name: shop
n_ctx: 40
rules:
  - when: [striped, label]
    image: K7/
    scores: {K7: -0.1, M2: -3}
  - when: Describe
    text: A red striped cup. It is alone.
  - when: hurry
    add: {M2: 2}
default: {text: no idea, score: -4}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SCRIPT)
    return path


def score(engine: Engine, text: str, image: str) -> tuple[float, ...]:
    messages = (Message("user", (ImageSlot(), text)),)
    (answer,) = engine.score([ScoreRequest(messages, (Path(image),), ("K7", "M2", "X"))])
    return answer.logprobs


def test_scores(script: Path) -> None:
    engine = open_engine("scripted", script)
    assert score(engine, "striped? label", "task/K7/1.png") == (-0.1, -3, -4)
    assert score(engine, "striped? label", "task/M2/1.png") == (-4, -4, -4)
    assert score(engine, "striped? label, hurry", "task/K7/1.png") == (-0.1, -1, -4)
    assert isinstance(engine, ScriptedEngine)
    assert len(engine.calls) == 3


def test_texts(script: Path) -> None:
    engine = open_engine("scripted", script)
    messages = (Message("user", ("Describe it",)),)
    (whole,) = engine.generate([GenerateRequest(messages)])
    assert (whole.text, whole.finish) == ("A red striped cup. It is alone.", "stop")
    (cut,) = engine.generate([GenerateRequest(messages, stop=(".",))])
    assert cut.text == "A red striped cup"
    (short,) = engine.generate([GenerateRequest(messages, max_tokens=2)])
    assert (short.text, short.finish) == ("A red", "length")
    (other,) = engine.generate([GenerateRequest((Message("user", ("?",)),))])
    assert other.text == "no idea"


def test_contract(script: Path) -> None:
    engine = open_engine("scripted", script)
    assert isinstance(engine, Engine)
    assert engine.info().engine == "scripted"
    assert engine.info().fingerprint == open_engine("scripted", script).info().fingerprint
    with pytest.raises(ContextError, match=r"needs 6\d tokens"):
        score(engine, "word " * 60, "a.png")
    assert engine.count_tokens([Message("user", (ImageSlot(), "one two"))]) == 4
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        score(engine, "x", "a.png")


def test_render() -> None:
    messages = [Message("system", ("S",)), Message("user", (ImageSlot(), "Q"))]
    assert render(messages, "It") == "system: S\nuser: <image>Q\nassistant: It"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{wehn: x}]", "did you mean when"),
        ("defualt: {}", "did you mean default"),
        ("rules: [{scores: {a: b}}]", "scores map options to numbers"),
        ("rules: [3]", "expected a mapping"),
        ("- a", "mapping with `rules`"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_bad_scripts_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        open_engine("scripted", path)
    assert "bad.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="no such file"):
        open_engine("scripted", tmp_path / "gone.yaml")
