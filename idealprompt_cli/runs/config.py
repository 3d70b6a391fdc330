"""What a run is configured with: the same for the command line and the Python API."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..core.committee import MOST_MEMBERS
from ..core.errors import UsageError
from ..core.interfaces import Notice
from ..core.results import Prefer
from .models import ModelChoice

if TYPE_CHECKING:
    from ..core.task import Task
    from ..evaluation.budget import Budget

Stages = Literal["search", "search and reflection", "reflection"]

PREFERENCES: tuple[Prefer, ...] = ("score", "short")

# Default budgets: evaluations for each training example, and the least in all.
PER_EXAMPLE: dict[Stages, int] = {"search": 40, "search and reflection": 40, "reflection": 20}
LEAST: dict[Stages, int] = {"search": 600, "search and reflection": 600, "reflection": 400}


@dataclass(frozen=True)
class RunConfig:
    """How a run is made; the task and the open model are given beside it.

    `budget` is text such as "300", "10m" or "200ktok", "" for the default. `strategies` are names,
    none for all that suit the task. `proposer` is "none", "same", a GGUF file or a server's
    address; `model` says how a second model is run. `priors`, `cache`, `held_out_test` and
    `linear_probe` switch the priors of earlier runs, the shared response cache, the final test and
    the classifier that is reported beside it. `committee` is the largest number of prompts that may
    answer together (label tasks; 0: none; None: one, where the task allows it). `train` and `test`
    limit the examples, 0 takes all; without either, a large task or a small budget uses a share.
    Without `run_dir` nothing is kept on the disk.
    """

    stages: Stages = "search"
    budget: str = ""
    seed: int = 0
    strategies: tuple[str, ...] = ()
    policy: str = "puct"
    prefer: Prefer = "score"
    committee: int | None = None
    proposer: str = "none"
    priors: bool = True
    cache: bool = True
    held_out_test: bool = True
    linear_probe: bool = True
    train: int = 0
    test: int = 0
    run_dir: Path | None = None
    resume: bool = False
    model: ModelChoice = field(default_factory=ModelChoice)

    def check(self) -> None:
        """Raise UsageError for a choice that does not exist, and PriorsError for priors that cannot
        be read, before anything slow."""
        from .. import strategies
        from ..evaluation.budget import Budget
        from ..priors import default_path, load
        from ..search.policies import POLICIES
        from .proposer import check_proposer

        if self.policy not in POLICIES:
            raise UsageError(f"--policy {self.policy}: choose {' or '.join(POLICIES)}")
        if self.committee and not 1 <= self.committee <= MOST_MEMBERS:
            raise UsageError(f"--committee {self.committee}: choose 0 to {MOST_MEMBERS}")
        check_proposer(self.proposer)
        strategies.select(self.strategies)
        if self.budget:
            Budget.parse(self.budget)
        if self.priors:
            load(default_path())

    def budget_for(self, task: Task) -> Budget:
        """The budget given, or the default one for the task's training examples."""
        from ..evaluation.budget import Budget

        if self.budget:
            return Budget.parse(self.budget)
        least, each = LEAST[self.stages], PER_EXAMPLE[self.stages]
        return Budget(evaluations=max(least, each * len(task.selection)))

    def prepared(self, task: Task, say: Notice = lambda text: None) -> Task:
        """The examples that the run uses: a sample of a large task, stated to `say`. Reflection
        learns from the examples that it selects by, so it leaves validation examples out.

        The same task again is returned as it is. Raises UsageError for a budget that does not
        cover the first prompt, before a model is opened, and TaskError for too small a task.
        """
        from ..task.sampling import subsample

        if self.committee and not task.labels:
            raise UsageError(
                f"--committee: {task.name} has no labels whose probabilities could be added: "
                "leave it out"
            )
        if self.committee and task.validation:
            raise UsageError(
                "--committee: is fitted across folds of the training examples: leave out the "
                "validation split"
            )

        if self.train or self.test:
            task = subsample(
                task,
                min(self.train, len(task.train)),
                min(self.test, len(task.test)),
                self.seed,
            )
        else:
            task = self._share(task, say)
        if task.validation and self.stages != "search":
            say(
                f"Reflection does not use the {len(task.validation)} validation examples: it "
                "selects by cross-fitting on the training examples."
            )
            task = replace(task, validation=())
        self._check_budget(task)
        return task

    def _share(self, task: Task, say: Notice) -> Task:
        """The examples that suit the budget, or those of the run that is resumed."""
        from ..storage.journal import task_of
        from ..task.sampling import counts, same_share, sensible_share

        kept = task_of(self.run_dir) if self.resume and self.run_dir else ""
        if kept == task.fingerprint:
            return task
        if kept and (drawn := same_share(task, self.seed, kept)):
            say(f"Using {counts(drawn, task)}, as in the run that is resumed.")
            return drawn
        # Reflection tests its edits on the examples that did not inspire them, and needs them all.
        small = self.budget and self.stages != "reflection"
        evaluations = self.budget_for(task).evaluations if small else None
        share = sensible_share(task, self.seed, evaluations)
        if share.notice:
            say(share.notice)
        return share.task

    def _check_budget(self, task: Task) -> None:
        budget, needed = self.budget_for(task), len(task.selection)
        if budget.evaluations is not None and budget.evaluations < needed:
            first = "the prompt to start from" if self.stages == "reflection" else "the seed prompt"
            raise UsageError(
                f"a budget of {budget.describe()} does not cover {first} on {needed} examples: "
                f"give at least {needed} evaluations, {10 * needed} or more to try edits"
            )


def as_prefer(name: str) -> Prefer:
    """The preference with this name. Raises UsageError for another one."""
    for preference in PREFERENCES:
        if name == preference:
            return preference
    raise UsageError(f"--prefer {name}: choose {' or '.join(PREFERENCES)}")
