"""Intervals, paired tests and bounds for few examples.

Everything here is about numbers of one run: it knows nothing of prompts or engines.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

from ..core.interfaces import Metric
from ..core.results import (
    BaselineName,
    Comparison,
    Evaluation,
    Interval,
    Outcome,
    Probe,
    SplitScores,
)

_Z95 = 1.959963984540054


def wilson(successes: float, n: int) -> Interval:
    """95 % Wilson score interval of a proportion (Wilson 1927); [0, 1] for n = 0."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, z2 = successes / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def bootstrap(
    outcomes: Sequence[Outcome],
    value: Callable[[Sequence[Outcome]], float],
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """95 % percentile bootstrap over examples (Efron 1979), with a fixed seed."""
    if not outcomes:
        return Interval(0.0, 1.0)
    rng = random.Random(seed)
    values = sorted(value(rng.choices(outcomes, k=len(outcomes))) for _ in range(draws))
    return Interval(values[int(0.025 * draws)], values[min(draws - 1, int(0.975 * draws))])


def interval(outcomes: Sequence[Outcome], metric: Metric) -> Interval:
    """Wilson where the metric's value is a share of right answers, else bootstrap.

    Where the two agree in value (all right, say) Wilson is the honest one: a bootstrap of equal
    grades has no width.
    """
    if all(o.score in (0.0, 1.0) for o in outcomes) and is_mean(outcomes, metric):
        return wilson(sum(o.score for o in outcomes), len(outcomes))
    return bootstrap(outcomes, metric.aggregate)


def is_mean(outcomes: Sequence[Outcome], metric: Metric) -> bool:
    """Whether the metric's value on these outcomes is the mean of their grades; False for none."""
    if not outcomes:
        return False
    total = sum(outcome.score for outcome in outcomes)
    return math.isclose(metric.aggregate(outcomes), total / len(outcomes))


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact binomial p-value of `better` against `worse` with ties left out; for 0/1
    grades this is the exact McNemar test."""
    n = better + worse
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(max(better, worse), n + 1)) / 2**n
    return float(min(1.0, 2 * tail))


def compare(baseline: Sequence[Outcome], winner: Sequence[Outcome], tried: int = 1) -> Comparison:
    """Winner against baseline on the examples they share.

    `tried` is the number of prompts among which the winner was picked on these very examples: the
    p-value is multiplied by it (Bonferroni; the candidates are correlated, so this is cautious).
    """
    before = {o.example_id: o.score for o in baseline}
    pairs = [(before[o.example_id], o.score) for o in winner if o.example_id in before]
    better = sum(new > old for old, new in pairs)
    worse = sum(new < old for old, new in pairs)
    p_value = min(1.0, sign_test(better, worse) * max(1, tried))
    return Comparison(better, worse, p_value, p_value <= 0.05 and better > worse)


def squash(margin: float) -> float:
    """The label margin as a number in (0, 1): the logistic function, which for two labels is the
    probability of the gold one."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, margin))))


def soft_value(outcomes: Sequence[Outcome]) -> float:
    """Mean squashed margin: the low-variance companion of the metric. 0.0 for no outcomes."""
    return sum(_soft(o) for o in outcomes) / len(outcomes) if outcomes else 0.0


def _soft(outcome: Outcome) -> float:
    """The squashed margin; of an answer that was written, which has none, its grade."""
    written = not outcome.probabilities and outcome.margin == 0.0
    return outcome.score if written else squash(outcome.margin)


def merit(value: float, outcomes: Sequence[Outcome]) -> float:
    """What candidates are ranked by: three parts metric, one part soft value. With 16 examples
    the metric moves in steps of 0.06, and between equals the margin decides."""
    return 0.75 * value + 0.25 * soft_value(outcomes)


def paired_gain(before: Sequence[Outcome], after: Sequence[Outcome]) -> tuple[float, float]:
    """(gain, room) over the examples both have seen: the mean difference of `merit` per example,
    in [-1, 1], and what `before` lacked to 1 there. (0, 0) where they share none."""
    old = {o.example_id: _graded(o) for o in before}
    pairs = [(old[o.example_id], _graded(o)) for o in after if o.example_id in old]
    if not pairs:
        return 0.0, 0.0
    gain = sum(new - was for was, new in pairs) / len(pairs)
    return gain, 1.0 - sum(was for was, _ in pairs) / len(pairs)


def within_one_error(best: Sequence[Outcome], other: Sequence[Outcome]) -> bool:
    """Whether `other` is worse than `best` by at most one standard error of the paired difference
    (the one-standard-error rule, Breiman et al. 1984)."""
    old = {o.example_id: _graded(o) for o in other}
    losses = [_graded(o) - old[o.example_id] for o in best if o.example_id in old]
    if len(losses) < 2:
        return False
    mean = sum(losses) / len(losses)
    spread = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1))
    return mean <= spread / math.sqrt(len(losses)) + 1e-9


def _graded(outcome: Outcome) -> float:
    return 0.75 * outcome.score + 0.25 * _soft(outcome)


