"""What is shared holds nothing private: secrets are planted in a task, and searched for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from .conftest import SCRIPT, MakePicture, call

SECRETS = ("zebrafolder", "zebraname", "zebratext", "zebralabelone", "zebralabeltwo")


@pytest.fixture
def private(tmp_path: Path, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on a task whose folder, file names, texts and labels are secrets."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "zebrafolder"
    rows = ["file_name,label,title"]
    for number in range(20):
        make_picture(root / f"zebraname{number}.png", number)
        label = ("zebralabelone", "zebralabeltwo")[number % 2]
        rows.append(f"zebraname{number}.png,{label},zebratext {number}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    (root / "task.yaml").write_text("question: 'Which code has {title}?'\nname: plain\n")
    words = ("search", root, "-m", SCRIPT, "--budget", "300", "--run-dir", "run", "-q")
    made = call(*words, "-o", "prompt.yaml")
    assert made.exit_code == 0, made.stderr
    return tmp_path


def found(data: bytes, *allowed: str) -> list[str]:
    return [one for one in SECRETS if one not in allowed and one.encode() in data]


def test_priors_and_the_cache_hold_nothing_of_a_task(private: Path, memory: Path) -> None:
    assert call("priors", "export", "shared.json").exit_code == 0
    for path in (private / "shared.json", *memory.parent.glob("answers.sqlite*")):
        assert found(path.read_bytes()) == [], path.name
    assert memory.with_name("answers.sqlite").stat().st_size > 10_000


def test_what_is_handed_on_holds_labels_at_most(private: Path) -> None:
    """A prompt is about its labels; it names no example, and no folder of the task."""
    labels = ("zebralabelone", "zebralabeltwo")
    assert found((private / "prompt.yaml").read_bytes(), *labels) == []
    data = yaml.safe_load((private / "prompt.yaml").read_text())
    assert "/" not in data["model"]["path"]
    for name in ("openai", "llama-server", "ollama", "gbnf", "promptfoo", "dspy", "text", "python"):
        made = call("export", "prompt.yaml", "--to", name)
        assert made.exit_code == 0, made.stderr
        assert found(made.stdout.encode(), *labels) == [], name


@pytest.mark.parametrize("kind", ["page", "text", "json"])
def test_a_report_without_images_names_no_example(private: Path, kind: str) -> None:
    more = {"page": ("-o", "r.html"), "text": ("--text",), "json": ("--json",)}[kind]
    made = call("report", "run", "--no-images", *more)
    assert made.exit_code == 0, made.stderr
    text = (private / "r.html").read_text() if kind == "page" else made.stdout
    assert found(text.encode(), "zebralabelone", "zebralabeltwo") == []


def test_a_run_is_for_its_user_alone(private: Path) -> None:
    assert stat.S_IMODE((private / "run").stat().st_mode) == 0o700
    for path in (private / "run").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
