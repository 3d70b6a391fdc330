"""The memory of strategies: counts, back-off, merging, its file, and that nothing private is in."""

from __future__ import annotations

import json
import multiprocessing
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.contest import LEARNED
from idealprompt_cli.core.errors import PriorsError
from idealprompt_cli.core.task import Example
from idealprompt_cli.priors import (
    Belief,
    Beliefs,
    Key,
    Priors,
    beliefs_for,
    kind_of,
    learn,
    lessons,
    load,
    reset,
    update,
)
from idealprompt_cli.priors.store import MOST_RUNS
from idealprompt_cli.strategies import STRATEGIES

from ..conftest import SCRIPT, call
from ..support.factories import evaluation, model, run_result, task

HERE = Key("1e10", "demo", "label-few", "seed", "reask")


def taught(key: Key = HERE, won: float = 0.5, times: int = 1, box: str = "b1") -> Priors:
    return Priors().learnt(box, [(key, won)] * times)


# --- numbers --------------------------------------------------------------------------------------


def test_a_run_gives_one_lesson_per_parent_and_strategy() -> None:
    result = run_result()
    better = replace(result.trials[1], id=4, evaluation=evaluation(4, 6))
    failed = replace(result.trials[1], id=5, strategy="cues", state="failed", evaluation=None)
    found = dict(lessons(replace(result, trials=(*result.trials, better, failed))))
    seed = {key.strategy: won for key, won in found.items() if key.parent == "seed"}
    assert set(seed) == {"rephrase", "role"}
    # From 2 of 6 to 4 of 6 right: half of what was lacking.
    assert seed["rephrase"] == pytest.approx(0.5)
    assert seed["role"] == 0.0
    assert {key.parent for key in found} == {"seed", "rephrase"}


def test_task_kinds() -> None:
    few = task()
    assert kind_of(few) == "label-few"
    assert kind_of(replace(few, labels=("a", "b"))) == "label-2"
    assert kind_of(replace(few, labels=tuple("abcdefgh"))) == "label-many"
    pair = Example("x", (Path("1.png"), Path("2.png")), "K7", "made")
    assert kind_of(replace(few, answer="text", train=(pair,))) == "text-pair"


USUAL = {"reask": 0.4, "cues": 0.4, "role": 0.4}
OURS = {"reask": (0.8, 0.7, 0.9), "cues": (0.1, 0.2, 0.0), "role": (0.4, 0.5, 0.3)}


def believed(memory: Priors, parent: str = "seed", strategy: str = "reask") -> float:
    beliefs = memory.beliefs(model(), "label-few", USUAL.get)
    return beliefs.of(parent, strategy).mean(USUAL[strategy])


def lessons_of(gains: Mapping[str, Sequence[float]], **changes: str) -> Priors:
    keys = {strategy: replace(HERE, strategy=strategy, **changes) for strategy in gains}
    return Priors().learnt("b1", [(keys[s], won) for s, own in gains.items() for won in own])


def test_without_memory_the_usual_share_is_believed() -> None:
    assert believed(Priors()) == 0.4


def test_lessons_count_less_from_farther_away() -> None:
    own = lessons_of(OURS)
    other_model = lessons_of({s: gains * 4 for s, gains in OURS.items()}, model="ffff")
    other_kind = lessons_of({s: gains * 4 for s, gains in OURS.items()}, model="ffff", kind="text")
    assert 0.4 < believed(own, parent="cues") < believed(own) < 0.8
    assert 0.4 < believed(other_kind) < believed(other_model)
    assert believed(own, strategy="cues") < 0.4
    assert believed(own, strategy="role") == pytest.approx(0.4, abs=0.05)


def test_lessons_that_do_not_agree_have_no_weight() -> None:
    noise = {"reask": (0.9, 0.0, 0.4), "cues": (0.0, 0.8, 0.2), "role": (0.6, 0.1, 0.5)}
    assert believed(lessons_of(noise)) == 0.4


def test_too_few_lessons_have_no_weight() -> None:
    assert believed(lessons_of({s: gains[:2] for s, gains in OURS.items()})) == 0.4
    assert believed(lessons_of(OURS)) > 0.4


def test_lessons_about_no_strategy_of_the_pool_are_left_out() -> None:
    beliefs = lessons_of({**OURS, "gone": (0.9,) * 9}).beliefs(model(), "label-few", USUAL.get)
    assert beliefs.of("seed", "gone") == Belief()
    assert beliefs == lessons_of(OURS).beliefs(model(), "label-few", USUAL.get)


