"""Racing: challengers are scored on growing blocks and dropped once they cannot win.

After Hoeffding races (Maron & Moore 1994) with a paired bound for few examples; which bound is
`statistics.cannot_win`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .crossfit import Candidate
from .errors import ContextError
from .evaluate import Evaluator, Judged
from .statistics import cannot_win
from .types import Evaluation, Example, Outcome, TrialState

FIRST_BLOCK = 8


@dataclass
class Runner:
    """A candidate in the race."""

    candidate: Candidate
    judged: list[Judged] = field(default_factory=list)
    state: TrialState = "complete"
    note: str = ""


@dataclass(frozen=True)
class Finish:
    """How a candidate came out; `evaluation` covers what was seen of it (None: nothing)."""

    candidate: Candidate
    state: TrialState
    evaluation: Evaluation | None
    note: str = ""


def blocks(examples: Sequence[Example], labels: int) -> list[Sequence[Example]]:
    """Consecutive blocks that double: at least 8 examples and two per label first."""
    start, size, parts = 0, max(FIRST_BLOCK, 2 * labels), []
    while start < len(examples):
        parts.append(examples[start : start + size])
        start, size = start + size, start + size
    return parts


def race(
    evaluator: Evaluator,
    candidates: Sequence[Candidate],
    incumbent: Sequence[Outcome] | None,
    examples: Sequence[Example],
    fold_of: Mapping[str, int],
    hopeless: Callable[[Sequence[Outcome]], bool] | None = None,
) -> list[Finish]:
    """Score candidates on `examples` block by block, all survivors in one engine call.

    Without an incumbent everybody finishes. A candidate that does not fit the context fails alone.
    `hopeless` says of the answers so far that more of them cannot help, whatever they are.
    OutOfBudget passes through: what was computed by then is in the journal.
    """
    runners = [Runner(candidate) for candidate in candidates]
    seen = 0
    for block in blocks(examples, len(evaluator.task.labels)):
        alive = [runner for runner in runners if runner.state == "complete"]
        _score(evaluator, alive, block, fold_of)
        seen += len(block)
        for runner in alive:
            _drop(runner, incumbent, len(examples) - seen, hopeless)
    return [
        Finish(r.candidate, r.state, evaluator.summarise(r.judged) if r.judged else None, r.note)
        for r in runners
    ]


def _drop(
    runner: Runner,
    incumbent: Sequence[Outcome] | None,
    remaining: int,
    hopeless: Callable[[Sequence[Outcome]], bool] | None,
) -> None:
    if incumbent is None or remaining == 0 or runner.state != "complete":
        return
    answers = [item.outcome for item in runner.judged]
    if cannot_win(incumbent, answers, remaining) or (hopeless and hopeless(answers)):
        runner.state = "pruned"
        runner.note = f"dropped after {len(runner.judged)} examples"


def _score(
    evaluator: Evaluator,
    runners: Sequence[Runner],
    block: Sequence[Example],
    fold_of: Mapping[str, int],
) -> None:
    """One call for everybody; if somebody does not fit the context, one call each."""
    pairs = {id(r): [(r.candidate.version(fold_of[e.id]), e) for e in block] for r in runners}
    try:
        judged = evaluator.judge([pair for r in runners for pair in pairs[id(r)]])
    except ContextError as error:
        if len(runners) == 1:
            runners[0].state, runners[0].note = "failed", str(error)
            return
        for runner in runners:
            _score(evaluator, [runner], block, fold_of)
        return
    for place, runner in enumerate(runners):
        runner.judged += judged[place * len(block) : (place + 1) * len(block)]
