"""The benchmark of the search: records, budgets, resuming, shards, and what it is measured on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import compare, contest, tasks
from benchmarks.memo import MemoEngine
from idealprompt_cli.core.committee import prompts_of
from idealprompt_cli.core.prompt import Message, Prompt
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.storage.response_cache import open_cache
from training.sample_tasks import RECIPES

from ..support.fake_vlm import FakeVlm, picture

METHODS = ("seed", "random", "best-of-n", "hill-climbing", "beam", "best-first", "puct")


def compared(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> list[contest.Record]:
    out = folder / "compare.json"
    head = ["compare", "--seeds", "0", "--work", str(folder), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*head, *words])
    compare.main()
    records: list[contest.Record] = json.loads(out.read_text())
    return records


def test_every_method_keeps_its_budgets_and_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--tasks", "fake:pattern", "fake:graded", "--budgets", "60", "150", "--methods")
    runs = compared(monkeypatch, tmp_path, *words, *METHODS)
    assert {run["method"] for run in runs} == set(METHODS)
    assert len(runs) == 2 * len(METHODS)
    for run in runs:
        assert set(run["points"]) == {"60", "150"}
        for budget, point in run["points"].items():
            assert point["evaluations"] <= int(budget)
            assert 0.0 <= point["test"] <= 1.0
    capsys.readouterr()
    assert compared(monkeypatch, tmp_path, *words, *METHODS) == runs
    assert "puct" not in capsys.readouterr().out
    shuffled = compared(monkeypatch, tmp_path, *words, "puct", "--shuffle-pool")
    assert {run["pool"] for run in shuffled} == {"shuffled", "by strength"}


def test_shards_divide_the_tasks_and_share_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--tasks", "fake:pattern", "fake:graded", "--budgets", "60", "--methods", "puct")
    one = compared(monkeypatch, tmp_path, *words, "--shard", "0/2")
    assert [run["task"] for run in one] == ["pattern"]
    with (tmp_path / "compare.jsonl").open("a") as file:
        file.write('{"torn')
    both = compared(monkeypatch, tmp_path, *words, "--shard", "1/2")
    assert {run["task"] for run in both} == {"pattern", "graded"}


def test_a_peers_incumbent_is_read_off_at_every_budget() -> None:
    steps = [(24, Prompt("a"), 0.5), (60, Prompt("b"), 0.4), (90, Prompt("c"), 0.9)]
    found = [contest.at(steps, budget) for budget in (24, 60, 89, 90, 500)]
    assert [prompts_of(one.prompt)[0].question for one in found] == ["a", "a", "a", "c", "c"]
    assert [one.evaluations for one in found] == [24, 60, 60, 90, 90]


def test_the_sets_of_tasks_share_no_rule_name_or_label() -> None:
    labels: list[str] = []
    names: list[str] = []
    for recipes in (*tasks.SETS.values(), RECIPES):
        labels += sorted({label.casefold() for recipe in recipes for label in recipe.labels})
        names += [recipe.name for recipe in recipes]
    assert len(names) == len(set(names))
    assert len(labels) == len(set(labels))
    assert len(tasks.HELD) >= 8


def test_a_set_is_drawn_whole_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tasks.SETS, "held", tasks.HELD[3:4])
    folder = tasks.draw("held", tmp_path)[0]
    drawn = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert tasks.draw("held", tmp_path) == [folder]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == drawn
    (task,) = compare.tasks_of([str(folder)])
    assert (len(task.train), len(task.test), task.labels) == (16, 60, ("red", "blue"))
    assert compare.kind_of_task(task) == "held"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_memo_computes_once_and_counts_time_each_time(tmp_path: Path) -> None:
    engine = FakeVlm()
    memo = MemoEngine(engine, open_cache(tmp_path / "a.sqlite", engine.info(), print))
    shown = (picture(1),)
    asked = GenerateRequest((Message("user", ("Describe it.",)),), shown)
    first, second = memo.generate([asked, asked])
    once = memo.seconds
    assert first == second == memo.generate([asked])[0]
    assert (engine.requests, memo.computed) == (1, 1)
    assert memo.seconds > once > 0.0
    scored = ScoreRequest((Message("user", ("Which?",)),), shown, ("a", "b"))
    value = memo.score([scored])[0]
    memo.close()
    other = MemoEngine(
        FakeVlm(fail_after=0), open_cache(tmp_path / "a.sqlite", engine.info(), print)
    )
    assert other.score([scored])[0] == value
    assert other.generate([asked])[0] == first