def test_beliefs_come_back_from_json_bit_by_bit() -> None:
    beliefs = lessons_of(OURS).beliefs(model(), "label-few", USUAL.get)
    assert Beliefs.from_record(json.loads(json.dumps(beliefs.to_record()))) == beliefs
    assert isinstance(beliefs.of("seed", "reask"), Belief)


def test_boxes_add_up_and_twice_is_once() -> None:
    one, two = taught(times=2), taught(won=1.0, box="b2")
    both = one.merged(two)
    assert both.total()[HERE].n == 3
    assert both.total()[HERE].won == 2.0
    assert both.merged(two) == both == two.merged(one).merged(one)


def test_a_box_seen_later_counts_once_as_the_fuller() -> None:
    assert taught(times=2).merged(taught(times=5)).total()[HERE].n == 5


# --- the file -------------------------------------------------------------------------------------


def test_round_trip_and_empty(tmp_path: Path) -> None:
    path = tmp_path / "new" / "priors.json"
    assert load(path).priors == Priors()
    count = learn(run_result(), "run1", path)
    assert count == 3
    assert set(load(path).priors.total()) == {key for key, _ in lessons(run_result())}
    for _ in range(2):
        assert learn(run_result(), "run2", path) == 3
    assert all(tally.n == 2 for tally in load(path).priors.total().values())
    assert reset(path)
    assert not path.exists()
    assert not reset(path)


def test_the_runs_that_were_added_last_are_known(tmp_path: Path) -> None:
    path = tmp_path / "priors.json"
    for name in ("a1", "b2"):
        learn(run_result(), name, path)
    assert load(path).runs == ("a1", "b2")
    update(path, lambda memory: replace(memory, runs=tuple(f"r{n}" for n in range(MOST_RUNS))))
    learn(run_result(), "new", path)
    assert (len(load(path).runs), load(path).runs[-1]) == (MOST_RUNS, "new")
    for damage in ('"runs": "r"', '"runs": [1]', '"runs": ["a b"]'):
        path.write_text(re.sub(r'"runs": \[[^]]*\]', damage, path.read_text()))
        with pytest.raises(PriorsError, match="'runs' is no list of names"):
            load(path)
        path.write_text(re.sub(r'"runs": .*', '"runs": [],', path.read_text()))


def test_nothing_private_is_in_the_file(tmp_path: Path) -> None:
    result = run_result()
    odd = replace(result.trials[1], id=9, strategy="my secret: striped = K7")
    secret = replace(result.model, family="Ann's models", name="ann.gguf")
    path = tmp_path / "priors.json"
    learn(replace(result, trials=(*result.trials, odd), model=secret), "run", path)
    text = path.read_text()
    rows = [row for rows in json.loads(text)["boxes"].values() for row in rows]
    allowed = {"seed", "rephrase", "role", "everything", "other", "label-few", "1e10"}
    assert {word for row in rows for word in row[:5]} == allowed
    assert all(isinstance(number, (int, float)) for row in rows for number in row[5:])
    for private in ("striped", "K7", "train/", "codes", "Which code", "Ann", "ann", "tab le"):
        assert private not in text
    assert re.fullmatch(r"[0-9a-f]{12}", json.loads(text)["box"])


