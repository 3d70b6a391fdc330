"""The linear layer of a committee, and the words for it in a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from idealprompt_cli import metrics
from idealprompt_cli.core.committee import REACH, Committee, Member, prompts_of, within_reach
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import CommitteeResult, Comparison, Evaluation, SplitScores
from idealprompt_cli.evaluation.committee import beside_committee, recommendation
from idealprompt_cli.evaluation.committee_layer import fit
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine

from ..support.factories import evaluation, run_result
from ..support.fake_vlm import FakeVlm


def answers(gold: np.ndarray, strength: float, words: int, seed: int) -> np.ndarray:
    """Log-probabilities of words, of which word y is likelier by `strength` for label y."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(-3.0, 1.0, (len(gold), words)) + rng.normal(0, 2, (len(gold), 1))
    logs[np.arange(len(gold)), gold] += strength
    return np.asarray(logs)


def committee_of(
    gold: np.ndarray, logs: list[np.ndarray], most: int
) -> tuple[Committee, tuple[int, ...]]:
    layer = fit(logs, gold, 3, most)
    members = tuple(
        Member(
            Prompt(f"question {place}"),
            tuple(f"w{n}" for n in range(weights.shape[1])),
            {label: tuple(row) for label, row in zip("ABC", weights.tolist(), strict=True)},
        )
        for place, weights in zip(layer.members, layer.weights, strict=True)
    )
    return Committee(members, dict(zip("ABC", layer.biases.tolist(), strict=True))), layer.members


def share_right(
    committee: Committee, chosen: tuple[int, ...], logs: list[np.ndarray], gold: np.ndarray
) -> float:
    right = 0
    for place, label in enumerate(gold):
        scores = committee.scores([logs[one][place].tolist() for one in chosen])
        right += max(scores, key=lambda name: scores[name]) == "ABC"[label]
    return right / len(gold)


def test_two_weak_prompts_answer_better_than_one() -> None:
    gold, new = np.arange(48) % 3, np.arange(300) % 3
    strengths = (0.0, 1.5, 1.5, 0.0, 1.5)
    seen = [answers(gold, s, 5 + n, n) for n, s in enumerate(strengths)]
    asked = [answers(new, s, 5 + n, 100 + n) for n, s in enumerate(strengths)]
    one, first = committee_of(gold, seen, 1)
    three, chosen = committee_of(gold, seen, 3)
    assert len(first) == 1
    assert set(chosen) == {1, 2, 4}
    alone = share_right(one, first, asked, new)
    assert share_right(three, chosen, asked, new) > alone + 0.1 > 0.5


def test_a_useless_prompt_is_not_asked() -> None:
    gold = np.arange(48) % 3
    _, chosen = committee_of(gold, [answers(gold, 6.0, 4, 1), answers(gold, 0.0, 4, 2)], 5)
    assert chosen == (0,)


def test_what_all_words_share_plays_no_part() -> None:
    gold = np.arange(24) % 3
    logs = [answers(gold, 2.0, 4, 3)]
    committee, chosen = committee_of(gold, logs, 2)
    row = logs[0][5].tolist()
    moved = [log - 7.5 for log in row]
    first, second = committee.scores([row]), committee.scores([moved])
    assert first == pytest.approx(second)
    assert chosen == (0,)


def test_words_out_of_reach_count_alike() -> None:
    assert within_reach([-2.0, -5.0, -400.0]) == [0.0, -3.0, -REACH]
    member = Member(Prompt("?"), ("a", "b"), {"A": (0.5, -0.5), "B": (0.0, 1.0)})
    committee = Committee((member,), {"A": 1.0, "B": -1.0})
    assert committee.scores([[-1.0, -60.0]]) == {"A": 1.0 + 0.5 * REACH, "B": -1.0 - REACH}
    assert prompts_of(committee) == prompts_of(member.prompt) == (Prompt("?"),)


# --- in words -------------------------------------------------------------------------------------


def made(test: Evaluation | None, *, reliable: bool) -> CommitteeResult:
    member = Member(Prompt("?"), ("a",), dict.fromkeys(("K7", "M: 2", "yes"), (1.0,)))
    committee = Committee((member, member), {"K7": 0.0, "M: 2": 0.0, "yes": 0.0})
    return CommitteeResult(committee, 77, evaluation(5, 6), Comparison(4, 0, 0.04, reliable), test)


def recommended(baseline: int, winner: int, committee: int, *, reliable: bool) -> str:
    result = run_result()
    before, after, best = (evaluation(right, 60) for right in (baseline, winner, committee))
    task, result = result.task, replace(result, committee=made(best, reliable=reliable))
    split = SplitScores(before, after, Comparison(9, 0, 0.004, True))
    evaluator = Evaluator(
        MeteredEngine(FakeVlm()), replace(task, labels=()), metrics.get("accuracy")
    )
    return recommendation(replace(result, task=evaluator.task), split, evaluator)


def test_it_is_recommended_only_where_it_is_reliably_better() -> None:
    assert recommended(10, 30, 50, reliable=True) == "committee"
    assert recommended(10, 30, 50, reliable=False) == "winner"
    assert recommended(48, 30, 50, reliable=True) == "baseline"  # not better than that


def test_the_verdict_has_gain_and_price() -> None:
    result = replace(run_result(), most_members=3)
    assert beside_committee(run_result()) == ""
    assert beside_committee(result) == (
        " No committee of up to 3 prompts is as good as the winner on the training examples."
    )
    text = beside_committee(replace(result, committee=made(evaluation(8, 9), reliable=True)))
    assert "A committee of 2 prompts scores 88.9 %" in text
    assert "a reliable gain over the single winner (p = 0.04)" in text
    assert "2 evaluations and 77 prompt tokens an example instead of 1 and 60" in text
