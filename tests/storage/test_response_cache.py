"""Answers shared between runs: found for nothing, without changing a run's course, and safely."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import Interrupted
from idealprompt_cli.core.prompt import Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.evaluation.account import Account
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.cache_file import MARK
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.storage.response_cache import ResponseCache, identity, open_cache
from idealprompt_cli.strategies import STRATEGIES

from ..conftest import SCRIPT, call
from ..support.fake_vlm import FakeVlm, graded_task, picture

TASK, POOL = graded_task(), tuple(STRATEGIES.values())
INFO = FakeVlm().info()
ASKED = ScoreRequest((Message("user", ("Which secret?",)),), (picture(1),), ("ab", "cd", "ef"))
WRITTEN = GenerateRequest((Message("user", ("Describe.",)),), (picture(1),))


def silent(text: str) -> None:
    raise AssertionError(text)


def opened(path: Path, say: object = silent, limit: int = 2**28) -> ResponseCache:
    cache = open_cache(path, INFO, say, limit=limit)  # type: ignore[arg-type]
    assert cache is not None
    return cache


def searched(
    budget: int, path: Path | None, engine: FakeVlm | None = None, journal: Journal | None = None
) -> tuple[RunResult, Account]:
    cache = opened(path) if path else None
    context = open_context(
        TASK,
        engine or FakeVlm(),
        METRICS["accuracy"],
        Budget(evaluations=budget),
        journal=journal,
        cache=cache,
        seed=1,
    )
    found = search(context, SearchSettings(POOL))
    if cache is not None:
        cache.close()
    return found, context.account


def timeless(result: RunResult) -> str:
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def prompts(result: RunResult) -> list[object]:
    return [trial.prompt for trial in result.trials]


def test_what_one_run_asked_another_finds_for_nothing(tmp_path: Path) -> None:
    first = FakeVlm()
    with opened(tmp_path / "a.sqlite") as cache:
        metered = MeteredEngine(first, cache=cache)
        answers = metered.score([ASKED]), metered.generate([WRITTEN])
        assert metered.account.spent == metered.account.uncached
        assert metered.account.spent.evaluations == 2
    silent_engine = FakeVlm(fail_after=0)
    with opened(tmp_path / "a.sqlite") as cache:
        metered = MeteredEngine(silent_engine, budget=Budget(evaluations=1), cache=cache)
        again = metered.score([ASKED]), metered.generate([WRITTEN])
        assert again[0][0].logprobs == answers[0][0].logprobs
        assert again[1][0].text == answers[1][0].text
        metered.score([replace(ASKED, options=("cd",))])
        account = metered.account
        assert (account.spent.evaluations, account.uncached.evaluations) == (0, 2)
        assert (account.cached_evaluations, account.remaining()) == (2, 1)


def test_a_run_that_finds_its_answers_goes_the_same_way_and_then_further(tmp_path: Path) -> None:
    cold, paid = searched(200, None)
    path = tmp_path / "a.sqlite"
    filled, _ = searched(200, path)
    assert timeless(filled) == timeless(cold)
    engine = FakeVlm()
    warm, account = searched(200, path, engine)
    common = len(cold.trials) - 3  # the last ones are what still fitted the budget
    assert prompts(warm)[:common] == prompts(cold)[:common]
    assert len(warm.trials) > len(cold.trials)
    assert account.cached_evaluations >= 0.9 * paid.spent.evaluations
    assert account.spent.evaluations <= 200
    assert warm.cost.evaluations == account.spent.evaluations


@pytest.mark.parametrize("broken_at", [1, 3, 6])
def test_a_broken_run_on_a_filled_cache_resumes_to_the_same_result(
    tmp_path: Path, broken_at: int
) -> None:
    path, header = tmp_path / "a.sqlite", header_for(TASK, INFO, 1)
    searched(90, path)
    before = path.read_bytes()
    engine = FakeVlm()
    unbroken, _ = searched(200, path, engine)
    path.write_bytes(before)
    first, second = FakeVlm(fail_after=broken_at), FakeVlm()
    with Journal.create(tmp_path / "run", header) as journal, pytest.raises(Interrupted):
        searched(200, path, first, journal)
    searched(500, path)  # somebody else's run in between: not to be seen
    with Journal.resume(tmp_path / "run", header) as journal:
        resumed, _ = searched(200, path, second, journal)
    assert timeless(resumed) == timeless(unbroken)
    assert first.requests + second.requests == engine.requests


def test_a_run_that_began_without_a_cache_goes_on_without(tmp_path: Path) -> None:
    path, header = tmp_path / "a.sqlite", header_for(TASK, INFO, 1)
    searched(300, path)
    unbroken, _ = searched(200, None)
    with Journal.create(tmp_path / "run", header) as journal, pytest.raises(Interrupted):
        searched(200, None, FakeVlm(fail_after=4), journal)
    with Journal.resume(tmp_path / "run", header) as journal:
        resumed, account = searched(200, path, journal=journal)
    assert timeless(resumed) == timeless(unbroken)
    assert account.cached_evaluations == 0


def test_the_file_holds_no_private_text(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with opened(path) as cache:
        metered = MeteredEngine(FakeVlm(), cache=cache)
        metered.score([replace(ASKED, options=("secretlabel", "otherlabel"))])
        metered.generate([WRITTEN])
    data = path.read_bytes()
    for text in ("Which secret", "Describe", "secretlabel", "otherlabel", "0001_", "user"):
        assert text.encode() not in data
    assert path.stat().st_mode & 0o077 == 0


def damaged_cache(path: Path) -> bytes:
    """A file that is ours by its mark, and damaged behind that."""
    opened(path).close()
    data = path.read_bytes()
    content = data[:100] + b"x" * (len(data) - 100)
    path.write_bytes(content)
    return content


def test_a_damaged_file_is_put_aside_with_one_line(tmp_path: Path) -> None:
    path, said = tmp_path / "a.sqlite", list[str]()
    content = damaged_cache(path)
    with opened(path, said.append) as cache:
        MeteredEngine(FakeVlm(), cache=cache).score([ASKED])
    assert len(said) == 1
    assert said[0].startswith(f"{path}: the response cache is damaged")
    assert (tmp_path / "a.sqlite.damaged").read_bytes() == content
    with opened(path) as cache:
        assert MeteredEngine(FakeVlm(fail_after=0), cache=cache).score([ASKED])


def test_an_earlier_damaged_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    (tmp_path / "a.sqlite.damaged").write_text("somebody's")
    content = damaged_cache(path)
    opened(path, list[str]().append).close()
    assert (tmp_path / "a.sqlite.damaged").read_text() == "somebody's"
    assert (tmp_path / "a.sqlite.damaged-2").read_bytes() == content


def make_foreign(path: Path, kind: str) -> None:
    """A file of somebody else, as others have them in the place that a variable may name."""
    if kind == "sqlite":
        with sqlite3.connect(path) as base:
            base.execute("CREATE TABLE mine (x)")
        base.close()
    elif kind == "sqlite in use":
        code = (
            "import os, sqlite3, sys; base = sqlite3.connect(sys.argv[1])\n"
            "base.execute('PRAGMA journal_mode = WAL'); base.execute('CREATE TABLE mine (x)')\n"
            "base.commit(); os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert path.with_name(f"{path.name}-wal").stat().st_size > 0
    elif kind == "log":
        path.with_name(f"{path.name}-wal").write_text("notes")
    elif kind == "log beside an empty file":
        path.touch()
        path.with_name(f"{path.name}-journal").write_text("notes")
    elif kind == "link":
        (path.parent / "target").write_text("notes")
        path.symlink_to("target")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(
            {"text": b"notes\n" * 99, "begins": b"SQLite format 3\0" + b"x" * 99}[kind]
        )


@pytest.mark.parametrize(
    "kind",
    ["text", "begins", "sqlite", "sqlite in use", "log", "log beside an empty file", "link",
     "fifo", "folder", "device"],
)  # fmt: skip
def test_a_foreign_file_is_refused_and_never_touched(tmp_path: Path, kind: str) -> None:
    make_foreign(tmp_path / "a.sqlite", kind)

    def state() -> dict[str, object]:
        return {
            path.name: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in tmp_path.iterdir()
        }

    before, said = state(), list[str]()
    assert open_cache(tmp_path / "a.sqlite", INFO, said.append) is None
    assert state() == before
    assert len(said) == 1
    assert "answers are not shared between runs" in said[0]
    assert "name another file in IDEALPROMPT_ANSWERS" in said[0]


def test_a_new_file_carries_its_mark_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with opened(path):
        assert path.read_bytes()[68:72] == MARK.to_bytes(4, "big")


def test_damage_during_a_run_costs_the_cache_and_nothing_else(tmp_path: Path) -> None:
    path, said = tmp_path / "a.sqlite", list[str]()
    with opened(path, said.append) as cache:
        metered = MeteredEngine(FakeVlm(), cache=cache)
        metered.score([ASKED])
        with sqlite3.connect(path) as base:
            base.execute("DROP TABLE answers")
        base.close()
        assert metered.score([replace(ASKED, options=("x", "y"))])
        assert metered.generate([WRITTEN])
    assert len(said) == 1


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"tokens": 1, "seconds": 0.1}', '{"scores": 3}']
)
def test_rows_that_make_no_sense_are_computed_anew(tmp_path: Path, body: str) -> None:
    path = tmp_path / "a.sqlite"
    with opened(path) as cache:
        MeteredEngine(FakeVlm(), cache=cache).score([ASKED])
    with sqlite3.connect(path) as base:
        base.execute("UPDATE answers SET body = ?", (body,))
    base.close()
    engine = FakeVlm()
    with opened(path) as cache:
        MeteredEngine(engine, cache=cache).score([ASKED])
    assert engine.calls == 1


def test_a_place_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    said = list[str]()
    (tmp_path / "file").write_text("")
    assert open_cache(tmp_path / "file" / "a.sqlite", INFO, said.append) is None
    assert len(said) == 1
    assert "not shared" in said[0]


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    path, limit = tmp_path / "a.sqlite", 200_000
    for start in range(4):
        with opened(path, limit=limit) as cache:
            metered = MeteredEngine(FakeVlm(), cache=cache)
            for number in range(300):
                text = f"{start} {number} " + "Which? " * 40
                metered.generate([GenerateRequest((Message("user", (text,)),), (picture(1),))])
    assert path.stat().st_size < 2 * limit
    with opened(path, limit=limit) as cache:
        metered = MeteredEngine(FakeVlm(), cache=cache)
        metered.generate([GenerateRequest((Message("user", (text,)),), (picture(1),))])


def test_answers_are_for_one_model_and_one_prompt_only(tmp_path: Path) -> None:
    others = (replace(INFO, fingerprint="0"), replace(INFO, mode="plain"))
    names = [identity(INFO), identity(INFO, "template"), *map(identity, others)]
    assert len(set(names)) == 4
    threads = replace(INFO, details={"threads": "9"})
    assert identity(threads) == identity(INFO)
    for detail in ("memory", "settings"):  # what is free, and whether settings were just measured
        assert identity(replace(INFO, details={**INFO.details, detail: "x"})) == identity(INFO)


_WRITER = """
import sys
from pathlib import Path
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from tests.support.fake_vlm import FakeVlm, picture
from tests.storage.test_response_cache import ASKED, opened
from idealprompt_cli.core.prompt import Message
from idealprompt_cli.core.requests import ScoreRequest
with opened(Path(sys.argv[1])) as cache:
    metered = MeteredEngine(FakeVlm(), cache=cache)
    for n in range(int(sys.argv[2]), 120, 2):
        metered.score([ScoreRequest((Message("user", (f"{n}?",)),), (picture(1),), ("a", "b"))])