BROKEN = {
    "not JSON": "{",
    "foreign": '{"schema": "other"}',
    "a list": "[1]",
    "newer": '{"schema": "idealprompt-priors", "version": 9, "box": "ab", "boxes": {}}',
    "bad box": '{"schema": "idealprompt-priors", "version": 1, "box": 3, "boxes": {}}',
    "bad boxes": '{"schema": "idealprompt-priors", "version": 1, "box": "ab", "boxes": 3}',
    "bad row": '{"schema": "idealprompt-priors", "version": 1, "box": "ab", "boxes":'
    ' {"ab": [["m", "f", "k", "p", "s", 1, 2.0, 0.5]]}}',
    "free text": '{"schema": "idealprompt-priors", "version": 1, "box": "ab", "boxes":'
    ' {"ab": [["m", "f", "k", "p", "a sentence", 1, 0.5, 0.5]]}}',
    "not a number": '{"schema": "idealprompt-priors", "version": 1, "box": "ab", "boxes":'
    ' {"ab": [["m", "f", "k", "p", "s", 1, NaN, 0.5]]}}',
    "binary": "\x00\x01",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "priors.json"
    path.write_text(BROKEN[kind])
    for use in (
        load,
        reset,
        lambda p: learn(run_result(), "run", p),
        lambda p: update(p, lambda m: m),
    ):
        with pytest.raises(PriorsError, match=re.escape(str(path))):
            use(path)
    assert path.read_text() == BROKEN[kind]


def _teach(path: str, times: int) -> None:
    for _ in range(times):
        learn(run_result(), secrets.token_hex(6), Path(path))


def test_two_processes_lose_no_lesson(tmp_path: Path) -> None:
    path = tmp_path / "priors.json"
    processes = multiprocessing.get_context("spawn")
    workers = [processes.Process(target=_teach, args=(str(path), 6)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(tally.n == 12 for tally in load(path).priors.total().values())


def test_the_package_brings_no_priors(tmp_path: Path) -> None:
    """They were measured and did not pay: see `beliefs_for`."""
    beliefs = beliefs_for(task(), model(), USUAL.get, tmp_path / "none.json")
    assert beliefs.of("seed", "reask").mean(0.3) == 0.3


def test_learned_priors_hold_names_of_the_pool_and_numbers() -> None:
    total = load(LEARNED).priors.total()
    assert total
    pool = {*STRATEGIES, "seed", "calibration"}
    assert {key.parent for key in total} | {key.strategy for key in total} <= pool
    assert all(re.fullmatch(r"(label-(2|few|many)|[a-z]+)(-pair)?", key.kind) for key in total)
    assert all(re.fullmatch(r"[0-9a-f]{12}", key.model) for key in total)


# --- the command ----------------------------------------------------------------------------------


def test_priors_travel_between_machines(memory: Path, tmp_path: Path) -> None:
    assert "no priors yet" in call("priors", "list").stdout
    learn(run_result(), "run1")
    out = tmp_path / "out.json"
    assert call("priors", "export", out).exit_code == 0
    assert json.loads(out.read_text())["box"] != load(memory).box
    assert call("priors", "reset").exit_code == 2
    assert call("priors", "reset", "--yes").exit_code == 0
    learn(run_result(), "run2")
    for _ in range(2):
        assert call("priors", "import", out).exit_code == 0
    listed = json.loads(call("priors", "list", "--json").stdout)["priors"]
    assert {row["n"] for row in listed} == {2}
    assert "rephrase" in call("priors", "list").stdout
    joined = call("priors", "merge", out, memory)
    assert json.loads(joined.stdout)["schema"] == "idealprompt-priors"


def test_priors_complain_in_one_line(tmp_path: Path) -> None:
    missing = call("priors", "import", tmp_path / "none.json")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: ")
    foreign = tmp_path / "foreign.json"
    foreign.write_text("{}")
    assert "is not a priors file" in call("priors", "merge", foreign).stderr


def test_a_search_learns_once_and_learning_can_be_turned_off(folder: Path, memory: Path) -> None:
    words = ("search", folder, "-m", SCRIPT, "-o", "p.yaml", "-q", "--run-dir", "r")
    assert call(*words, "--no-priors").exit_code == 0
    assert not memory.exists()
    assert call(*words[:-1], "s").exit_code == 0
    once = memory.read_text()
    assert load(memory).priors.total()
    assert call(*words[:-1], "s", "--resume").exit_code == 0
    assert memory.read_text() == once
    assert call(*words[:-1], "t", "--policy", "best-first", "--prefer", "short").exit_code == 0
    assert memory.read_text() != once


def test_a_damaged_memory_stops_a_search_before_it_starts(folder: Path, memory: Path) -> None:
    memory.write_text("{}")
    result = call("search", folder, "-m", SCRIPT, "-q", "--run-dir", "r")
    assert result.exit_code == 1
    assert "is not a priors file" in result.stderr
    assert not Path("r").exists()
    assert call("search", folder, "--prefer", "long").exit_code == 2
    assert call("search", folder, "--policy", "ucb").exit_code == 2


def test_what_is_no_priors_file_is_not_written_over(memory: Path, tmp_path: Path) -> None:
    learn(run_result(), "run3")
    foreign = tmp_path / "notes.json"
    foreign.write_text('{"mine": 1}')
    for words in (("export", foreign), ("merge", memory, "-o", foreign)):
        result = call("priors", *words)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert foreign.read_text() == '{"mine": 1}'
    again = tmp_path / "again.json"
    assert [call("priors", "export", again).exit_code for _ in range(2)] == [0, 0]
