"""Other ways to give examples to candidates, against the package's race.

`FixedBlocks` gives everybody who is left the next block of one size, whatever is left of the
budget, and compares with the incumbent only. In `TopTwoRace` examples go to candidates by expected
value, by top-two Thompson sampling (Russo 2016): two draws from the candidates' posteriors choose
who is scored on a further block; the race ends when a draw prefers what is scored in full. A
candidate starts from its parent's posterior: the incumbent's mean, with the weight of a few
examples.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from idealprompt_cli.core.results import Outcome
from idealprompt_cli.core.task import Example
from idealprompt_cli.evaluation.budget import OutOfBudget
from idealprompt_cli.evaluation.cross_fitting import Candidate
from idealprompt_cli.evaluation.racing import Finish, Race, Runner
from idealprompt_cli.evaluation.statistics import cannot_win, mixed_mean

BLOCK = 8
INHERITED = 4.0


class FixedBlocks(Race):
    """A race in blocks of `BLOCK` examples."""

    def _blocks(self) -> list[Sequence[Example]]:
        return [self.examples[at : at + BLOCK] for at in range(0, len(self.examples), BLOCK)]

    def _free(self, candidate: Candidate) -> bool:
        return False

    def _score_who_fits(self, alive: Sequence[Runner], block: Sequence[Example]) -> None:
        try:
            self._score(alive, block)
        except OutOfBudget as stop:
            self.spent = stop

    def _drop(self, runners: Sequence[Runner], remaining: int) -> None:
        for runner in runners if self.incumbent is not None and remaining else ():
            if cannot_win(self.incumbent or (), runner.outcomes, remaining):
                runner.state = "pruned"
                runner.note = f"dropped after {len(runner.judged)} examples"


class TopTwoRace(Race):
    """A race with the rules of `Race`, but for who is scored next."""

    def run(self) -> list[Finish]:
        runners = [Runner(one, free=self._free(one)) for one in self.candidates]
        rng = random.Random(" ".join(candidate.key() for candidate in self.candidates))
        while chosen := self._next(runners, rng):
            for runner in chosen:
                seen = len(runner.judged)
                try:
                    self._score([runner], self.examples[seen : seen + BLOCK])
                except OutOfBudget as stop:
                    self.spent = stop
                    return [self._finish(runner) for runner in runners]
            self._calibrate(chosen)
        for runner in runners:
            if runner.state == "complete" and len(runner.judged) < len(self.examples):
                runner.state = "pruned"
                runner.note = f"left after {len(runner.judged)} examples"
        return [self._finish(runner) for runner in runners]

    def _next(self, runners: Sequence[Runner], rng: random.Random) -> list[Runner]:
        """Who is scored next: all on a first block, then two at a time; nobody, if a draw prefers
        the incumbent or a candidate that is done."""
        alive = [r for r in runners if r.state == "complete"]
        unseen = [r for r in alive if not r.judged or r.free]
        if first := [r for r in unseen if len(r.judged) < len(self.examples)]:
            return first
        chosen: list[Runner] = []
        for _ in range(2):
            draws = {id(r): self._draw(r.outcomes, rng) for r in alive}
            best = max(alive, key=lambda r: draws[id(r)], default=None)
            if best is None or len(best.judged) == len(self.examples):
                continue
            if self.incumbent is not None and self._draw(self.incumbent, rng) > draws[id(best)]:
                continue
            if best not in chosen:
                chosen.append(best)
        return chosen

    def _draw(self, outcomes: Sequence[Outcome], rng: random.Random) -> float:
        """A draw from the posterior of a candidate's mean."""
        prior = mixed_mean(self.incumbent) if self.incumbent else 0.5
        total = len(outcomes) + INHERITED
        mean = (len(outcomes) * mixed_mean(outcomes) + INHERITED * prior) / total
        return rng.gauss(mean, math.sqrt(max(0.01, mean * (1.0 - mean)) / total))
