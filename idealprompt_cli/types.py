"""Data types that cross module borders (layer 0).

Frozen dataclasses and a few literal aliases; nothing here reads files, talks to a model or knows
how a thing is scored. Log-probabilities are natural logarithms, durations are seconds, and every
score that a metric returns lies in [0, 1] with higher meaning better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .edits import EditReport
from .forms import PLAIN, AnswerForm, AnswerKind

Split = Literal["train", "test"]
Reasoning = Literal["none", "brief", "describe"]
ImagePosition = Literal["before", "after"]
RoleChannel = Literal["system", "user"]
Prefer = Literal["score", "short"]
TrialState = Literal["complete", "pruned", "failed"]
StopReason = Literal[
    "evaluations", "seconds", "tokens", "exhausted", "perfect", "interrupted", "settled", "patience"
]


@dataclass(frozen=True)
class Example:
    """One labelled picture (or several that belong together) of a task folder.

    `id` is unique in the task and stable across runs (the path relative to the task folder);
    `answer` is the gold label or text; `source` is where it was declared, for error messages
    ("metadata.csv:12" or "class folder K7/").
    """

    id: str
    images: tuple[Path, ...]
    answer: str
    source: str


@dataclass(frozen=True)
class ModelRef:
    """Where a model's two GGUF files are (text and vision projector)."""

    text: Path
    mmproj: Path


@dataclass(frozen=True)
class Task:
    """A validated task folder. `train` inspires and selects prompts; `test` is locked: it is read
    once, for the baseline and the winner. `labels` are those of a task with one label a picture."""

    name: str
    root: Path
    question: str
    labels: tuple[str, ...]
    metric: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    answer: AnswerKind = "label"
    form: AnswerForm = PLAIN
    language: str = "en"
    model: ModelRef | None = None
    fingerprint: str = ""


# --- prompts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demonstration:
    """A worked example in words: what the model would say of a picture, and the answer for it."""

    description: str
    answer: str


@dataclass(frozen=True)
class LabelText:
    """Text attached to one private label."""

    label: str
    text: str


@dataclass(frozen=True)
class Verbaliser:
    """The words by which this model says a private label; any of them counts as the label."""

    label: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Prompt:
    """A prompt in named parts, each of which can be edited, reordered or dropped on its own.

    Rendered to chat messages by `idealprompt_cli.prompts.render` alone. Empty parts render to
    nothing, so a seed prompt is `Prompt(question="...")`. `calibration`, never rendered, holds
    (label, what is added to the label's log-probability).
    """

    question: str
    role: str = ""
    role_channel: RoleChannel = "system"
    context: str = ""
    label_descriptions: tuple[LabelText, ...] = ()
    label_order: tuple[str, ...] = ()
    definition_style: Literal["label_first", "description_first"] = "label_first"
    cues: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    reasoning: Reasoning = "none"
    demonstrations: tuple[Demonstration, ...] = ()
    output_format: str = ""
    image_position: ImagePosition = "before"
    verbalisers: tuple[Verbaliser, ...] = ()
    calibration: tuple[tuple[str, float], ...] = ()

    def with_(self, **parts: object) -> Prompt:
        """A copy with some parts replaced."""
        return replace(self, **parts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ImageSlot:
    """The place of the next picture in a message's content."""


Content = tuple["str | ImageSlot", ...]


@dataclass(frozen=True)
class Message:
    """One chat turn; `content` interleaves text and image slots in reading order."""

    role: Literal["system", "user", "assistant"]
    content: Content


# --- what an engine is asked and answers ----------------------------------------------------------


@dataclass(frozen=True)
class ScoreRequest:
    """Ask for log p(option | messages, images, prefill) of each option.

    `prefill` is assistant text that already stands before the option (a description written
    first). `images` fill the `ImageSlot`s in order.
    """

    messages: tuple[Message, ...]
    images: tuple[Path, ...]
    options: tuple[str, ...]
    prefill: str = ""


@dataclass(frozen=True)
class Scored:
    """`logprobs[i]` is the summed natural-log probability of `options[i]`'s tokens; where one
    option's tokens are a prefix of another's, the end-of-turn token is scored after each.
    `tokens` counts the positions that had to be computed for this request (shared ones are
    attributed to the first request that needed them)."""

    logprobs: tuple[float, ...]
    tokens: int = 0


@dataclass(frozen=True)
class GenerateRequest:
    """Ask for a greedy continuation. `grammar` is GBNF text or None; generation ends at the
    end of the turn, at `max_tokens`, or before any of the `stop` strings."""

    messages: tuple[Message, ...]
    images: tuple[Path, ...] = ()
    max_tokens: int = 64
    stop: tuple[str, ...] = ()
    grammar: str | None = None
    prefill: str = ""


@dataclass(frozen=True)
class Generated:
    """A continuation and the number of positions computed for it."""

    text: str
    tokens: int = 0
    finish: Literal["stop", "length"] = "stop"


@dataclass(frozen=True)
class ModelInfo:
    """What an engine says of itself; `fingerprint` is of the weights in both files."""

    engine: str
    name: str
    fingerprint: str
    architecture: str
    family: str
    quantisation: str
    n_ctx: int
    path: str = ""
    mmproj: str = ""
    mode: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


# --- evaluations ---------------------------------------------------------------------------------


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
class SplitScores:
    """Baseline and winner on one split; `None` when that split was not evaluated."""

    baseline: Evaluation
    winner: Evaluation
    comparison: Comparison


@dataclass(frozen=True)
class RunResult:
    """All that a run found; `front`: trials that none beats in score at fewer tokens, by tokens."""

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
    recommended: Literal["winner", "baseline"]
    prefer: Prefer = "score"
    front: tuple[int, ...] = ()