def cannot_win(
    incumbent: Sequence[Outcome], challenger: Sequence[Outcome], remaining: int, level: float = 0.9
) -> bool:
    """Whether a challenger can be dropped after the examples seen so far.

    Paired differences of (score + squashed margin) / 2; true when the one-sided upper t bound of
    their mean, narrowed for the finite number of examples left (Cochran 1977, section 2.6), is
    below zero. With nothing remaining it is simply the sign of the mean.
    """
    old = {o.example_id: _mixed(o) for o in incumbent}
    gains = [_mixed(o) - old[o.example_id] for o in challenger if o.example_id in old]
    n = len(gains)
    if n < 2:
        return False
    mean = sum(gains) / n
    spread = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / (n - 1))
    finite = math.sqrt(remaining / (n + remaining - 1))
    return mean + _t_quantile(level, n - 1) * spread / math.sqrt(n) * finite < 0.0


def mixed_mean(outcomes: Sequence[Outcome]) -> float:
    """Mean of (score + squashed margin) / 2; 0.0 for none."""
    return sum(_mixed(o) for o in outcomes) / len(outcomes) if outcomes else 0.0


def _mixed(outcome: Outcome) -> float:
    return (outcome.score + _soft(outcome)) / 2


@lru_cache(maxsize=256)
def _t_quantile(level: float, freedom: int) -> float:
    """The quantile of Student's t at a level above one half, by bisection on the angle."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _t_share(middle, freedom) > 2 * level - 1 else (middle, high)
    return math.tan(low) * math.sqrt(freedom)


def _t_share(angle: float, freedom: int) -> float:
    """The share of Student's t within +-tan(angle) * sqrt(freedom); a finite sum for whole degrees
    of freedom (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    if odd:
        return 2 / math.pi * (angle + sine * total * (freedom > 1))
    return sine * total


# --- in words -------------------------------------------------------------------------------------


def verdict(
    split: SplitScores,
    where: str = "held-out",
    labels: Sequence[str] = (),
    baseline: BaselineName = "seed prompt",
    unchanged: bool = False,
) -> str:
    """A few sentences for people: whether the winner is reliably better than the baseline and than
    the majority vote, with the figures, and which labels it never answers. `unchanged`: the winner
    is the baseline."""
    n, test, majority = split.winner.n, split.comparison, split.majority
    graded = {o.score for o in (*split.winner.outcomes, *split.baseline.outcomes)} - {0.0, 1.0}
    name = "exact sign test" if graded else "exact McNemar"
    figures = (
        f"{percent(split.winner)} against {percent(split.baseline)} on {n} {where} examples; "
        f"{name} p = {p_text(test.p_value)}"
    )
    vote = ""
    if majority is not None:
        relation = "which it beats" if majority.beaten else "which it does not reliably beat"
        vote = (
            f" Always answering {majority.label} scores {100 * majority.value:.1f} %, {relation}."
        )
    if unchanged:
        kept = "Nothing was changed" if baseline == "given prompt" else "No better prompt was found"
        text = f"{kept}: the {baseline} scores {percent(split.winner)} on {n} {where} examples."
    elif test.reliable and not _rises(split):
        text = (
            f"No reliable gain: more examples are right, but {split.winner.metric} is no higher "
            f"({figures}). Keep the {baseline}."
        )
    elif test.reliable and (majority is None or majority.beaten):
        text = f"The winner beats the {baseline}: {figures}."
    elif test.reliable:
        text = f"No reliable gain: it beats the {baseline} ({figures}), but not the majority vote."
    elif test.better + test.worse == 0:
        text = f"No gain: the winner answers like the {baseline} ({figures}). Keep the {baseline}."
    else:
        text = f"No reliable gain: keep the {baseline} ({figures})."
    return f"{text}{vote}{_never_answered(split.winner, labels)}"


def beside_probe(probe: Probe | None, winner: Evaluation) -> str:
    """A sentence that compares the prompt with a probe on the same pictures, or ""."""
    if probe is None:
        return ""
    score = probe.test or probe.selection
    low, high = 100 * score.interval.low, 100 * score.interval.high
    return (
        f" A {probe.name} on the same images reaches {100 * score.value:.1f} % "
        f"[{low:.0f}, {high:.0f}]; the prompt {100 * winner.value:.1f} %."
    )


def _never_answered(winner: Evaluation, labels: Sequence[str]) -> str:
    """A sentence that names labels that the winner never answers though examples have them."""
    answered = {outcome.predicted for outcome in winner.outcomes}
    asked = {outcome.gold for outcome in winner.outcomes}
    missing = [label for label in labels if label in asked and label not in answered]
    return f" It never answers {', '.join(missing)}." if missing else ""


def recommended(split: SplitScores) -> Literal["winner", "baseline"]:
    """The winner only where its gain is reliable, over the majority vote too."""
    beaten = split.majority is None or split.majority.beaten
    return "winner" if split.comparison.reliable and beaten and _rises(split) else "baseline"


def _rises(split: SplitScores) -> bool:
    """Whether the metric itself is higher. The paired test counts examples, and a metric that is no
    mean of grades may fall while more of them are right."""
    return split.winner.value > split.baseline.value


def percent(evaluation: Evaluation) -> str:
    """A score with its interval, for people."""
    low, high = 100 * evaluation.interval.low, 100 * evaluation.interval.high
    return f"{100 * evaluation.value:.1f} % [{low:.0f}, {high:.0f}]"


def p_text(p_value: float) -> str:
    """A p-value, for people."""
    return f"{p_value:.2f}" if p_value >= 0.01 else f"{p_value:.0e}".replace("e-0", "e-")
