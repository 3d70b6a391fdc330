"""`task.yaml`: what the user states about the task. Knows nothing of the examples beside it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from ..answers import parse_field
from ..answers.labels import NONE
from ..core.answer_schema import AnswerKind, AnswerSchema
from ..core.errors import IdealPromptError, TaskError
from ..core.placeholders import placeholder_names
from ..core.task import ModelRef
from ..io.files import read_text
from ..io.hub import is_reference
from ..io.validation import validated
from ..io.yaml import MAX_BYTES, Section, parse

FILE = "task.yaml"
DEFAULT_METRIC: dict[AnswerKind, str] = {
    "label": "accuracy",
    "labels": "multilabel_f1",
    "text": "normalised_match",
    "number": "numeric",
    "json": "json_fields",
    "box": "iou",
}
MOST_TOKENS = 1024
MOST_CHARACTERS = 100_000
"""In a question; no context holds a longer one."""
MOST_LABELS = 10_000
MOST_LINES = 50
DEFAULT_TEST_FRACTION = 0.4


def normal(text: str) -> str:
    """The text without outer blanks and in NFC, because file systems spell some letters in two
    ways."""
    return unicodedata.normalize("NFC", text.strip())


def _normal_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(normal(label) for label in labels)
    if len(found) > MOST_LABELS:
        raise ValueError(too_many_labels(len(found)))
    seen: set[str] = set()
    for label in found:
        if not label:
            raise ValueError("one label is empty: give it a name")
        if label in seen:
            raise ValueError(f"{label!r} is named twice: delete one")
        seen.add(label)
    return found


def too_many_labels(count: int) -> str:
    """The message about more labels than a task may have."""
    return f"{count:,} labels are more than the {MOST_LABELS:,} that a task may have: join some"


def _question(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: write what you would ask the model")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters: at most {MOST_CHARACTERS:,}, shorten it")
    placeholder_names(text)
    return text.strip()


def _fraction(value: float) -> float:
    if not 0.0 <= value <= 0.9:
        raise ValueError(f"is {value:g}: should lie between 0 (no test split) and 0.9")
    return value


def _tokens(value: int) -> int:
    if not 1 <= value <= MOST_TOKENS:
        raise ValueError(f"is {value}: should lie between 1 and {MOST_TOKENS}")
    return value


def _lines(value: int) -> int:
    if not 1 <= value <= MOST_LINES:
        raise ValueError(f"is {value}: should lie between 1 and {MOST_LINES}")
    return value


class TaskSettings(BaseModel):
    """The keys of `task.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="task.yaml")

    question: Annotated[str, AfterValidator(_question)] = Field(
        description="What the model is asked. {column} stands for the text of that column in the "
        "example's row; double braces that are text. The search starts from this question."
    )
    name: str = Field(default="", description="Name in reports; the folder's name by default.")
    answer: AnswerKind = Field(default="label", description="Kind of answers.")
    labels: Annotated[tuple[str, ...], AfterValidator(_normal_labels)] = Field(
        default=(), description="The possible answers; those of the examples by default."
    )
    fields: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Fields of a JSON answer: text, number, integer, boolean (with ? where it may "
        "be missing) or a list of its values.",
    )
    inputs: tuple[str, ...] = Field(
        default=(),
        description="Columns that the question refers to; found in the question by default.",
    )
    max_tokens: Annotated[int, AfterValidator(_tokens)] | None = Field(
        default=None, description=f"Longest written answer, 1 to {MOST_TOKENS} tokens."
    )
    max_lines: Annotated[int, AfterValidator(_lines)] = Field(
        default=1, description=f"Lines that a text answer may have, 1 to {MOST_LINES}."
    )
    metric: str = Field(default="", description="See metrics.md; depends on the kind of answers.")
    language: str = Field(
        default="en", description="Language of the prompts, as an ISO 639-1 code."
    )
    model: str = Field(default="", description="Text model (GGUF), relative to the task folder.")
    mmproj: str = Field(
        default="", description="Vision projector (GGUF), relative to the task folder."
    )
    test_fraction: Annotated[float, AfterValidator(_fraction)] = Field(
        default=DEFAULT_TEST_FRACTION,
        description="Share of the examples to hold out where the examples name no test split.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


KEYS = tuple(TaskSettings.model_fields)
ADAPTER = TypeAdapter(TaskSettings)


def settings_schema() -> dict[str, Any]:
    """JSON schema of task.yaml."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **TaskSettings.model_json_schema()}


@dataclass(frozen=True)
class Settings:
    """A checked `task.yaml` and what follows from it. `labels` are those of either kind of label
    task; `answer_schema` has what else is declared of the answers."""

    declared: TaskSettings
    name: str
    metric: str
    model: ModelRef | None
    answer_schema: AnswerSchema
    source: str
    section: Section

    @property
    def question(self) -> str:
        return self.declared.question

    @property
    def labels(self) -> tuple[str, ...]:
        return self.declared.labels

    @property
    def answer(self) -> AnswerKind:
        return self.declared.answer

    def fail(self, key: str, problem: str) -> IdealPromptError:
        """An error at the line of `key`, or about the file where it has no such key."""
        return self.section.fail(key, problem)


def read_settings(folder: Path) -> Settings:
    """The settings in `folder`/task.yaml. Raises `TaskError`."""
    file = _find(folder)
    section = parse(read_text(file, TaskError, MAX_BYTES), str(file), TaskError)
    declared = validated(ADAPTER, section)
    _check_together(declared, section)
    return Settings(
        declared=declared,
        name=(declared.name or folder.resolve().name).strip(),
        metric=declared.metric or DEFAULT_METRIC[declared.answer],
        model=_model(declared, section, folder),
        answer_schema=_answer_schema(declared, section),
        source=str(file),
        section=section,
    )


def blank_settings(file: Path, answer: AnswerKind = "label") -> Settings:
    """What holds where there is no task.yaml yet, with the labels that are found."""
    section = parse("question: none yet", str(file), TaskError)
    declared = TaskSettings(question="none yet", answer=answer)
    return Settings(declared, "", "", None, AnswerSchema(), str(file), section)


def _find(folder: Path) -> Path:
    if not folder.exists():
        raise TaskError(f"{folder}: no such folder: name a folder that holds a {FILE}")
    if not folder.is_dir():
        raise TaskError(f"{folder}: is a file: name the task's folder, which holds a {FILE}")
    if not any(folder.iterdir()):
        raise TaskError(f"{folder}: the folder is empty: it needs a {FILE} and labelled examples")
    file = folder / FILE
    if not file.is_file():
        others = [folder / name for name in ("task.yml", "Task.yaml")]
        other = next((path for path in others if path.is_file()), None)
        fix = f"rename {other.name} to {FILE}" if other else "add one with at least 'question: ...'"
        raise TaskError(f"{folder}: there is no {FILE}: {fix}")
    return file


def _check_together(declared: TaskSettings, section: Section) -> None:
    """Keys that do not suit each other."""
    answer = declared.answer
    if declared.labels and answer not in ("label", "labels"):
        raise section.fail("labels", f"do not go with answer: {answer}: delete one of the two")
    if len(declared.labels) == 1:
        label = declared.labels[0]
        raise section.fail("labels", f"{label!r} is the only one: a label task needs two or more")
    for label in declared.labels if answer == "labels" else ():
        if set(label) & set(",;|[") or label.lower() == NONE:
            raise section.fail("labels", f"{label!r}: no , ; | or [ and no {NONE}: name it so")
    if declared.fields and answer != "json":
        raise section.fail(
            "fields",
            "are for answer: json: add that, or delete them (columns to ask about are inputs)",
        )
    if "fields" in section and not declared.fields:
        raise section.fail("fields", "names none: write name: text, or delete it")
    if declared.max_lines > 1 and answer != "text":
        raise section.fail("max_lines", "is for answer: text: delete it")
    if declared.max_tokens and answer == "label":
        raise section.fail("max_tokens", "is for answers that are written: delete it")


def _answer_schema(declared: TaskSettings, section: Section) -> AnswerSchema:
    found = []
    for name, kind in declared.fields.items():
        try:
            found.append(parse_field(name, kind))
        except ValueError as problem:
            raise section.section("fields").fail(name, str(problem)) from None
    return AnswerSchema((), tuple(found), declared.max_tokens or 0, declared.max_lines)


def _model(declared: TaskSettings, section: Section, folder: Path) -> ModelRef | None:
    """Paths are relative to the task folder. Without mmproj it is a text-only model."""
    if not declared.model and not declared.mmproj:
        return None
    if not declared.model:
        raise section.fail("mmproj", "needs model beside it: an image model is two GGUF files")
    for key in ("model", "mmproj"):
        if is_reference(getattr(declared, key)):
            raise section.fail(
                key, "a task downloads nothing: name it with --model, or get the file"
            )
    text = folder / Path(declared.model).expanduser()
    return ModelRef(text, folder / Path(declared.mmproj).expanduser() if declared.mmproj else None)