"""


def test_two_processes_write_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    root = Path(__file__).parents[2]
    both = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(start)], cwd=root)
        for start in (0, 1)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    with opened(path) as cache:
        metered = MeteredEngine(FakeVlm(fail_after=0), cache=cache)
        for n in range(120):
            metered.score([ScoreRequest((Message("user", (f"{n}?",)),), (picture(1),), ("a", "b"))])


def test_a_second_cache_of_one_process_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    """Closing any handle of a file ends a process's POSIX locks on it. Another process then takes
    itself for the last user and removes the log, into which the first cache still writes."""
    path = tmp_path / "a.sqlite"
    with opened(path) as first, opened(path):
        metered = MeteredEngine(FakeVlm(), cache=first)
        metered.score([ASKED])
        come_and_go = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM file')"
        )
        subprocess.run([sys.executable, "-c", come_and_go, str(path)], check=True)
        assert path.with_name("a.sqlite-wal").exists()
        metered.generate([WRITTEN])
    with opened(path) as later:
        again = MeteredEngine(FakeVlm(fail_after=0), cache=later)
        again.score([ASKED])
        again.generate([WRITTEN])


def evaluations(words: Sequence[object]) -> int:
    result = call("search", *words)
    assert result.exit_code == 0, result.stderr
    found = re.search(r"(\d+)/\d+ evaluations", result.stderr)
    assert found
    return int(found[1])


def test_the_command_uses_it_without_no_cache(folder: Path, tmp_path: Path) -> None:
    words: tuple[object, ...] = (
        folder,
        "-m",
        SCRIPT,
        "-o",
        "prompt.yaml",
        "--no-priors",
        "--no-test",
    )
    first = evaluations((*words, "--run-dir", "one"))
    assert first > 0
    assert evaluations((*words, "--run-dir", "two", "--no-cache")) == first
    assert evaluations((*words, "--run-dir", "three")) < first
