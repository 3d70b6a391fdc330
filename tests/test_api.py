"""The Python API does what its page shows, and importing the package loads nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import idealprompt_cli
from idealprompt_cli import adapt, load, load_task, measure, open_model, predict, reflect, save
from idealprompt_cli.core.errors import TaskError, UsageError
from idealprompt_cli.core.events import ConfusionChosen
from idealprompt_cli.core.prompt import Prompt

from .conftest import SCRIPT
from .support.listener import Listener

PAGE = (Path(__file__).parent.parent / "docs" / "python.md").read_text(encoding="utf-8")


def test_from_task_to_answers(folder: Path) -> None:
    task = load_task(folder)
    with open_model(SCRIPT) as model:
        found = adapt(task, model)
        assert found.scores.winner.test is not None
        save(found, "prompt.yaml")
        again = load("prompt.yaml")
        assert again.prompt == found.prompt
        evaluation = measure(again, task, model, use="winner")
        assert (evaluation.value, evaluation.n) == (found.scores.winner.test.value, 8)
        assert measure(again, task, model, use="baseline").value == 0.5
        assert measure(again.prompt, task, model, split="train").n == 12
        images: list[str | Path] = [folder / "A/0.png", str(folder / "B/0.png")]
        answers = predict(again, images, model, use="winner")
    assert [one.predicted for one in answers] == ["A", "B"]


def test_reflection_is_kept_and_resumed(folder: Path) -> None:
    task, listener = load_task(folder), Listener()
    seed = Prompt(task.question)
    with open_model(SCRIPT) as model:
        found = adapt(task, model, strategies=["role"], run_dir="first", cache=False)
        start = replace(found, prompt=seed, recommended="winner")
        better = reflect(start, task, model, run_dir="second", observer=listener)
        assert listener.heard(ConfusionChosen)
        assert better.scores.winner.test is not None
        assert better.scores.winner.test.value > 0.5
        again = reflect(start, task, model, run_dir="second", resume=True)
        assert again.prompt == better.prompt
        kept = {path.name for path in Path("second").iterdir()}
        assert {"journal.jsonl", "prompt.yaml"} <= kept
        both = adapt(task, model, strategies=["role"], reflect=True)
        assert any(step.strategy.startswith("reflect ") for step in both.trail)
        with pytest.raises(UsageError, match="give run_dir"):
            adapt(task, model, resume=True)


def test_no_test_part(folder: Path) -> None:
    (folder / "task.yaml").write_text("question: Which code?\ntest_fraction: 0\n")
    task = load_task(folder)
    with open_model(SCRIPT) as model, pytest.raises(TaskError, match="has no test part"):
        measure(idealprompt_cli.adapt(task, model, budget="60"), task, model)


def test_the_lines_in_the_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(block.strip().splitlines()) <= 12
    monkeypatch.setenv("IDEALPROMPT_MODEL", SCRIPT)
    folder.rename("my_task")
    (Path("my_task") / "A/0.png").rename("photo.jpg")
    exec(block, {})
    assert Path("prompt.yaml").is_file()


def test_the_import_is_light() -> None:
    code = (
        "import sys; import idealprompt_cli; idealprompt_cli.__version__\n"
        "print(*[m for m in sys.modules if m.startswith('idealprompt_cli.')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == ""
    assert result.stderr == ""


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        _ = idealprompt_cli.serch
    assert set(idealprompt_cli.__all__) <= set(dir(idealprompt_cli))


def test_results_show_themselves_in_a_notebook(folder: Path) -> None:
    from .ui.test_report import Balanced

    (folder / "task.yaml").write_text("name: <b>codes\nquestion: Which <code>?\n")
    task = load_task(folder)
    with open_model(SCRIPT) as model:
        found = adapt(task, model, budget="60", strategies=["role"])
        measured = measure(found, task, model)
        answers = predict(found, [folder / "A/0.png"] * 21, model)
    save(found, "prompt.yaml")
    shown = (found, load("prompt.yaml"), measured, answers)
    for page in (one._repr_html_() for one in shown):
        parser = Balanced()
        parser.feed(page)
        assert not parser.open
        assert "script" not in parser.seen
        assert "<code>?" not in page
    assert "&lt;b&gt;codes" in found._repr_html_()
    assert "recall" in measured._repr_html_()
    assert "and 1 more" in answers._repr_html_()
    assert answers._repr_html_().count("data:image/jpeg") == 20
