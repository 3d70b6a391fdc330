"""The pieces of reflection: cases, acceptance, offsets, words."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from idealprompt_cli.core.edits import EditReport
from idealprompt_cli.core.prompt import LabelText, Prompt, Verbaliser
from idealprompt_cli.core.results import Evaluation, Interval, Outcome, Trial
from idealprompt_cli.evaluation.calibration import added, batch, contextual, fitted, label_bias
from idealprompt_cli.evaluation.cross_fitting import Candidate
from idealprompt_cli.fitting.answer_rules import phrases_of, separation
from idealprompt_cli.fitting.verbalisers import fit_verbalisers, likelihood
from idealprompt_cli.priors import ANY, Belief, Beliefs, lessons
from idealprompt_cli.reflection.acceptance import (
    Challenge,
    hopeless,
    judge,
    judge_all,
    level,
    sign_flip,
    worst_first,
)
from idealprompt_cli.reflection.calibration import order_bias
from idealprompt_cli.reflection.cases import confusions, ranked
from idealprompt_cli.reflection.proposal import differences, key
from idealprompt_cli.reflection.selection import left_out, merges, prior_value

from ..support.factories import run_result

LABELS = ("A", "B")


def outcome(name: str, gold: str, chance: float, other: str = "B") -> Outcome:
    """An answer that gives the gold label this probability, `other` the rest."""
    other = other if other != gold else "A"
    said = gold if chance > 0.5 else other
    margin = math.log(chance / (1 - chance))
    odds = {gold: chance, other: 1 - chance}
    return Outcome(name, gold, said, float(said == gold), margin, odds)


# --- cases ----------------------------------------------------------------------------------------


def test_cases_are_ranked_by_loss_times_the_weight_of_their_confusion() -> None:
    found = confusions(
        [
            outcome("a1", "A", 0.10),
            outcome("a2", "A", 0.20),
            outcome("b1", "B", 0.05),
            outcome("near", "A", 0.55),
            outcome("sure", "A", 0.95),
        ]
    )
    assert [c.name for c in found] == ["A predicted as B", "B predicted as A"]
    assert sum(c.weight for c in found) == pytest.approx(1.0)
    cases = ranked(found)
    assert [c.example_id for c in cases] == ["a1", "b1", "a2", "near"]
    assert cases[0].loss == pytest.approx(-math.log(0.10))
    assert cases[0].consequence == pytest.approx(cases[0].loss * found[0].weight)
    assert cases[0].reason.startswith("wrong: B 0.90 against A 0.10; a confusion with")
    assert cases[-1].reason.startswith("barely right: B 0.45 against A 0.55")


def test_nothing_wrong_leaves_no_confusion() -> None:
    assert confusions([outcome("a", "A", 0.95), outcome("b", "B", 0.92)]) == ()


def test_free_text_has_one_confusion_per_gold() -> None:
    found = confusions([Outcome("t", "seven", "eight", 0.0, reply="eight")])
    assert found[0].cases[0].reason == "answered 'eight' for 'seven'"


# --- acceptance -----------------------------------------------------------------------------------


def test_sign_flip_is_exact_for_few_and_close_for_many() -> None:
    assert sign_flip([0.5] * 4) == 1 / 16
    assert sign_flip([]) == sign_flip([0.0, 0.0]) == 1.0
    gains = [0.3, -0.1, 0.2, 0.4, 0.1, -0.2, 0.3, 0.25, 0.1, 0.2, -0.05, 0.3, 0.1, 0.2]
    exact = sign_flip(gains)
    assert sign_flip([*gains, 0.01]) == pytest.approx(exact, rel=0.5)


def test_the_level_falls_round_by_round() -> None:
    assert [level(number, 0.4) for number in (1, 2, 3)] == [0.4, 0.2, 0.1]


def test_a_kind_that_was_believed_in_needs_less() -> None:
    rng = random.Random(2)
    old = [outcome(str(i), "A", 0.4) for i in range(16)]
    new = [[outcome(str(i), "A", rng.uniform(0.2, 0.8)) for i in range(16)] for _ in range(5)]
    even = judge_all(old, [Challenge(each) for each in new])
    tilted = judge_all(old, [Challenge(new[0], weight=5.0), *map(Challenge, new[1:])])
    assert tilted[0].p_value < even[0].p_value
    assert all(a.p_value >= b.p_value for a, b in zip(tilted[1:], even[1:], strict=True))


def test_under_chance_an_edit_is_rarely_accepted() -> None:
    rng = random.Random(5)
    accepted = 0
    for _ in range(300):
        old = [outcome(str(i), "AB"[i % 2], rng.uniform(0.05, 0.95)) for i in range(12)]
        new = [outcome(str(i), "AB"[i % 2], rng.uniform(0.05, 0.95)) for i in range(12)]
        accepted += judge(old, new).accepted(0.05)
    assert accepted <= 300 * 0.08


def test_inspiring_examples_are_left_out_of_the_test() -> None:
    old = [outcome(str(i), "A", 0.1) for i in range(6)]
    new = [outcome(str(i), "A", 0.9 if i < 3 else 0.1) for i in range(6)]
    both, outside = judge(old, new), judge(old, new, {"0", "1", "2"})
    assert (both.n, outside.n) == (6, 3)
    assert both.p_value < outside.p_value == 1.0
    assert outside.fixed == ("0", "1", "2")
    assert not outside.accepted(0.5)


def test_edits_that_do_the_same_cost_one_correction() -> None:
    rng = random.Random(1)
    old = [outcome(str(i), "A", rng.uniform(0.2, 0.6)) for i in range(20)]
    new = [outcome(str(i), "A", rng.uniform(0.3, 0.8)) for i in range(20)]
    worse = [outcome(str(i), "A", 0.1) for i in range(20)]
    alone = judge(old, new).p_value
    same = judge_all(old, [Challenge(new)] * 10)
    assert {j.p_value for j in same} == {alone}
    assert judge_all(old, [Challenge(new), Challenge(worse)])[0].p_value <= 2 * alone
    others = [[outcome(str(i), "A", rng.uniform(0.3, 0.8)) for i in range(20)] for _ in range(9)]
    mixed = judge_all(old, [Challenge(new), *map(Challenge, others)])
    assert alone <= mixed[0].p_value <= 10 * alone


def test_together_under_chance_an_edit_is_rarely_accepted() -> None:
    rng = random.Random(6)

    def drawn() -> list[Outcome]:
        return [outcome(str(i), "AB"[i % 2], rng.uniform(0.05, 0.95)) for i in range(10)]

    accepted = sum(
        any(j.accepted(0.1) for j in judge_all(drawn(), [Challenge(drawn()) for _ in range(6)]))
        for _ in range(200)
    )
    assert accepted <= 200 * 0.15


def test_what_cannot_pass_is_dropped_early_and_nothing_else() -> None:
    wrong = [outcome(f"w{i}", "A", 0.05) for i in range(6)]
    right = [outcome(f"r{i}", "A", 0.98) for i in range(10)]
    assert worst_first([*right, *wrong])[:6] == [o.example_id for o in wrong]
    mended = [outcome(f"w{i}", "A", 0.95) for i in range(6)]
    assert hopeless([*wrong, *right], wrong, 0.02)
    assert not hopeless([*wrong, *right], mended, 0.02)
    assert hopeless([*wrong, *right], mended, 0.001)


# --- two answers ----------------------------------------------------------------------------------


def test_a_rule_about_two_answers() -> None:
    rows = [
        ("intact", "sharp", "A"),
        ("intact", "blurred", "B"),
        ("intact", "dim", "B"),
        ("scratched", "sharp", "C"),
        ("scratched", "dim", "C"),
        ("stained", "blurred", "C"),
    ] * 2
    gold = {str(i): row[2] for i, row in enumerate(rows)}
    first, second = ({str(i): row[place] for i, row in enumerate(rows)} for place in (0, 1))
    expected = {
        "A": ("intact and sharp",),
        "B": ("intact and blurred", "intact and dim"),
        "C": ("scratched", "stained"),
    }
    assert phrases_of(first, second, gold, ("A", "B", "C")) == expected
    assert phrases_of(second, first, gold, ("A", "B", "C")) == expected
    assert phrases_of(first, second, gold, ("A", "B", "C", "D")) is None


# --- offsets --------------------------------------------------------------------------------------


def recalibrated(outcomes: Sequence[Outcome], offsets: Sequence[tuple[str, float]]) -> int:
    table = dict(offsets)
    right = 0
    for o in outcomes:
        odds = {x: math.log(p) + table[x] for x, p in o.probabilities.items()}
        right += max(odds, key=lambda x: odds[x]) == o.gold
    return right


def test_offsets_even_out_a_lean() -> None:
    """A model that always prefers A, by more for As."""
    leaning = [outcome(f"a{i}", "A", 0.9) for i in range(5)]
    leaning += [outcome(f"b{i}", "B", 0.3) for i in range(5)]
    assert label_bias(leaning, LABELS) == {"A": 0.5, "B": -0.5}
    for offsets in (batch(leaning, LABELS), fitted(leaning, LABELS)):
        assert recalibrated(leaning, offsets) == 10
    blank = outcome("blank", "A", 0.75)
    assert recalibrated(leaning, contextual(blank, LABELS)) == 10
    assert dict(added((("A", 1.0), ("B", -1.0)), (("A", -1.0), ("B", 1.0)))) == {"A": 0, "B": 0}


def test_order_bias() -> None:
    forward = [Outcome("1", "A", "A", 1.0), Outcome("2", "B", "A", 0.0), Outcome("3", "B", "B", 1)]
    backward = [Outcome("1", "A", "B", 0.0), Outcome("2", "B", "A", 0.0)]
    bias = order_bias(forward, backward, LABELS)
    assert (bias.n, bias.flipped, bias.first) == (2, 0.5, 0.5)
    assert order_bias([], [], LABELS).n == 0


# --- words and parts ------------------------------------------------------------------------------


def test_words_move_to_the_label_they_speak_for() -> None:
    says = {"A": {"red": -0.2, "blue": -3.0, "odd": -2.5}, "B": {"red": -3.0, "blue": -0.2}}
    scores = {f"{x}{i}": {"odd": -2.5, **says[x]} for x in LABELS for i in range(5)}
    gold = {name: name[0] for name in scores}
    wrong = (Verbaliser("A", ("blue",)), Verbaliser("B", ("odd",)))
    fresh = fit_verbalisers(scores, gold, LABELS)
    assert fresh is not None
    assert {v.label: v.words[0] for v in fresh} == {"A": "red", "B": "blue"}
    moved = fit_verbalisers(scores, gold, LABELS, wrong)
    assert moved is not None
    before, after = (likelihood(scores, gold, LABELS, fit) for fit in (wrong, moved))
    assert after > before
    assert fit_verbalisers(scores, dict.fromkeys(gold, "A"), LABELS) is None


def test_separation() -> None:
    gold = {"1": "A", "2": "A", "3": "B", "4": "B"}
    distinctive_answers = {"1": "x", "2": "X", "3": "y", "4": "y"}
    assert separation(distinctive_answers, gold) > separation(dict.fromkeys(gold, "x"), gold)


def test_differences_and_keys() -> None:
    before = Prompt("Which?")
    after = before.with_(role="Clerk.", label_descriptions=(LabelText("A", "red"),))
    changes = differences(before, after)
    assert [(c.part, c.before, c.after) for c in changes] == [
        ("role", "", "Clerk."),
        ("label_descriptions", "", '{"A": "red"}'),
    ]
    assert key(changes) == key(changes[::-1])
    assert key(changes) != key(changes[:1])


def test_merges_take_what_the_incumbent_left_alone() -> None:
    seed = Prompt("Which?")
    other = Candidate(
        seed.with_(role="r", context="all"), {0: seed.with_(role="r", context="without 0")}
    )
    incumbent = Candidate(Prompt("What?", role="mine"))
    (merge,) = merges(incumbent, [other], seed, 2)
    assert merge.draft.prompt == Prompt("What?", role="mine", context="all")
    assert merge.versions[0].context == "without 0"
    assert merges(incumbent, [Candidate(Prompt("Else?"))], seed, 2) == []


# --- what earlier runs taught ---------------------------------------------------------------------


def test_rejected_kinds_come_last_and_are_left_out_in_the_end() -> None:
    assert prior_value(Beliefs(), "reask", "question") > prior_value(Beliefs(), "reask", "cue")
    taught = {"reflect-cue": Belief(0.05, 0.0, 14), "reflect-question": Belief(0.05, 0.0, 14)}
    beliefs = Beliefs({ANY: taught})
    assert left_out(beliefs, "reflect calibration-mean", "cue")
    assert not left_out(beliefs, "reask", "question")
    low, usual = (prior_value(one, "reask", "question") for one in (beliefs, Beliefs()))
    assert 0 < low < usual


def test_the_memory_keeps_kinds_of_edits_and_nothing_of_what_they_say() -> None:
    asked = Prompt("Which?")
    before = Trial(0, None, "seed", asked, "complete", evaluation_of([0.2, 0.3, 0.4, 0.3]))
    reports = (EditReport((), "why", p_value=0.01, level=0.5), EditReport((), "", p_value=0.9))
    better = evaluation_of([0.9, 0.9, 0.9, 0.9])
    trials = (
        before,
        Trial(1, 0, "reflect question", asked, "complete", better, edit=reports[0]),
        Trial(2, 0, "reflect cue", asked, "pruned", better, edit=replace(reports[1], level=0.1)),
    )
    taught = dict(lessons(replace(run_result(), trials=trials)))
    found = {key.strategy: won for key, won in taught.items()}
    assert found["reflect-question"] > 0.5
    assert found["reflect-cue"] == 0.0
    assert {key.parent for key in taught} == {"seed"}


def evaluation_of(chances: Sequence[float]) -> Evaluation:
    outcomes = tuple(outcome(str(i), "A", chance) for i, chance in enumerate(chances))
    return Evaluation("accuracy", 0.5, Interval(0, 1), outcomes)
