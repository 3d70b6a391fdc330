"""What kinds of edits are worth: which are tried first, and which are not tried again.

What earlier runs learnt (accepted or rejected, never with which words or on which pictures) comes
from the memory that the search uses; before any, `BASE` is believed.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..priors import Belief, Beliefs

# The share of what is missing that an edit is believed to win, from runs on drawn tasks that
# measure nothing.
BASE: Mapping[str, float] = {
    "question": 0.25,
    "rule-question": 0.25,
    "contrast": 0.15,
    "rule": 0.12,
    "rule-first": 0.12,
    "answers": 0.1,
    "combined": 0.1,
    "merge": 0.08,
    "calibrated": 0.06,
    "words": 0.06,
    "rule-described": 0.06,
}
OTHER = 0.04
# No experience makes a kind worth less than this share of what was believed without any: on tasks
# that a search had solved already nothing can win.
FLOOR = 0.2
# A kind that was never among the promising ones is left out after so many uses that won nothing.
USES, NOTHING = 12, 0.005


def strategy_of(kind: str) -> str:
    """The name by which the memory and the artifact's trail know a kind of edit."""
    return f"reflect {kind}"


def prior_value(beliefs: Beliefs, parent: str, kind: str) -> float:
    """The believed share, after `parent` made the incumbent."""
    base = BASE.get(kind, OTHER)
    return max(FLOOR * base, _belief(beliefs, parent, kind).mean(base))


def left_out(beliefs: Beliefs, parent: str, kind: str) -> bool:
    """Whether the kind was rejected so often that it is not worth a try."""
    belief = _belief(beliefs, parent, kind)
    return kind not in BASE and belief.n >= USES and belief.mean(OTHER) < NOTHING


def _belief(beliefs: Beliefs, parent: str, kind: str) -> Belief:
    return beliefs.of(parent.replace(" ", "-"), strategy_of(kind).replace(" ", "-"))
