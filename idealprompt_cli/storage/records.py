"""The records of a run's journal: one frozen dataclass for each kind, one reader, one writer.

A line of the file is a JSON object with the record's `kind` and its fields. Answers carry their
cost: `evaluations` counted against the budget, `tokens` computed, `seconds` inside the engine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, cast

from ..core.errors import ArtifactError
from ..core.events import ConfusionChosen, EditJudged
from ..core.prompt import Prompt
from ..core.results import Cost, Trial, TrialState
from ..prompts.serialisation import from_dict, to_dict

VERSION = 2
_MOST_COST = 1e12


@dataclass(frozen=True)
class Header:
    """What must agree for a journal to be resumed: fingerprints of task and model, the seed, and
    for reflection the fingerprint of the prompt that it starts from."""

    version: int = VERSION
    task: str = ""
    model: str = ""
    seed: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class ScoreAnswer:
    """Log-probabilities by option under the key of a request. `cached`: found in the response
    cache, so that it costs no budget."""

    key: str
    scores: Mapping[str, float]
    tokens: int = 0
    seconds: float = 0.0
    evaluations: int = 1
    cached: bool = False


@dataclass(frozen=True)
class TextAnswer:
    """A text that the model wrote, and why it ended."""

    key: str
    text: str
    finish: Literal["stop", "length"] = "stop"
    tokens: int = 0
    seconds: float = 0.0
    evaluations: int = 1
    cached: bool = False


Answer = ScoreAnswer | TextAnswer


def cost_of(answer: Answer) -> Cost:
    """What an answer cost when it was computed."""
    return Cost(answer.evaluations, answer.tokens, answer.seconds)


@dataclass(frozen=True)
class CacheMark:
    """What the run could see of the response cache when it started."""

    mark: str


@dataclass(frozen=True)
class Setting:
    """A setting that a resumed run must share, such as the policy."""

    name: str
    value: str


@dataclass(frozen=True)
class PriorsUsed:
    """The beliefs that the run started with, as `Beliefs.to_record` gives them: parent strategy ->
    strategy -> what is kept of the belief before, the share it wins, and the lessons."""

    table: Mapping[str, Mapping[str, tuple[float, float, int]]]


@dataclass(frozen=True)
class PriorsUpdated:
    """The run's lessons were added to the user's priors."""

    lessons: int


@dataclass(frozen=True)
class TrialRecord:
    """A trial without its predictions, which follow from the answers. Scores are None where the
    trial has no evaluation; `n` counts the examples seen."""

    id: int
    parent: int | None
    strategy: str
    state: TrialState
    note: str
    prompt: Prompt
    prompt_tokens: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    margin: float | None = None


@dataclass(frozen=True)
class EditRecord:
    """An edit that reflection judged, under its key."""

    key: str
    edit: EditJudged


@dataclass(frozen=True)
class ReviewRecord:
    """What a person decided on the prompt with the fingerprint `of`; None: refused."""

    of: str
    answer: Prompt | None


Record = (
    Header
    | ScoreAnswer
    | TextAnswer
    | CacheMark
    | Setting
    | PriorsUsed
    | PriorsUpdated
    | TrialRecord
    | ConfusionChosen
    | EditRecord
    | ReviewRecord
)
KINDS: Mapping[str, type[Any]] = {
    "header": Header,
    "score": ScoreAnswer,
    "text": TextAnswer,
    "cache": CacheMark,
    "setting": Setting,
    "priors used": PriorsUsed,
    "priors updated": PriorsUpdated,
    "trial": TrialRecord,
    "confusion": ConfusionChosen,
    "edit": EditRecord,
    "review": ReviewRecord,
}
_KIND_OF = {kind: name for name, kind in KINDS.items()}
_PROMPTS = {"trial": "prompt", "review": "answer"}


def record_of(trial: Trial) -> TrialRecord:
    """What the journal keeps of a trial."""
    seen = trial.evaluation
    return TrialRecord(
        trial.id,
        trial.parent,
        trial.strategy,
        trial.state,
        trial.note,
        trial.prompt,
        trial.prompt_tokens,
        value=seen.value if seen else None,
        low=seen.interval.low if seen else None,
        high=seen.interval.high if seen else None,
        n=seen.n if seen else 0,
        margin=seen.margin if seen else None,
    )


def to_line(record: Record) -> str:
    """A record as one line of JSON, without the line end."""
    kind = _KIND_OF[type(record)]
    data = asdict(record)
    if part := _PROMPTS.get(kind):
        prompt = getattr(record, part)
        data[part] = None if prompt is None else to_dict(prompt)
    return json.dumps({"kind": kind, **data}, ensure_ascii=False)


class UnknownRecord(ValueError):
    """A line that is no record of any kind."""


def from_line(line: bytes) -> Record:
    """The record in a line. Raises UnknownRecord for a line that is none, and ValueError, with
    what is wrong, for a record with missing or wrong fields."""
    try:
        data = json.loads(line, parse_constant=_constant)
    except (ValueError, RecursionError):
        data = None
    kind = data.pop("kind", None) if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownRecord("not a record")
    part = _PROMPTS.get(kind)
    if part and data.get(part) is not None:
        try:
            data[part] = from_dict(data[part])
        except ArtifactError as error:
            raise ValueError(f"'{part}' of the {kind} record: {error}") from error
    record = _validated(kind, data)
    if isinstance(record, ScoreAnswer | TextAnswer):
        _check_cost(kind, record)
    return record


def _constant(text: str) -> float:
    """A log-probability may be minus infinity; no number of ours is anything else of that kind."""
    if text != "-Infinity":
        raise ValueError(f"{text} is no number")
    return -math.inf


def _check_cost(kind: str, answer: Answer) -> None:
    """Raise ValueError for a cost that no answer has; sums of costs must stay numbers."""
    costs = {name: getattr(answer, name) for name in ("evaluations", "tokens", "seconds")}
    for name, value in costs.items():
        if not 0 <= value <= _MOST_COST:
            raise ValueError(
                f"{name!r} of the {kind} record is {value!r:.20}: no answer costs that"
            )


def _validated(kind: str, data: object) -> Record:
    from pydantic import ValidationError

    try:
        return cast("Record", _validator(kind)(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        what = "is missing" if first["type"].startswith("missing") else first["msg"].lower()
        raise ValueError(f"{place!r} of the {kind} record: {what}") from None


@cache
def _validator(kind: str) -> Callable[[object], Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(KINDS[kind]).validate_python
