"""The YAML artifact: what goes in comes out, and what is wrong with a file is named."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from idealprompt_cli import artifact
from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.io.files import write_text

from ..support.factories import run_result


def text() -> str:
    return artifact.dump(artifact.from_run(run_result()))


def test_round_trip() -> None:
    first = artifact.from_run(run_result())
    assert artifact.load(artifact.dump(first), "file") == first
    untested = artifact.from_run(run_result(winner=Prompt(question="?"), tested=False))
    assert artifact.load(artifact.dump(untested), "file") == untested


def test_the_keys_that_other_tools_read() -> None:
    data = yaml.safe_load(text())
    assert list(data) == [
        "schema", "task", "model", "prompt", "messages", "labels", "verbalisers", "scores",
        "verdict", "recommended", "baseline", "cost", "seed", "trail",
        "baseline_name",
    ]  # fmt: skip
    for who in ("baseline", "winner"):
        for split in ("selection", "test"):
            assert set(data["scores"][who][split]) == {"metric", "value", "low", "high", "n"}
    assert data["scores"]["winner"]["test"]["value"] == pytest.approx(7 / 9, abs=1e-6)
    assert data["cost"] == {
        "evaluations": 96,
        "tokens": 4321,
        "seconds": 12.35,
        "stopped": "evaluations",
    }
    assert data["labels"] == ["K7", "M: 2", "yes"]
    assert data["verbalisers"] == {"K7": ["striped", "stripes"], "M: 2": ["M: 2"], "yes": ["plain"]}
    assert json.loads(json.dumps(artifact.to_data(artifact.from_run(run_result())))) == data


def test_the_trail_leads_from_seed_to_winner() -> None:
    steps = artifact.from_run(run_result()).trail
    assert [step.strategy for step in steps] == ["seed", "rephrase", "everything"]


def test_it_is_pleasant_to_read() -> None:
    lines = text().splitlines()
    assert lines[0].startswith("# An adapted prompt")
    assert lines[1] == "schema: 1"
    assert "  question: |-" in lines
    assert "# The edits that led from the seed prompt to the winner." in lines


def test_an_edited_prompt_is_noticed() -> None:
    first = artifact.from_run(run_result())
    assert first.rendered_now() == first.messages
    edited = replace(first, prompt=first.prompt.with_(context="edited"))
    assert edited.rendered_now() != edited.messages


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1\n", "schema: 2\n", "f.yaml:2: schema: is 2: this version reads 1"),
        ("schema: 1\n", "scheme: 1\n", "f.yaml:2: has no schema key"),
        ("verdict:", "verdit:", "verdit: unknown key: did you mean verdict?"),
        ("  evaluations: 96", "  evaluations: many", "cost.evaluations: is 'many': should be a w"),
        ("seed: 3\n", "", "seed: is missing: add this key"),
        ("seed: 3\n", "seed: 3\nseed: 4\n", "seed is given twice"),
        (
            "  reasoning: describe",
            "  reasoning: deep",
            "prompt.reasoning: is 'deep': known: none, brief, describe",
        ),
        (
            "  reasoning: describe",
            "  reasonin: brief",
            "prompt.reasonin: unknown key: did you mean",
        ),
        ("question: |-\n", "question: |-\n    {\n", "prompt.question: has a '{' that names no"),
        ("recommended: baseline", "recommended: both", "recommended: is 'both': known: winner, b"),
        ("stopped: evaluations", "stopped: bored", "cost.stopped: is 'bored': known:"),
        ("role: user", "role: robot", "messages[1].role: is 'robot': known: system,"),
        ("images: 1", "images: -1", "task.images: is -1: should be 0 or more"),
        ("images: 1", "images: many", "task.images: is 'many': should be a whole number"),
        ("- role: user", "- rule: user", "messages[1].rule: unknown key: did you mean role?"),
        ("strategy: rephrase", "strateg: rephrase", "trail[2].strateg: unknown key: did you mean"),
        ("      why: ", "      whi: ", "trail[3].edit.whi: unknown key: did you mean why?"),
        ("labels:\n", "labels: none\nlabel:\n", "labels: should be a list, not the text 'none'"),
        ("    value: 0.", "    value: x0.", "should be a number"),
    ],
)
def test_a_wrong_file_is_named(old: str, new: str, message: str) -> None:
    good = text()
    assert old in good or old.strip() in good
    with pytest.raises(ArtifactError) as caught:
        artifact.load(good.replace(old, new, 1), "f.yaml")
    assert str(caught.value).startswith("f.yaml:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fault_in_a_prompt_is_named_with_its_own_line() -> None:
    good = text()
    with pytest.raises(ArtifactError) as caught:
        artifact.load(good.replace("  reasoning: describe", "  reasonin: brief", 1), "f.yaml")
    line = 1 + good.splitlines().index("  reasoning: describe")
    expected = f"f.yaml:{line}: prompt.reasonin: unknown key: did you mean reasoning?"
    assert str(caught.value) == expected


def test_reading_files(tmp_path: Path) -> None:
    path = tmp_path / "prompt.yaml"
    write_text(path, text(), ArtifactError)
    assert artifact.read_artifact(str(path)) == artifact.from_run(run_result())
    for bad, message in (
        (tmp_path / "none.yaml", "cannot be read (no such file or directory)"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(ArtifactError) as caught:
            artifact.read_artifact(str(bad))
        assert message in str(caught.value)
    (tmp_path / "binary.yaml").write_bytes(b"GGUF\x00\xff\xfe")
    with pytest.raises(ArtifactError, match="is not UTF-8 text"):
        artifact.read_artifact(str(tmp_path / "binary.yaml"))


def test_reading_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text()))
    assert artifact.read_artifact("-") == artifact.from_run(run_result())
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(ArtifactError, match="is empty: the command before the pipe"):
        artifact.read_artifact("-")
