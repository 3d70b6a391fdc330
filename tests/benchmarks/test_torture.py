"""A short form of the torture bench (`make torture` is the long one), and readers against generated
text: whatever they are given, they answer with their own error or a value."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.torture.mutate import NASTY, damaged, with_nasty_value
from idealprompt_cli.artifact.file import load as load_artifact
from idealprompt_cli.core.errors import ArtifactError, ModelError, TaskError
from idealprompt_cli.engines.llama_cpp.native.gguf_header import read_header
from idealprompt_cli.io.yaml import parse, plain_data
from idealprompt_cli.storage.records import KINDS, UnknownRecord, from_line

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "idealprompt_cli" / "models" / "demo"

values = st.recursive(
    st.sampled_from([one for one in NASTY if not isinstance(one, list | dict)]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    """In a process of its own, because it forks."""
    output = tmp_path / "torture.json"
    words = ["--kills", "9", "--inputs", "40", "--minutes", "1", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture", *words, "--output", str(output)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + output.read_text()
    found = json.loads(output.read_text())
    assert found["kills"]["total"] >= 9
    assert found["inputs"]["total"] >= 40
    assert found["inputs"]["faults"] == []


def refusal(error: type[Exception], read: Callable[[], object]) -> str:
    """The line by which a reader refuses, "" where it reads."""
    try:
        read()
    except error as problem:
        said = str(problem)
    else:
        return ""
    assert said
    assert "\n" not in said
    return said


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.text(max_size=8), values))
@settings(deadline=None, max_examples=200)
def test_any_record_is_read_or_refused(kind: str, fields: dict[str, object]) -> None:
    line = json.dumps({"kind": kind, **fields}).encode()
    if not refusal(ValueError, lambda: from_line(line)):
        assert type(from_line(line)) is KINDS[str(json.loads(line)["kind"])]


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
@settings(deadline=None, max_examples=200)
def test_any_line_is_refused(line: bytes) -> None:
    assert refusal(UnknownRecord, lambda: from_line(line))


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%? \n\t,0\x00\u2028"), max_size=80))
@settings(deadline=None, max_examples=300)
def test_any_yaml_is_read_or_refused(text: str) -> None:
    for read in (parse, plain_data):
        said = refusal(TaskError, lambda read=read: read(text, "f.yaml", TaskError))  # type: ignore[misc]
        assert said == "" or said.startswith("f.yaml:")
    assert refusal(ArtifactError, lambda: load_artifact(text, "f.yaml"))


@pytest.mark.parametrize("name", ["model.gguf", "mmproj.gguf"])
def test_any_damaged_header_is_read_or_refused(tmp_path: Path, name: str) -> None:
    data, rng = (DEMO / name).read_bytes(), random.Random(0)
    path = tmp_path / name
    said = []
    for _ in range(150):
        path.write_bytes(damaged(data[:8192], rng) + data[8192:])
        said.append(refusal(ModelError, lambda: read_header(path, "model")))
    assert all(line.startswith(f"{path}: ") for line in said if line)
    assert sum(bool(line) for line in said) > 20


@given(st.integers(0, 10**6), values)
def test_a_damaged_value_differs_in_one_place(seed: int, value: object) -> None:
    before = json.dumps(value)
    with_nasty_value(value, random.Random(seed))
    assert json.dumps(value) == before, "the original stays as it is"
