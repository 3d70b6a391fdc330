"""What the artifact holds, as frozen pydantic values. The field names are the keys
of the file: this module is the file's schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from ..core.answer_schema import AnswerKind, AnswerSchema
from ..core.committee import MOST_MEMBERS, Asked, Committee, Member
from ..core.edits import EditReport
from ..core.errors import ArtifactError
from ..core.prompt import Message, Prompt
from ..core.results import BaselineName, Recommended, StopReason, TrialState
from ..prompts.rendering import whole_chat
from ..prompts.serialisation import StoredPrompt
from .stored_types import FieldDeclarations, Messages, parsed_fields

SCHEMA: Literal[1] = 1
STOPPED: Mapping[StopReason, str] = {
    "evaluations": "the evaluation budget was spent",
    "seconds": "the time budget was spent",
    "tokens": "the token budget was spent",
    "exhausted": "every strategy had been tried",
    "perfect": "no error was left on the training examples",
    "interrupted": "it was interrupted",
    "settled": "no confusion was left open",
    "patience": "reflection found no improvement several times in a row",
}

PROBE = "linear probe"
_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, validate_by_name=True)


@dataclass(frozen=True, config=_CONFIG)
class TaskSummary:
    """The task as the artifact remembers it. `options`, `fields` and `max_tokens` describe answers
    that the model writes; they are left out of the file where they are empty."""

    name: str
    question: str
    answer: AnswerKind
    metric: str
    language: str
    images: Annotated[int, Field(ge=0)]
    fingerprint: str
    options: tuple[str, ...] = ()
    fields: FieldDeclarations = Field(default_factory=dict)
    max_tokens: int = 0

    @property
    def answer_schema(self) -> AnswerSchema:
        """What the answers are made of."""
        return AnswerSchema(self.options, parsed_fields(self.fields), self.max_tokens)


@dataclass(frozen=True, config=_CONFIG)
class ModelSummary:
    """The model that the prompt was adapted to; `path` and `mmproj` are file
    names, or `path` is a server's address."""

    name: str
    engine: str
    architecture: str
    family: str
    quantisation: str
    n_ctx: int
    mode: str = ""
    fingerprint: str = ""
    path: str = ""
    mmproj: str = ""


@dataclass(frozen=True, config=_CONFIG)
class Score:
    """A metric's value on a split of `n` examples, with its 95 % interval."""

    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, config=_CONFIG)
class Scores:
    """`test` is None where the held-out part was empty or not looked at."""

    selection: Score
    test: Score | None = None


@dataclass(frozen=True, config=_CONFIG)
class MajorityScores:
    """What always answering the commonest training label scores, on the same examples."""

    label: str
    selection: Score
    test: Score | None = None


@dataclass(frozen=True, config=_CONFIG)
class ScorePair:
    """The scores of both prompts, and for label tasks of the majority vote and of a linear probe
    on the pictures."""

    baseline: Scores
    winner: Scores
    majority: MajorityScores | None = None
    probe: Scores | None = None


@dataclass(frozen=True, config=_CONFIG)
class StoredMember:
    """A prompt of a committee, the words that are compared as its answer, and for each label what
    their log-probabilities are multiplied by."""

    prompt: StoredPrompt
    words: Annotated[tuple[str, ...], Field(min_length=1)]
    weights: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, config=_CONFIG)
class StoredCommittee:
    """Prompts that answer together: each label's score is its bias plus the weighted sum of the
    words' log-probabilities. An answer takes `evaluations` prompts with `tokens` tokens in all."""

    members: Annotated[tuple[StoredMember, ...], Field(min_length=1, max_length=MOST_MEMBERS)]
    biases: Mapping[str, float]
    scores: Scores
    evaluations: Annotated[int, Field(ge=0)]
    tokens: Annotated[int, Field(ge=0)]

    @property
    def name(self) -> str:
        count = len(self.members)
        return f"committee of {count}" if count > 1 else "weighted words"

    @property
    def price(self) -> str:
        """What an answer takes, as a clause."""
        asked = "1 evaluation" if self.evaluations == 1 else f"{self.evaluations} evaluations"
        return f"{asked} and {self.tokens} prompt tokens an example"

    @property
    def committee(self) -> Committee:
        """What can be asked."""
        members = tuple(Member(one.prompt, one.words, one.weights) for one in self.members)
        return Committee(members, self.biases)


@dataclass(frozen=True, config=_CONFIG)
class StoredBox:
    """A box of a federation: its name, what its owner allows to leave it, and the scores of both
    prompts on its own examples."""

    name: str
    policy: str
    baseline: Scores
    winner: Scores


