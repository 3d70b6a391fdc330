"""Runs and prompts know which weights scores were measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.artifact.content import ModelSummary
from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.core.task import Task
from idealprompt_cli.runs.models import (
    ModelChoice,
    choose,
    engine_options,
    warn_if_other_model,
    without_auto_weights,
)
from idealprompt_cli.storage.journal import header_for


def described(quantisation: str, weights: str = "file", fingerprint: str = "f") -> ModelInfo:
    return ModelInfo(
        "llama_cpp", "m", fingerprint, "llama", "llama", quantisation, 512,
        details={"weights": weights},
    )  # fmt: skip


def summary(info: ModelInfo) -> ModelSummary:
    return ModelSummary(
        info.name, info.engine, info.architecture, info.family, info.quantisation, info.n_ctx,
        fingerprint=info.fingerprint,
    )  # fmt: skip


def test_other_weights_than_those_that_a_prompt_was_measured_with_are_a_note() -> None:
    file, copies = described("Q4_1"), described("Q4_1 as bf16 (text)", "bf16 (text)")
    said: list[str] = []
    for now, then, expected in (
        (file, file, ""),
        (copies, copies, ""),
        (file, copies, "measured with weights in Q4_1 as bf16 (text), and these are Q4_1:"),
        (copies, file, "measured with weights in Q4_1, and these are Q4_1 as bf16 (text):"),
        (replace(file, fingerprint="g"), copies, "adapted to m, not to m"),
    ):
        said.clear()
        warn_if_other_model(now, summary(then), said.append)
        assert len(said) == bool(expected)
        assert all(expected in line for line in said)


def test_a_run_is_resumed_with_the_weights_that_it_began_with() -> None:
    task = Task("t", Path(), "Which?", ("a", "b"), "accuracy", (), ())
    file, copies = described("Q4_1"), described("Q4_1 as bf16 (text)", "bf16 (text)")
    assert header_for(task, file, 0) == header_for(task, replace(file, details={}), 0)
    assert header_for(task, file, 0) != header_for(task, copies, 0)


def test_several_machines_compute_with_the_file() -> None:
    assert without_auto_weights(ModelChoice()).weights == "file"
    assert without_auto_weights(ModelChoice(weights="bf16")).weights == "bf16"
    assert engine_options(ModelChoice()).weights == "auto"
    with pytest.raises(UsageError, match="--weights is the server's own business"):
        choose(ModelChoice(server="http://127.0.0.1:9", weights="bf16"), None, print)
