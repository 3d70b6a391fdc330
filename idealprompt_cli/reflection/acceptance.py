"""The acceptance test of an edit: better than the incumbent on examples that did not inspire it.

A one-sided sign-flip permutation test (Fisher 1935) on paired differences of (score + squashed
margin) / 2: with few examples the score alone moves in steps too coarse to test. Edits tried
together are corrected for together, by the smallest weighted p-value under common sign flips
(Westfall & Young 1993; weights as in Genovese, Roeder & Wasserman 2006): edits that do much the
same cost much less than Bonferroni would take, and a kind of edit that seldom helped has to show
more than one that often did.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..core.results import Outcome
from ..evaluation.statistics import squash

# The level of the first round; it is halved with every round in which nothing was accepted. At 1/2
# an edit is kept that does better than the luckiest of as many worthless edits would in half of all
# cases: what is kept by mistake is as good as before on average, what is missed is lost. The
# verdict of a run does not rest on it.
ALPHA = 0.5
# Offsets cost nothing to try, and of them there could be any number: they need a lower level, and
# a gain of two examples and of this share at least.
FREE_ALPHA = 0.25
FREE_GAIN = 0.08
# Up to this many pairs every pattern of signs is counted; beyond, `DRAWS` random ones.
_EXACT = 14
DRAWS = 10_000
_TINY = 1e-9
# A smaller difference on an example counts as none: surer where it was sure already is no gain.
NEGLIGIBLE = 0.02


@dataclass(frozen=True)
class Judgement:
    """A paired comparison: `gain` is the mean difference of scores on the `n` outside examples;
    `fixed` and `broke` are ids among all shared examples. `p_value` is corrected for the edits
    that were judged together."""

    p_value: float
    gain: float
    n: int
    fixed: tuple[str, ...]
    broke: tuple[str, ...]

    def accepted(self, level: float, *, free: bool = False) -> bool:
        """The acceptance test, at a level; `free` edits, which only offset labels, must also gain
        at least `FREE_GAIN` and two examples."""
        least = max(FREE_GAIN, 2 / max(1, self.n)) - 1e-9 if free else 0.0
        return self.n > 0 and self.gain >= least and self.p_value <= level


@dataclass(frozen=True)
class Challenge:
    """What an edit answered; `inspired` are the examples that must not score it; `weight` is how
    much was believed in it beforehand (only proportions count)."""

    outcomes: Sequence[Outcome]
    inspired: Collection[str] = ()
    weight: float = 1.0


def judge(
    incumbent: Sequence[Outcome],
    challenger: Sequence[Outcome],
    inspired: Collection[str] = (),
) -> Judgement:
    """One challenger against the incumbent."""
    return judge_all(incumbent, [Challenge(challenger, inspired)])[0]


def judge_all(
    incumbent: Sequence[Outcome], challengers: Sequence[Challenge]
) -> tuple[Judgement, ...]:
    """Every challenger against the incumbent, corrected for their number."""
    before = {o.example_id: o for o in incumbent}
    place = {name: row for row, name in enumerate(before)}
    gains = np.zeros((len(before), len(challengers)))
    found = []
    for column, challenge in enumerate(challengers):
        shared = [(before[o.example_id], o) for o in challenge.outcomes if o.example_id in before]
        outside = [pair for pair in shared if pair[1].example_id not in challenge.inspired]
        for old, new in outside:
            gains[place[new.example_id], column] = _mixed(new) - _mixed(old)
        found.append((shared, outside))
    p_values = corrected(gains, [challenge.weight for challenge in challengers])
    return tuple(
        _judgement(p, shared, outside) for p, (shared, outside) in zip(p_values, found, strict=True)
    )


def _judgement(
    p_value: float,
    shared: Sequence[tuple[Outcome, Outcome]],
    outside: Sequence[tuple[Outcome, Outcome]],
) -> Judgement:
    scores = [new.score - old.score for old, new in outside]
    return Judgement(
        p_value=p_value,
        gain=sum(scores) / len(scores) if scores else 0.0,
        n=len(outside),
        fixed=tuple(new.example_id for old, new in shared if new.score > old.score),
        broke=tuple(new.example_id for old, new in shared if new.score < old.score),
    )


def hopeless(incumbent: Sequence[Outcome], seen: Sequence[Outcome], level: float) -> bool:
    """Whether a challenger would fail the test even if it answered every example that it has not
    seen yet right and surely (curtailed sampling: nothing that could pass is dropped)."""
    after = {o.example_id: o for o in seen}
    gains = [
        (_mixed(after[old.example_id]) if old.example_id in after else 1.0) - _mixed(old)
        for old in incumbent
    ]
    return sign_flip(gains, draws=2_000) > 1.2 * level


def worst_first(outcomes: Sequence[Outcome]) -> list[str]:
    """Ids by how badly they are answered, alternating the labels: where an edit can gain is seen
    first, and no edit looks good by giving one label always."""
    piles: dict[str, list[str]] = {}
    for o in sorted(outcomes, key=lambda o: (_mixed(o), o.example_id)):
        piles.setdefault(o.gold, []).append(o.example_id)
    longest = max((len(pile) for pile in piles.values()), default=0)
    return [pile[row] for row in range(longest) for pile in piles.values() if row < len(pile)]


def level(round_number: int, alpha: float = ALPHA) -> float:
    """The level of a round, counted from 1 since the last acceptance."""
    return float(alpha * 0.5 ** (round_number - 1))


# --- tests ----------------------------------------------------------------------------------------


def sign_flip(gains: Sequence[float], draws: int = DRAWS, seed: int = 0) -> float:
    """One-sided p-value of a mean above zero under random signs; 1.0 where nothing differs."""
    column = np.array(gains, dtype=float)[:, None]
    return corrected(column, [1.0], draws, seed)[0]


def corrected(
    gains: np.ndarray, weights: Sequence[float], draws: int = DRAWS, seed: int = 0
) -> list[float]:
    """Corrected one-sided p-values of (examples, edits) paired differences; an example that an
    edit was not scored on has 0 there. 1.0 for an edit that changes nothing."""
    gains = np.where(np.abs(gains) < NEGLIGIBLE, 0.0, gains)
    rows = gains[gains.any(axis=1)]
    found = np.ones(gains.shape[1])
    used = np.flatnonzero(rows.any(axis=0)) if rows.size else np.zeros(0, dtype=int)
    if not len(used):
        return [1.0] * gains.shape[1]
    sums = _signs(len(rows), draws, seed) @ rows[:, used]
    own = rows[:, used].sum(axis=0)
    share = np.maximum(1e-6, np.array(weights, dtype=float)[used])
    share *= len(used) / share.sum()
    # Every pattern's own p-value, among all patterns: how many sums are at least as large.
    ranked = np.sort(sums, axis=0)
    under = [np.searchsorted(ranked[:, k], sums[:, k] - _TINY) for k in range(len(used))]
    each = 1.0 - np.stack(under, axis=1) / len(sums)
    observed = [1.0 - np.searchsorted(ranked[:, k], own[k] - _TINY) / len(sums)
                for k in range(len(used))]  # fmt: skip
    smallest = (each / share).min(axis=1)
    for k, column in enumerate(used):
        found[column] = float((smallest <= observed[k] / share[k] + _TINY).mean())
    return [float(p) for p in found]


@lru_cache(maxsize=64)
def _signs(count: int, draws: int, seed: int) -> np.ndarray:
    """Every pattern of signs for few examples, else random ones and the observed one."""
    if count <= _EXACT:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return np.asarray(2.0 * patterns - 1.0)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(draws + 1, count))
    signs[0] = 1.0
    return signs


def _mixed(outcome: Outcome) -> float:
    return (outcome.score + squash(outcome.margin)) / 2
