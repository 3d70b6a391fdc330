"""Whether an edit is better than the incumbent, judged on examples that did not inspire it.

A one-sided sign-flip permutation test (Fisher 1935) on paired differences of (score + squashed
margin) / 2: with few examples the score alone moves in steps too coarse to test. The level is
shared out over the edits that were tried.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics import squash
from ..types import Outcome

# The chance that any edit at all is accepted where none is better, over a whole run.
ALPHA = 0.1
# Up to this many pairs every pattern of signs is counted; beyond, `DRAWS` random ones.
_EXACT = 14
DRAWS = 20_000


@dataclass(frozen=True)
class Judgement:
    """A paired comparison: `gain` is the mean difference of scores on the `n` outside examples;
    `fixed` and `broke` are ids among all shared examples."""

    p_value: float
    gain: float
    n: int
    fixed: tuple[str, ...]
    broke: tuple[str, ...]

    def better(self, level: float) -> bool:
        return self.n > 0 and self.gain >= 0.0 and self.p_value <= level


def judge(
    incumbent: Sequence[Outcome],
    challenger: Sequence[Outcome],
    inspired: Collection[str] = (),
) -> Judgement:
    """The challenger against the incumbent; `inspired` are the examples left out of the test."""
    before = {o.example_id: o for o in incumbent}
    shared = [(before[o.example_id], o) for o in challenger if o.example_id in before]
    outside = [(old, new) for old, new in shared if new.example_id not in inspired]
    gains = [_mixed(new) - _mixed(old) for old, new in outside]
    scores = [new.score - old.score for old, new in outside]
    return Judgement(
        p_value=sign_flip(gains),
        gain=sum(scores) / len(scores) if scores else 0.0,
        n=len(outside),
        fixed=tuple(new.example_id for old, new in shared if new.score > old.score),
        broke=tuple(new.example_id for old, new in shared if new.score < old.score),
    )


def level(round_number: int, tried: int, alpha: float = ALPHA) -> float:
    """The level of each of `tried` edits in the round (counted from 1 since the last acceptance).

    Round r gets alpha / (r (r + 1)), shared equally (Bonferroni). These shares sum to alpha, so as
    long as nothing is better, something is accepted with a chance of at most alpha, however many
    rounds are made.
    """
    return alpha / (round_number * (round_number + 1) * max(1, tried))


def sign_flip(gains: Sequence[float], draws: int = DRAWS, seed: int = 0) -> float:
    """One-sided p-value of a mean above zero under random signs; 1.0 where nothing differs."""
    values = np.array([gain for gain in gains if abs(gain) > 1e-12])
    if not len(values):
        return 1.0
    observed = values.sum() - 1e-12
    if len(values) <= _EXACT:
        patterns = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        return float(((2 * patterns - 1) @ values >= observed).mean())
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(draws, len(values)))
    return float(1 + (signs @ values >= observed).sum()) / (draws + 1)


def _mixed(outcome: Outcome) -> float:
    return (outcome.score + squash(outcome.margin)) / 2
