"""Label bias corrected as part of a score, and left alone where there is none."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace

from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Outcome
from idealprompt_cli.evaluation.calibration import best_calibration, shifted_logs
from idealprompt_cli.evaluation.cross_fitting import Candidate

LABELS = ("R1", "R2", "R3")


def outcome(number: int, gold: str, logs: Mapping[str, float]) -> Outcome:
    """An outcome as an evaluator makes it from label scores."""
    total = math.log(sum(math.exp(value) for value in logs.values()))
    predicted = max(logs, key=lambda label: logs[label])
    other = max(value for label, value in logs.items() if label != gold)
    return Outcome(
        f"{number}.png",
        gold,
        predicted,
        float(predicted == gold),
        logs[gold] - other,
        {label: math.exp(value - total) for label, value in logs.items()},
    )


def answers(bias: float, signal: float, count: int = 30, seed: int = 1) -> list[Outcome]:
    rng = random.Random(seed)
    found = []
    for number in range(count):
        gold = LABELS[number % len(LABELS)]
        logs = {x: rng.gauss(0, 0.4) + signal * (x == gold) + bias * (x == "R1") for x in LABELS}
        found.append(outcome(number, gold, logs))
    return found


def shift(before: Outcome, offsets: Mapping[str, float]) -> Outcome:
    number = int(before.example_id.removesuffix(".png"))
    return outcome(number, before.gold, shifted_logs(before.probabilities, offsets))


def folds(outcomes: list[Outcome], count: int = 8) -> dict[str, int]:
    return {one.example_id: place % count for place, one in enumerate(outcomes)}


def right(outcomes: list[Outcome]) -> float:
    return sum(one.score for one in outcomes) / len(outcomes)


def test_a_strong_bias_is_corrected_without_touching_what_is_scored() -> None:
    raw = answers(bias=25.0, signal=2.0)
    found = best_calibration(raw, LABELS, folds(raw), shift)
    assert right(raw) < 0.4
    assert found is not None
    calibration, corrected = found
    assert right(corrected) > 0.9
    assert set(calibration.by_fold) == set(range(8))
    child = calibration.applied_to(Candidate(Prompt("Which?")))
    assert dict(child.prompt.calibration)["R1"] < -10
    assert len({p.calibration for p in child.variants.values()}) > 1


def test_nothing_is_offset_where_there_is_no_bias() -> None:
    raw = answers(bias=0.0, signal=2.0)
    assert best_calibration(raw, LABELS, folds(raw), shift) is None


def test_written_answers_and_few_examples_are_left_alone() -> None:
    raw = answers(bias=3.0, signal=1.0)
    assert best_calibration(raw[:3], LABELS, folds(raw), shift) is None
    written = [replace(one, probabilities={}) for one in raw]
    assert best_calibration(written, LABELS, folds(raw), shift) is None


def test_an_edit_starts_from_the_prompt_without_offsets() -> None:
    raw = answers(bias=25.0, signal=2.0)
    found = best_calibration(raw, LABELS, folds(raw), shift)
    assert found is not None
    bare = Candidate(Prompt("Which?"))
    assert found[0].applied_to(bare).uncalibrated() == bare
