"""A run's configuration: what is refused before a model is opened, and samples of large tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.storage.records import Header

from ..conftest import SCRIPT, call
from ..support.fake_vlm import shop_task

TASK = shop_task()


def test_a_budget_below_the_first_prompt_names_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"the seed prompt on 16 examples: give at least 16"):
        RunConfig(budget="15").prepared(TASK)
    with pytest.raises(UsageError, match=r"the prompt to start from on 16 examples"):
        RunConfig(stages="reflection", budget="15").prepared(TASK)
    assert RunConfig(budget="16").prepared(TASK) == TASK
    assert RunConfig(budget="1m").prepared(TASK) == TASK


def test_the_command_refuses_it_before_the_model_is_opened(folder: Path) -> None:
    result = call("search", folder, "-m", "missing.gguf", "--budget", "3")
    assert result.exit_code == 2
    assert "give at least 12 evaluations" in result.stderr


def test_examples_are_limited_by_label_and_once() -> None:
    config = RunConfig(train=8, test=10)
    small = config.prepared(TASK)
    assert (len(small.train), len(small.test)) == (8, 10)
    assert {example.answer for example in small.train} == set(TASK.labels)
    assert small.fingerprint != TASK.fingerprint
    assert config.prepared(small) == small


def test_a_large_task_is_sampled_and_that_is_said() -> None:
    copies = [replace(example, id=f"{n} {example.id}") for n in range(40) for example in TASK.train]
    said: list[str] = []
    large = replace(TASK, train=tuple(copies))
    sampled = RunConfig().prepared(large, said.append)
    assert len(sampled.train) < len(large.train)
    assert len(said) == 1
    assert "--train N" in said[0]
    assert RunConfig().prepared(sampled, said.append) == sampled
    assert len(said) == 1


@pytest.mark.parametrize(
    ("first", "counted"),
    [
        (RunConfig(budget="100"), "25 of 32 training examples"),
        (RunConfig(train=20, test=10), "20 of 32 training and 10 of 40 held-out examples"),
        (RunConfig(test=10), "10 of 40 held-out examples"),
    ],
)
def test_a_resumed_run_keeps_its_examples(tmp_path: Path, first: RunConfig, counted: str) -> None:
    more = tuple(replace(example, id=f"more {example.id}") for example in TASK.train)
    task = replace(TASK, train=(*TASK.train, *more))
    begun = first.prepared(task)
    Journal.create(tmp_path, Header(task=begun.fingerprint, model="m", seed="0")).close()
    for budget in ("32", "100", "1000"):
        said: list[str] = []
        again = RunConfig(budget=budget, run_dir=tmp_path, resume=True)
        assert again.prepared(task, said.append) == begun
        assert said == [f"Using {counted}, as in the run that is resumed."]
        assert again.prepared(begun, said.append) == begun
        assert len(said) == 1


def test_the_command_takes_train_and_test(folder: Path) -> None:
    words = ("search", folder, "-m", SCRIPT, "--train", "6", "--test", "4", "--no-cache")
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    assert "(6 examples)" in result.stdout
    assert "(4 examples)" in result.stdout


def test_reflection_leaves_validation_examples_out() -> None:
    said: list[str] = []
    task = replace(TASK, validation=TASK.test[:4])
    config = RunConfig(stages="search and reflection")
    assert config.prepared(task, said.append).validation == ()
    assert "4 validation examples" in said[0]
    assert RunConfig().prepared(task).validation == task.validation