@dataclass(frozen=True, config=_CONFIG)
class StoredPoint:
    """A prompt that none beats in score at fewer tokens: its score on the examples that the search
    chose by, the tokens of its text and of an example's images, and the seconds of an answer about
    a new example."""

    prompt: StoredPrompt
    selection: Score
    tokens: int
    image_tokens: int
    seconds: float


@dataclass(frozen=True, config=_CONFIG)
class RunCost:
    """What the run cost, and why it stopped."""

    evaluations: int
    tokens: int
    seconds: float
    stopped: StopReason


@dataclass(frozen=True, config=_CONFIG)
class Step:
    """One edit on the path to the winner, with the score on the examples it was tried on. `edit`
    is reflection's account: the parts changed, and the examples that it fixed and broke."""

    strategy: str
    note: str
    state: TrialState
    value: float | None
    n: int
    prompt_tokens: int
    edit: EditReport | None = None


@dataclass(frozen=True, config=_CONFIG)
class Artifact:
    """All that the file holds. `recommended` says which of the prompts the figures support; a
    committee is there where it was not clearly worse than the winner in training.
    `messages` and `verbalisers` are derived from `prompt`, for readers other than this package."""

    schema: Annotated[Literal[1], BeforeValidator(int)]
    task: TaskSummary
    model: ModelSummary
    prompt: StoredPrompt
    messages: Messages
    labels: tuple[str, ...]
    verbalisers: Mapping[str, tuple[str, ...]]
    scores: ScorePair
    verdict: str
    recommended: Recommended
    baseline_prompt: Annotated[
        StoredPrompt, Field(validation_alias="baseline", serialization_alias="baseline")
    ]
    cost: RunCost
    seed: int
    trail: tuple[Step, ...]
    baseline_name: BaselineName = "seed prompt"
    committee: StoredCommittee | None = None
    boxes: tuple[StoredBox, ...] = ()
    front: tuple[StoredPoint, ...] = ()

    @model_validator(mode="after")
    def _check_committee(self) -> Artifact:
        if self.committee is None and self.recommended == "committee":
            raise ValueError("recommended is 'committee', but there is none: write winner")
        if self.committee is not None:
            _check_labels("committee.biases", self.committee.biases, self.labels)
            for number, member in enumerate(self.committee.members, start=1):
                place = f"committee.members[{number}].weights"
                _check_labels(place, member.weights, self.labels)
                if any(len(one) != len(member.words) for one in member.weights.values()):
                    raise ValueError(f"{place}: give a number for each of its words")
        return self

    def asked(self, which: Recommended | Literal["recommended"] = "recommended") -> Asked:
        """The prompt, or the committee, of that name. Raises `ArtifactError` for a committee where
        the file has none."""
        name = self.recommended if which == "recommended" else which
        if name != "committee":
            return self.prompt if name == "winner" else self.baseline_prompt
        if self.committee is None:
            raise ArtifactError(
                f"the prompt for {self.task.name} has no committee: search with --committee 3, or "
                "use its winner"
            )
        return self.committee.committee

    def single(self, which: Recommended | Literal["recommended"] = "recommended") -> Prompt:
        """The same; in place of a committee the winner."""
        asked = self.asked(which)
        return asked if isinstance(asked, Prompt) else self.prompt

    @property
    def score_rows(self) -> tuple[tuple[str, Scores | MajorityScores], ...]:
        """What was scored, by name: the yardsticks that there are, both prompts, the committee."""
        majority = self.scores.majority
        return (
            *(((f"always {majority.label}", majority),) if majority else ()),
            *(((PROBE, self.scores.probe),) if self.scores.probe else ()),
            (self.baseline_name, self.scores.baseline),
            ("adapted prompt", self.scores.winner),
            *(((self.committee.name, self.committee.scores),) if self.committee else ()),
        )

    @property
    def stopped_because(self) -> str:
        """Why the run stopped, as the end of a sentence."""
        return STOPPED[self.cost.stopped]

    def rendered_now(self) -> tuple[Message, ...]:
        """What this version of the package makes of `prompt`; differs from `messages` where the
        file was edited by hand or written by another version."""
        return whole_chat(self.prompt, self.labels, self.task.images)


def _check_labels(place: str, found: Mapping[str, object], labels: tuple[str, ...]) -> None:
    if set(found) != set(labels):
        raise ValueError(
            f"{place}: has {', '.join(found) or 'no labels'}: give each of {', '.join(labels)}"
        )
