"""What the texts of several examples begin with is computed once, and changes no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from idealprompt_cli.core.prompt import FieldText, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.caching.shared_beginning import SharedBeginning, common
from idealprompt_cli.engines.llama_cpp.engine import open_llama_cpp

from ..support.tiny_models import write_pair

SYSTEM = Message("system", ("Answer with one word or label.",))
TEXTS = tuple(f"{text}, and it is of an item that shows what it is" for text in (
    "a red cup and a hat", "a blue hat, not striped", "red red red red cup", "a cup", "a red cup"
))  # fmt: skip


def requests(texts: tuple[str, ...]) -> list[ScoreRequest]:
    return [
        ScoreRequest(
            (SYSTEM, Message("user", (FieldText(text), "\nWhat is it?"))), (), ("red", "blue")
        )
        for text in texts
    ]


def answers(ref: ModelRef, cache: Path, parts: int) -> tuple[np.ndarray, int]:
    """Log-probabilities of all texts, asked in so many calls, and the tokens decoded."""
    with open_llama_cpp(ref, EngineOptions(threads=1, cache_dir=cache), print) as engine:
        engine.check()
        before = engine._loaded.clock.tokens
        asked = requests(TEXTS)
        size = -(-len(asked) // parts)
        found = [
            one for n in range(0, len(asked), size) for one in engine.score(asked[n : n + size])
        ]
        return np.array([one.logprobs for one in found]), engine._loaded.clock.tokens - before


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_a_shared_beginning_is_computed_once_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    ref = ModelRef(write_pair("janus", tmp_path / "model")[0])
    shared, few = answers(ref, tmp_path / "a", parts)
    with monkeypatch.context() as patch:
        patch.setattr(SharedBeginning, "place", lambda *_: 0)
        alone, many = answers(ref, tmp_path / "b", parts)
    assert np.abs(shared - alone).max() < 1e-3
    assert few < many if parts < len(TEXTS) else few == many


def test_a_state_that_cannot_be_kept_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ModelRef(write_pair("janus", tmp_path / "model")[0])
    expected, _ = answers(ref, tmp_path / "a", 2)
    monkeypatch.setattr(
        "idealprompt_cli.engines.llama_cpp.native.context.Context.load", lambda *_: False
    )
    found, _ = answers(ref, tmp_path / "b", 2)
    assert np.abs(found - expected).max() < 1e-3


def test_the_common_beginning() -> None:
    assert common([(1, 2, 3), (1, 2), (1, 2, 4)]) == (1, 2)
    assert common([(1, 2)]) == (1, 2)
    assert common([(1,), (2,)]) == ()
