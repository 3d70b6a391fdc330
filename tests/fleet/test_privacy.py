"""The noise, its account, and what it costs."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import StorageError, UsageError
from idealprompt_cli.fleet.federation.privacy import (
    SENSITIVITY_SQUARED,
    Policy,
    Releases,
    discrete_gaussian,
    epsilon_of,
    rho_of,
)


def test_the_noise_has_the_stated_spread() -> None:
    rng = random.Random(1)
    draws = [discrete_gaussian(3.0, rng) for _ in range(4000)]
    assert abs(statistics.mean(draws)) < 0.2
    assert abs(statistics.pstdev(draws) - 3.0) < 0.15


def test_the_noise_has_the_stated_distribution() -> None:
    rng = random.Random(2)
    count = Counter(discrete_gaussian(1.0, rng) for _ in range(6000))
    total = sum(math.exp(-(x**2) / 2) for x in range(-30, 31))
    for x in (-2, -1, 0, 1, 2):
        assert count[x] / 6000 == pytest.approx(math.exp(-(x**2) / 2) / total, abs=0.02)


def test_rho_and_epsilon_are_each_others_inverse() -> None:
    for epsilon in (0.1, 1.0, 8.0, 50.0):
        assert epsilon_of(rho_of(epsilon, 1e-5), 1e-5) == pytest.approx(epsilon)


def test_sigma_spends_the_whole_budget() -> None:
    policy = Policy(epsilon=8.0, delta=1e-5, prompts=100)
    each = SENSITIVITY_SQUARED / (2 * policy.sigma**2)
    assert epsilon_of(100 * each, 1e-5) == pytest.approx(8.0)
    assert Policy().sigma == 0.0


def test_the_same_question_gets_the_same_answer(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "releases.jsonl"
    policy = Policy(epsilon=8.0, prompts=10)
    first = Releases.open(path, policy, "d").release("train", "p", {"0": (5, 6)})["0"]
    again = Releases.open(path, policy, "d")
    assert again.known("train", "p", "0") == first
    assert again.known("test", "p", "0") is None
    assert path.stat().st_mode & 0o077 == 0


def test_the_budget_is_spent_over_all_runs(tmp_path: Path) -> None:
    path = tmp_path / "releases.jsonl"
    policy = Policy(epsilon=8.0, prompts=3)
    for prompt in ("a", "b"):
        Releases.open(path, policy, "d").release("train", prompt, {"0": (1,)})
    account = Releases.open(path, policy, "d")
    assert account.left("train") == 1
    account.release("train", "c", {"0": (1,)})
    account.release("train", "c", {"1": (1,)})  # another group of the same release
    assert epsilon_of(account.rho("train"), policy.delta) == pytest.approx(8.0)
    with pytest.raises(UsageError, match="privacy budget of the train split is spent: 3 prompts"):
        account.release("train", "d", {"0": (1,)})
    account.release("test", "d", {"0": (1,)})  # other examples


def test_examples_that_are_added_undo_nothing(tmp_path: Path) -> None:
    path = tmp_path / "releases.jsonl"
    policy = Policy(prompts=2)
    Releases.open(path, policy, "before").release("train", "a", {"0": (1,)})
    after = Releases.open(path, policy, "after")
    assert after.known("train", "a", "0") is None
    assert after.left("train") == 1


def test_a_line_that_a_crash_cut_off_was_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "releases.jsonl"
    Releases.open(path, Policy(), "d").release("train", "a", {"0": (1,), "1": (2,)})
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-20], encoding="utf-8")
    assert Releases.open(path, Policy(), "d").known("train", "a", "0") == (1,)
    path.write_text("nonsense\n" + text, encoding="utf-8")
    with pytest.raises(StorageError, match=r"releases.jsonl:1: not a line of this file"):
        Releases.open(path, Policy(), "d")


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (Policy(min_group=1), "at least 2"),
        (Policy(epsilon=-1), "--epsilon"),
        (Policy(delta=1.5), "--delta"),
        (Policy(prompts=0), "--prompts"),
    ],
)
def test_policies_that_make_no_sense(policy: Policy, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        policy.check()


def test_drafts_stay_where_there_is_noise() -> None:
    assert Policy().drafts_allowed
    assert not Policy(epsilon=1.0).drafts_allowed
    assert Policy(epsilon=1.0, drafts=True).drafts_allowed
    assert "drafted texts stay on the box" in Policy(epsilon=1.0).statement()
