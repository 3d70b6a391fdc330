"""Racing: challengers are scored on growing blocks and dropped once they cannot win.

After Hoeffding races (Maron & Moore 1994) with a paired bound for few examples; which bound is
`statistics.cannot_win`. Challengers that run together are also measured against the one of them
that leads (as in F-races, Birattari et al. 2002). Where the rules say
so, label bias is corrected as part of the score: offsets are fitted across folds to the answers so
far, after every block, so that a good question is not dropped for a word that the model favours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.errors import ContextError
from ..core.prompt import Prompt
from ..core.results import Evaluation, Outcome, TrialState
from ..core.task import Example
from .budget import OutOfBudget
from .calibration import Calibration, best_calibration
from .cross_fitting import Candidate
from .evaluator import Evaluator, Judged
from .statistics import cannot_win, mixed_mean

FIRST_BLOCK = 8
# Fewer pictures than these say nothing of a prompt.
LEAST = 4


@dataclass(frozen=True)
class Rules:
    """How hard a race is: the size of the first block, and how sure one must be that a challenger
    cannot win (against the incumbent; against the leader, None for not at all). `hopeless` says
    whether more answers, whatever they are, cannot help. `calibrate`: correct label bias as part
    of the score."""

    first_block: int = FIRST_BLOCK
    level: float = 0.9
    leader_level: float | None = None
    hopeless: Callable[[Sequence[Outcome]], bool] | None = None
    calibrate: bool = False


@dataclass
class Runner:
    """A candidate in the race. `corrected` are its outcomes under the offsets of `calibration`;
    `free`: all its answers are known, so dropping it would save nothing."""

    candidate: Candidate
    judged: list[Judged] = field(default_factory=list)
    state: TrialState = "complete"
    note: str = ""
    calibration: Calibration | None = None
    corrected: list[Outcome] = field(default_factory=list)
    free: bool = False

    @property
    def outcomes(self) -> list[Outcome]:
        if self.calibration is not None:
            return self.corrected
        return [item.outcome for item in self.judged]

    def result(self) -> tuple[Candidate, list[Judged]]:
        """The candidate with its offsets, and its outcomes under them."""
        if self.calibration is None:
            return self.candidate, self.judged
        pairs = zip(self.judged, self.corrected, strict=True)
        judged = [replace(item, outcome=outcome) for item, outcome in pairs]
        return self.calibration.applied_to(self.candidate), judged


@dataclass(frozen=True)
class Finish:
    """How a candidate came out; `evaluation` covers what was seen of it (None: nothing). Only one
    that was seen on all examples is complete."""

    candidate: Candidate
    state: TrialState
    evaluation: Evaluation | None
    note: str = ""


@dataclass
class Race:
    """One race; `spent` is set when the budget ended it."""

    evaluator: Evaluator
    candidates: Sequence[Candidate]
    incumbent: Sequence[Outcome] | None
    examples: Sequence[Example]
    fold_of: Mapping[str, int]
    rules: Rules = field(default_factory=Rules)
    spent: OutOfBudget | None = None

    def run(self) -> list[Finish]:
        """Everybody's finish, in order. Where the budget does not allow a block for all who are
        left, the best of them continue, in the end one of them on a part of the block."""
        runners = [Runner(one, free=self._free(one)) for one in self.candidates]
        seen = 0
        for block in self._blocks():
            alive = [r for r in runners if r.state == "complete" and len(r.judged) == seen]
            self._score_who_fits(alive, block)
            self._calibrate(alive)
            seen += len(block)
            scored = [r for r in alive if r.state == "complete" and len(r.judged) == seen]
            self._drop(scored, len(self.examples) - seen)
        return [self._finish(runner) for runner in runners]

    def _blocks(self) -> list[Sequence[Example]]:
        return blocks(self.examples, len(self.evaluator.task.labels), self.rules.first_block)

    def _free(self, candidate: Candidate) -> bool:
        if self.incumbent is None:
            return False  # nobody is dropped
        versions = [(candidate.version(self.fold_of[e.id]), e) for e in self.examples]
        return self.evaluator.free(versions)

    def _finish(self, runner: Runner) -> Finish:
        candidate, judged = runner.result()
        evaluation = self.evaluator.summarise(judged) if judged else None
        if runner.state == "complete" and len(runner.judged) < len(self.examples):
            note = f"the budget ended after {len(runner.judged)} examples"
            return Finish(candidate, "pruned", evaluation, note)
        return Finish(candidate, runner.state, evaluation, runner.note)

    def _calibrate(self, runners: Sequence[Runner]) -> None:
        """Fit each one's offsets again to the answers that it has by now."""
        if not self.rules.calibrate or self.evaluator.task.answer != "label":
            return
        by_id = {example.id: example for example in self.examples}
        for runner in runners:
            prompt, raw = runner.candidate.prompt, [item.outcome for item in runner.judged]

            def shift(
                outcome: Outcome, offsets: Mapping[str, float], prompt: Prompt = prompt
            ) -> Outcome:
                return self.evaluator.shifted(outcome, by_id[outcome.example_id], offsets, prompt)

            found = best_calibration(raw, self.evaluator.task.labels, self.fold_of, shift)
            runner.calibration, runner.corrected = found or (None, [])

    def _score_who_fits(self, alive: Sequence[Runner], block: Sequence[Example]) -> None:
        ranked = sorted(alive, key=lambda r: -mixed_mean(r.outcomes))
        sizes = [len(block)]
        while sizes[-1] // 2 >= LEAST:
            sizes.append(sizes[-1] // 2)
        tries = [(count, len(block)) for count in range(len(ranked), 0, -1)]
        for count, size in tries + [(1, size) for size in sizes[1:]]:
            try:
                self._score(ranked[:count], block[:size])
            except OutOfBudget as stop:
                self.spent = stop
                continue
            return

    def _drop(self, runners: Sequence[Runner], remaining: int) -> None:
        if self.incumbent is None or remaining == 0 or not runners:
            return
        leader = max(runners, key=lambda r: mixed_mean(r.outcomes))
        for runner in (runner for runner in runners if not runner.free):
            beaten = cannot_win(self.incumbent, runner.outcomes, remaining, self.rules.level)
            if self.rules.leader_level is not None and runner is not leader:
                level = self.rules.leader_level
                beaten = beaten or cannot_win(leader.outcomes, runner.outcomes, remaining, level)
            if self.rules.hopeless is not None:
                beaten = beaten or self.rules.hopeless(runner.outcomes)
            if beaten:
                runner.state = "pruned"
                runner.note = f"dropped after {len(runner.judged)} examples"

    def _score(self, runners: Sequence[Runner], block: Sequence[Example]) -> None:
        """One call for everybody; if somebody does not fit the context, one call each."""
        pairs = {
            id(r): [(r.candidate.version(self.fold_of[e.id]), e) for e in block] for r in runners
        }
        try:
            judged = self.evaluator.judge([pair for r in runners for pair in pairs[id(r)]])
        except ContextError as error:
            if len(runners) == 1:
                runners[0].state, runners[0].note = "failed", str(error)
                return
            for runner in runners:
                self._score([runner], block)
            return
        for place, runner in enumerate(runners):
            runner.judged += judged[place * len(block) : (place + 1) * len(block)]


def blocks(
    examples: Sequence[Example], labels: int, first: int = FIRST_BLOCK
) -> list[Sequence[Example]]:
    """Consecutive blocks that double: at least `first` examples first, and where that is the usual
    number two per label, else one."""
    start, size, parts = 0, max(first, labels if first < FIRST_BLOCK else 2 * labels), []
    while start < len(examples):
        parts.append(examples[start : start + size])
        start, size = start + size, start + size
    return parts


def bought(evaluations: int, examples: int) -> str:
    """What so many evaluations buy on so many examples, in words. The depth is a rule of thumb:
    a level for every doubling of the prompts, from four of them on."""
    few, many = evaluations // examples, evaluations // min(FIRST_BLOCK, examples)
    if not many:
        return "no other prompt."
    depth = max(1, round(math.log2(max(1, many))) - 2)
    edits = "1 edit" if depth == 1 else f"{depth} edits"
    prompts = "1 prompt" if few == 1 else f"{few} prompts"
    return (
        f"{prompts} scored on every example, or up to {many} where racing drops the weak ones "
        f"early, up to about {edits} deep."
    )


def race(
    evaluator: Evaluator,
    candidates: Sequence[Candidate],
    incumbent: Sequence[Outcome] | None,
    examples: Sequence[Example],
    fold_of: Mapping[str, int],
    hopeless: Callable[[Sequence[Outcome]], bool] | None = None,
    calibrate: bool = False,
) -> list[Finish]:
    """Score candidates on `examples` block by block, all survivors in one engine call.

    Without an incumbent everybody finishes. A candidate that does not fit the context fails alone.
    `hopeless` and `calibrate` are those of `Rules`.
    Raises OutOfBudget where not everybody can be scored: what was computed by then is kept.
    """
    rules = Rules(hopeless=hopeless, calibrate=calibrate)
    run = Race(evaluator, candidates, incumbent, examples, fold_of, rules)
    finishes = run.run()
    if run.spent is not None:
        raise run.spent
    return finishes
