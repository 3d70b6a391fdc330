"""Runs and prompts know which weights scores were measured with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.artifact.content import ModelSummary
from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.core.task import Task
from idealprompt_cli.engines.options import RecordedWeights
from idealprompt_cli.fleet.cluster.choice import ClusterChoice
from idealprompt_cli.fleet.cluster.opening import wanted_model
from idealprompt_cli.runs.models import (
    ModelChoice,
    choose,
    engine_options,
    warn_if_other_model,
    weights_of_prompt,
    weights_of_run,
    without_auto_weights,
)
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.storage.records import Header


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
        (replace(file, fingerprint="g"), copies, "adapted to m, not to these files of m"),
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


def test_a_prompt_says_what_it_was_measured_with() -> None:
    copies = summary(described("Q4_1 as bf16 (text)"))
    assert weights_of_prompt(copies) == RecordedWeights("f", "bf16 (text)")
    assert weights_of_prompt(summary(described("Q4_1"))) == RecordedWeights("f", "file")
    assert weights_of_prompt(summary(described(""))) is None
    assert weights_of_prompt(replace(copies, engine="http")) is None


def test_a_run_says_what_it_computes_with(tmp_path: Path) -> None:
    assert weights_of_run(None) is None
    assert weights_of_run(tmp_path) is None
    Journal.create(tmp_path / "run", Header(model="f bf16 (text)")).close()
    assert weights_of_run(tmp_path / "run") == RecordedWeights("f", "bf16 (text)", "run")


def test_workers_compute_with_what_the_resumed_run_did(tmp_path: Path) -> None:
    model = tmp_path / "model.yaml"
    model.write_text("labels: [a, b]")
    choice, cluster = ModelChoice(model=model, engine="scripted"), ClusterChoice(local_workers=2)
    assert wanted_model(choice, cluster, None, print).options.weights == "file"
    recorded = RecordedWeights("f", "bf16 (text)", "run")
    options = wanted_model(choice, cluster, None, print, recorded).options
    assert (options.weights, options.recorded) == ("auto", recorded)


def test_several_machines_compute_with_the_file() -> None:
    assert without_auto_weights(ModelChoice()).weights == "file"
    assert without_auto_weights(ModelChoice(weights="bf16")).weights == "bf16"
    assert engine_options(ModelChoice()).weights == "auto"
    with pytest.raises(UsageError, match="--weights is the server's own business"):
        choose(ModelChoice(server="http://127.0.0.1:9", weights="bf16"), None, print)
