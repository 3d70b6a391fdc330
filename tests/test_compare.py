"""The benchmark of search policies: records, budgets, resuming, and what priors may learn from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.memo import MemoEngine
from idealprompt_cli.errors import UsageError
from idealprompt_cli.types import GenerateRequest, Message

from .fake_vlm import FakeVlm

METHODS = ("seed", "random", "best-of-n", "hill-climbing", "beam", "best-first", "puct")


def compared(monkeypatch: pytest.MonkeyPatch, out: Path, *words: str) -> list[compare.Record]:
    monkeypatch.setattr(sys, "argv", ["compare", "--seeds", "0", "--out", str(out), *words])
    compare.main()
    records: list[compare.Record] = json.loads(out.read_text())
    return records


def test_every_method_keeps_the_budget_and_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compare.json"
    words = ("--tasks", "fake:pattern", "fake:graded", "--budgets", "150", "--methods")
    records = compared(monkeypatch, out, *words, *METHODS)
    assert {r["method"] for r in records} == set(METHODS)
    assert all(r["evaluations"] <= 150 and 0.0 <= r["test"] <= 1.0 for r in records)
    text = out.read_text()
    capsys.readouterr()
    compared(monkeypatch, out, *words, *METHODS)
    assert out.read_text() == text
    printed = capsys.readouterr().out
    assert "| puct |" in printed
    assert "puct pattern" not in printed
    with_priors = compared(monkeypatch, out, *words, "puct+priors")
    assert len(with_priors) == len(records) + 2
    shuffled = compared(monkeypatch, out, *words, "puct", "--shuffle-pool")
    assert [r["pool"] for r in shuffled[-2:]] == ["shuffled"] * 2


def test_priors_never_learn_from_the_task_itself() -> None:
    task = compare.tasks_of(["fake:graded"])[0]
    own = {"method": "puct", "task": "graded", "seed": 0, "budget": 9, "lessons": []}
    with pytest.raises(UsageError, match="other tasks"):
        compare.others([own], task, FakeVlm())
    row = ["f00d", "fake", "label-few", "seed", "cues", 1.0]
    found = compare.others([own, {**own, "task": "shop", "lessons": [row]}], task, FakeVlm())
    assert found.of("seed", "cues").mean(0.0) > 0.0


def test_the_memo_computes_once_and_counts_time_each_time() -> None:
    engine = FakeVlm()
    memo = MemoEngine(engine)
    picture = compare.tasks_of(["fake:pattern"])[0].train[0].images
    request = GenerateRequest((Message("user", ("Describe it.",)),), picture)
    first, second = memo.generate([request, request])
    once = memo.seconds
    assert first == second == memo.generate([request])[0]
    assert engine.requests == 1
    assert memo.seconds > once > 0.0
