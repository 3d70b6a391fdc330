"""What a run measures: outcomes, evaluations, trials and their sum, `RunResult`.

Every score lies in [0, 1], higher is better; durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .committee import Committee
from .edits import EditReport
from .prompt import Prompt
from .requests import ModelInfo
from .task import Task

Prefer = Literal["score", "short"]
Recommended = Literal["winner", "baseline", "committee"]
BaselineName = Literal["seed prompt", "given prompt"]
"""What a run compares with: the task's question, or for reflection the prompt that came in."""
TrialState = Literal["complete", "pruned", "failed"]
StopReason = Literal[
    "evaluations", "seconds", "tokens", "exhausted", "perfect", "interrupted", "settled", "patience"
]


@dataclass(frozen=True)
class Outcome:
    """One prompt on one example.

    `score` is the metric's per-example grade in [0, 1]; `margin` is log p(gold) minus the best
    other label's log p (0.0 for answers that are written); `probabilities` are over the task's
    labels and sum to 1 (empty for such answers); `reply` is what the model said (for a label task:
    the words of the chosen verbaliser), after any reasoning text in `reasoning`.
    """

    example_id: str
    gold: str
    predicted: str
    score: float
    margin: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reply: str = ""
    reasoning: str = ""


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What was paid. One evaluation = one prompt scored on one example; cache hits are free."""

    evaluations: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.evaluations + other.evaluations,
            self.tokens + other.tokens,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Evaluation:
    """A prompt on a set of examples: the metric's value over `outcomes`, with its interval."""

    metric: str
    value: float
    interval: Interval
    outcomes: tuple[Outcome, ...]
    margin: float = 0.0
    cost: Cost = Cost()

    @property
    def n(self) -> int:
        return len(self.outcomes)


@dataclass(frozen=True)
class Trial:
    """One node of the search: a prompt, where it came from and how it did.

    `pruned`: racing dropped it before all examples were seen; `failed`: `note` says why it could
    not be evaluated. `variants`: its versions per fold (`crossfit`).
    """

    id: int
    parent: int | None
    strategy: str
    prompt: Prompt
    state: TrialState
    evaluation: Evaluation | None
    prompt_tokens: int = 0
    note: str = ""
    variants: tuple[tuple[int, Prompt], ...] = ()
    edit: EditReport | None = None


@dataclass(frozen=True)
class Comparison:
    """Winner against baseline on the same examples: exact McNemar test on the discordant pairs
    (for graded scores: sign test). `reliable` is p <= 0.05 and better > worse."""

    better: int
    worse: int
    p_value: float
    reliable: bool


@dataclass(frozen=True)
class MajorityVote:
    """The score of always answering the commonest training label, on the same examples as the
    winner. `beaten`: the winner is reliably better."""

    label: str
    value: float
    interval: Interval
    n: int
    beaten: bool


@dataclass(frozen=True)
class ProbeScore:
    """The metric of a small classifier on `n` examples."""

    value: float
    interval: Interval
    n: int


@dataclass(frozen=True)
class Probe:
    """A classifier on the engine's embeddings of the pictures, fitted on the training examples:
    `selection` is cross-validated on them, `test` None without a test split."""

    name: str
    selection: ProbeScore
    test: ProbeScore | None


@dataclass(frozen=True)
class SplitScores:
    """Baseline and winner on one split; `None` when that split was not evaluated. `majority` is
    None for tasks without labels."""

    baseline: Evaluation
    winner: Evaluation
    comparison: Comparison
    majority: MajorityVote | None = None


@dataclass(frozen=True)
class CommitteeResult:
    """A committee of a run's prompts. Its selection score is cross-fitted: members and weights were
    chosen without the example's fold. `comparison` is with the winner, on the test split where that
    was read; `tokens` are those of all its prompts, for one example."""

    committee: Committee
    tokens: int
    selection: Evaluation
    comparison: Comparison
    test: Evaluation | None = None


@dataclass(frozen=True)
class FrontPoint:
    """A trial (by its id) that none beats in score at fewer tokens. `tokens` are those of its
    prompt and of what the model writes before the answer, `image_tokens` those of an example's
    images on average (0: not known); `seconds` is what an answer about a new example takes, where
    that was measured."""

    trial: int
    tokens: int
    image_tokens: int
    seconds: float | None = None


@dataclass(frozen=True)
class RunResult:
    """All that a run found; `front`: what none beats in score at fewer tokens, by tokens.
    `most_members` is the size of the committee that was asked for, 0 for none."""

    task: Task
    model: ModelInfo
    baseline: Prompt
    winner: Prompt
    selection: SplitScores
    test: SplitScores | None
    trials: tuple[Trial, ...]
    cost: Cost
    stop: StopReason
    seed: int
    verdict: str
    recommended: Recommended
    prefer: Prefer = "score"
    front: tuple[FrontPoint, ...] = ()
    baseline_name: BaselineName = "seed prompt"
    probe: Probe | None = None
    committee: CommitteeResult | None = None
    most_members: int = 0
