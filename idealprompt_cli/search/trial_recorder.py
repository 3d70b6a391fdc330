"""The one place where a `Trial` and a `RunResult` are assembled, for search and reflection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.edits import EditReport
from ..core.events import TrialDone
from ..core.prompt import Prompt
from ..core.results import (
    BaselineName,
    Evaluation,
    FrontPoint,
    Prefer,
    RunResult,
    SplitScores,
    StopReason,
    Trial,
)
from ..evaluation.context import RunContext
from ..evaluation.majority import majority_vote
from ..evaluation.racing import Finish
from ..evaluation.statistics import compare, recommended, verdict
from ..prompts.rendering import render


@dataclass
class TrialRecorder:
    """The trials of a run in order, each also in the journal and reported to the observer."""

    context: RunContext
    trials: list[Trial] = field(default_factory=list)

    def trial(
        self,
        finish: Finish,
        strategy: str,
        parent: Trial | None,
        note: str,
        edit: EditReport | None = None,
    ) -> Trial:
        """The next trial, from a candidate that was scored. It is not recorded yet."""
        prompt = finish.candidate.prompt
        return Trial(
            id=len(self.trials),
            parent=parent.id if parent else None,
            strategy=strategy,
            prompt=prompt,
            state=finish.state,
            evaluation=finish.evaluation,
            prompt_tokens=self._tokens(prompt),
            note="; ".join(text for text in (note, finish.note) if text),
            variants=tuple(sorted(finish.candidate.variants.items())),
            edit=edit,
        )

    def record(self, trial: Trial) -> None:
        """Add a trial, here and in the journal."""
        self.trials.append(trial)
        self.context.journal.append_trial(trial)

    def report(self, trial: Trial, best: Trial) -> None:
        """Report a trial to the observer."""
        account = self.context.account
        self.context.notify(TrialDone(trial, best, account.describe(), account.fraction()))

    def result(
        self,
        baseline: Trial,
        winner: Trial,
        stop: StopReason,
        prefer: Prefer = "score",
        front: Sequence[FrontPoint] = (),
        baseline_name: BaselineName = "seed prompt",
    ) -> RunResult:
        """What the run found; its `test` is None until the held-out part is read. The winner was
        picked among all trials that were scored, and its test is corrected for that."""
        before, after = _evaluation(baseline), _evaluation(winner)
        tried = max(1, sum(trial.evaluation is not None for trial in self.trials) - 1)
        task, metric = self.context.task, self.context.evaluator.metric
        unchanged = winner.prompt == baseline.prompt
        where = "validation" if task.validation else "training"
        vote = majority_vote(task, task.selection, after, metric)
        split = SplitScores(before, after, compare(before.outcomes, after.outcomes, tried), vote)
        return RunResult(
            task=task,
            model=self.context.engine.info(),
            baseline=baseline.prompt,
            winner=winner.prompt,
            selection=split,
            test=None,
            trials=tuple(self.trials),
            cost=self.context.account.spent,
            stop=stop,
            seed=self.context.seed,
            verdict=verdict(split, where, task.labels, baseline_name, unchanged),
            recommended=recommended(split),
            prefer=prefer,
            front=tuple(front),
            baseline_name=baseline_name,
        )

    def _tokens(self, prompt: Prompt) -> int:
        return self.context.engine.count_tokens(render(prompt, self.context.task.labels))


def _evaluation(trial: Trial) -> Evaluation:
    assert trial.evaluation is not None, "baseline and winner are complete trials"
    return trial.evaluation
