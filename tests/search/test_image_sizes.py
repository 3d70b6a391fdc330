"""Image tokens as a move of the search, on a model that takes images of any size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.artifact import dump, load
from idealprompt_cli.core.errors import ModelError, UsageError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Trial
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.engines.http.chat_protocol import Chat
from idealprompt_cli.engines.http.server import Server
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine
from idealprompt_cli.evaluation.evaluator import predict
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.exports import get, rendered
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.runs.run import Run, run_search
from idealprompt_cli.strategies import STRATEGIES
from idealprompt_cli.ui.formats.base import Screen
from idealprompt_cli.ui.formats.table import TableFormat

from ..engines.test_image_tokens import opened

MOVE = STRATEGIES["image_tokens"]
LABELS = ("red", "hat")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(3)
    examples = []
    for number in range(12):
        path, label = folder / f"{number}.png", LABELS[number % 2]
        Image.fromarray(random.integers(0, 255, (360, 480, 3), dtype=np.uint8)).save(path)
        examples.append(Example(str(number), (path,), label, path.name))
    return Task("sizes", folder, "What is it?", LABELS, "accuracy", tuple(examples[:8]), ())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCppEngine]:
    with opened(tmp_path_factory.mktemp("model")) as made:
        yield made


@pytest.fixture(scope="module")
def run(task: Task, engine: LlamaCppEngine) -> Run:
    names = ("cues", "image_tokens")
    config = RunConfig(budget="90", strategies=names, cache=False, priors=False)
    return run_search(task, engine, config)


def scaled(run: Run) -> list[Trial]:
    return [trial for trial in run.result.trials if trial.prompt.image_tokens]


def test_the_search_scales_images_and_its_front_has_the_time(run: Run) -> None:
    found = [trial for trial in scaled(run) if trial.state == "complete"]
    assert found
    front = run.result.front
    assert [point.tokens + point.image_tokens for point in front] == sorted(
        point.tokens + point.image_tokens for point in front
    )
    sizes = {point.image_tokens for point in front}
    if len(front) > 1:
        assert all(point.seconds and point.seconds > 0 for point in front)
    assert min(sizes) < 0.75 * 216
    assert run.result.cost.evaluations <= 90


def test_the_artifact_keeps_the_front_and_the_prompts(run: Run, task: Task) -> None:
    artifact = load(dump(run.artifact), "prompt.yaml")
    assert artifact == run.artifact
    assert len(artifact.front) in (0, len(run.result.front))
    shown = TableFormat().run(artifact, "", Screen(200))
    assert ("Score against time" in shown) == bool(artifact.front)


def test_predict_carries_it_and_exports_refuse(
    run: Run, task: Task, engine: LlamaCppEngine
) -> None:
    prompt = Prompt(task.question, image_tokens=64)
    small = predict(engine, prompt, task.labels, task.train)
    whole = predict(engine, Prompt(task.question), task.labels, task.train)
    assert sum(engine.image_tokens(task.train[0].images, 64)) <= 64
    assert any(a.probabilities != b.probabilities for a, b in zip(small, whole, strict=True))
    for name in ("python", "openai", "ollama", "promptfoo", "llama-server", "dspy"):
        with pytest.raises(UsageError, match=f"--to {name}: cannot scale images to 64 tokens"):
            rendered(get(name), run.artifact, prompt)
    assert "What is it?" in rendered(get("text"), run.artifact, prompt)
    with pytest.raises(ModelError, match="cannot be asked to scale images to 64 tokens"):
        Chat(Server("llama-server", "http://127.0.0.1", "m")).messages(
            render(prompt, task.labels), ()
        )


def test_only_where_it_changes_the_tokens(task: Task, tmp_path: Path) -> None:
    """Never on models of fixed size, and with small images only upwards."""
    with opened(tmp_path / "janus", "janus") as fixed:
        assert not MOVE.possible(evidence(fixed, task.train))
    with opened(tmp_path / "qwen2vl") as dynamic:
        assert MOVE.possible(evidence(dynamic, task.train))
        path = tmp_path / "small.png"
        Image.new("RGB", (64, 64), "teal").save(path)
        small = evidence(dynamic, (Example("s", (path,), "red", "s"),))
        assert MOVE.possible(small)
        assert small.image_tokens() < small.image_tokens(100) <= 100


def evidence(engine: LlamaCppEngine, examples: tuple[Example, ...]) -> ModelEvidence:
    return ModelEvidence(MeteredEngine(engine), LABELS, examples)
