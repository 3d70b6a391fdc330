"""The probe chooses, remembers, stays within its time, and changes no answer."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.llama_cpp.scheduling.sequence_groups import DecodeCost
from idealprompt_cli.engines.llama_cpp.setup import autotune

from ..support.tiny_models import SPECS, write_pair


@pytest.fixture
def ref(tmp_path: Path) -> ModelRef:
    return ModelRef(*write_pair("janus", tmp_path / "model"))


def opened(ref: ModelRef, cache: Path, said: list[str], **options: Any) -> LlamaCppEngine:
    return open_llama_cpp(
        ref, EngineOptions(threads=1, n_ctx=512, cache_dir=cache, **options), said.append
    )


def settings(engine: LlamaCppEngine) -> autotune.Settings:
    return engine._loaded.settings


def test_what_is_measured_is_remembered(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(autotune.SWITCH)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    said: list[str] = []
    with opened(ref, tmp_path, said) as engine:
        first = settings(engine)
        assert engine.info().details["settings"] == "measured"
    assert first.cost.per_token > 0
    for choice in ("threads", "flash attention", "micro-batch", "weight layouts", "a batch costs"):
        assert any(reason.startswith(choice) for reason in first.reasons), choice

    def probe(*_: object) -> autotune.Settings:
        raise AssertionError("measured twice")

    with monkeypatch.context() as patch:
        patch.setattr(autotune._Probe, "run", probe)
        with opened(ref, tmp_path, said) as engine:
            assert settings(engine).source == "kept"
            assert settings(engine).reasons == first.reasons
        with pytest.raises(AssertionError, match="twice"):
            opened(ref, tmp_path, said, tune="again")
        with pytest.raises(AssertionError, match="twice"):
            opened(ref, tmp_path, said, flash="on")
    assert said == []


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_architecture_is_measured(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(autotune.SWITCH)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    ref, said = ModelRef(*write_pair(name, tmp_path)), list[str]()
    with opened(ref, tmp_path / "tuned", said) as tuned:
        assert settings(tuned).source == "measured"
        request = ScoreRequest((Message("user", ("What is it?",)),), (), ("red", "a blue cup"))
        (answer,) = tuned.score([request])
    with opened(ref, tmp_path / "default", said, tune="off") as default:
        (expected,) = default.score([request])
    assert np.abs(np.subtract(answer.logprobs, expected.logprobs)).max() < 0.05
    assert said == []


def test_a_failed_measurement_is_a_notice_and_keeps_the_defaults(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(autotune.SWITCH)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))

    def fails(*_: object) -> None:
        raise ModelError("llama.cpp could not compute a batch (code -1)")

    monkeypatch.setattr(autotune._Probe, "_cost", fails)
    said: list[str] = []
    with opened(ref, tmp_path, said) as engine:
        assert settings(engine).source == "default"
        assert settings(engine).reasons == ("the measurement failed",)
    assert len(said) == 1
    assert "keep their defaults: llama.cpp could not compute a batch" in said[0]


def test_damaged_memory_is_one_line_and_measured_again(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(autotune.SWITCH)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    said: list[str] = []
    opened(ref, tmp_path, said).close()
    file = tmp_path / "machine.json"
    facts = json.loads(file.read_text())
    (key,) = (name for name in facts if name.startswith("tuning"))
    file.write_text(json.dumps({**facts, key: '{"threads": "many"}'}))
    with opened(ref, tmp_path, said) as engine:
        assert settings(engine).source == "measured"
    assert len(said) == 1
    file.write_text('{"idealprompt machine": broken')
    for source in ("measured", "kept"):
        with opened(ref, tmp_path, said) as engine:
            assert settings(engine).source == source
    assert len(said) == 2
    assert str(file) in said[1]


def test_nothing_is_measured_when_switched_off(ref: ModelRef, tmp_path: Path) -> None:
    with opened(ref, tmp_path, []) as engine:
        assert settings(engine).source == "default", "the tests switch it off"
    assert not (tmp_path / "machine.json").exists()


def test_a_busy_machine_measures_processor_time_until_it_is_idle(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(autotune.SWITCH)
    for load, source in ((64.0, "measured"), (64.0, "kept"), (0.0, "measured"), (64.0, "kept")):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        with opened(ref, tmp_path, []) as engine:
            found = settings(engine)
        assert found.source == source
        assert found.cost.per_token > 0
        if (load, source) == (64.0, "measured"):
            assert any("busy" in reason for reason in found.reasons)
            assert found.extra_buffers
            assert not any(reason.startswith("weight layouts") for reason in found.reasons)
    assert any(reason.startswith("weight layouts") for reason in found.reasons), "the idle one's"


def test_a_slow_model_is_left_alone_in_time(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autotune, "_BOUND_SECONDS", 0.0)
    started = time.perf_counter()
    with opened(ref, tmp_path, [], tune="again") as engine:
        chosen = settings(engine)
    assert time.perf_counter() - started < 10
    assert sum("not tried" in reason for reason in chosen.reasons) == 3
    assert not chosen.flash
    assert chosen.n_ubatch == 512
    assert chosen.extra_buffers


def test_no_choice_changes_an_answer(
    ref: ModelRef, tmp_path: Path, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [make_picture(tmp_path / f"{number}.png", number) for number in range(5)]
    requests = [
        ScoreRequest(
            (Message("user", (ImageSlot(), f"What is it? {'red ' * n}")),), (i,), ("a cup", "no")
        )
        for n, i in enumerate(images * 3)
    ]
    chosen = [
        autotune.Settings(1, False, 512),
        autotune.Settings(1, False, 32, False, DecodeCost(1e-3, 1e-6, 1e-6)),
        autotune.Settings(1, True, 128, True, DecodeCost(0.0, 1e-3, 1e-6)),
    ]
    answers = []
    for index, choice in enumerate(chosen):
        monkeypatch.setattr(autotune, "kept", lambda *_, choice=choice: choice)
        with opened(ref, tmp_path / str(index), []) as engine:
            answers.append(np.array([answer.logprobs for answer in engine.score(requests)]))
            assert engine.info().mode == "batched"
    for other in answers[1:]:
        assert np.abs(other - answers[0]).max() < EngineOptions().tolerance
