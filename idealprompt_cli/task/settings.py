"""`task.yaml`: what the user says of the task. Knows nothing of the examples beside it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ..answers import parse_field
from ..answers.labels import NONE
from ..core.answer_schema import PLAIN, AnswerKind, AnswerSchema, Field
from ..core.errors import IdealPromptError, TaskError
from ..core.task import ModelRef
from ..io.files import read_text
from ..io.hub import is_reference
from ..io.yaml import Section, parse

FILE = "task.yaml"
KEYS = (
    "name",
    "question",
    "labels",
    "answer",
    "fields",
    "max_tokens",
    "metric",
    "language",
    "model",
    "mmproj",
    "test_fraction",
    "seed",
)
DEFAULT_METRIC: dict[AnswerKind, str] = {
    "label": "accuracy",
    "labels": "multilabel_f1",
    "text": "normalised_match",
    "number": "numeric",
    "json": "json_fields",
}
MOST_TOKENS = 1024
DEFAULT_TEST_FRACTION = 0.4


@dataclass(frozen=True)
class Settings:
    """A checked `task.yaml`. `test_fraction` and `seed` apply where the folder names no split.
    `labels` are those of either kind of label task; `answer_schema` has what else is declared."""

    name: str
    question: str
    labels: tuple[str, ...]
    answer: AnswerKind
    metric: str
    language: str
    model: ModelRef | None
    test_fraction: float
    seed: int
    source: str
    section: Section
    answer_schema: AnswerSchema = PLAIN

    def fail(self, key: str, problem: str) -> IdealPromptError:
        """An error at the line of `key`, or about the file where it has no such key."""
        return self.section.fail(key, problem)


def normal(text: str) -> str:
    """Outer blanks off, and one form for letters that file systems spell in two ways."""
    return unicodedata.normalize("NFC", text.strip())


def read_settings(folder: Path) -> Settings:
    """The settings in `folder`/task.yaml. Raises `TaskError`."""
    file = _find(folder)
    section = parse(read_text(file, TaskError), str(file), TaskError).known(*KEYS)
    answer = section.choice("answer", get_args(AnswerKind), "label")
    question = section.text("question").strip()
    if not question:
        raise section.fail("question", "is empty: write what you would ask the model")
    return Settings(
        name=section.text("name", folder.resolve().name).strip(),
        question=question,
        labels=_labels(section, answer),
        answer=answer,
        metric=section.text("metric", DEFAULT_METRIC[answer]),
        language=section.text("language", "en"),
        model=_model(section, folder),
        test_fraction=_fraction(section),
        seed=_seed(section),
        source=str(file),
        section=section,
        answer_schema=AnswerSchema((), _fields(section, answer), _max_tokens(section, answer)),
    )


def _seed(section: Section) -> int:
    seed = section.integer("seed", 0)
    if seed < 0:
        raise section.fail("seed", f"is {seed}: should be 0 or more")
    return seed


def blank_settings(file: Path) -> Settings:
    """What holds where there is no task.yaml yet: a label task with the labels that are found."""
    section = parse("question: none yet", str(file), TaskError)
    fraction = DEFAULT_TEST_FRACTION
    return Settings("", "none yet", (), "label", "", "en", None, fraction, 0, str(file), section)


def _find(folder: Path) -> Path:
    if not folder.exists():
        raise TaskError(f"{folder}: no such folder: name a folder that holds a {FILE}")
    if not folder.is_dir():
        raise TaskError(f"{folder}: is a file: name the task's folder, which holds a {FILE}")
    if not any(folder.iterdir()):
        raise TaskError(f"{folder}: the folder is empty: it needs a {FILE} and labelled pictures")
    file = folder / FILE
    if not file.is_file():
        other = next(
            (folder / name for name in ("task.yml", "Task.yaml") if _exists(folder, name)), None
        )
        mend = (
            f"rename {other.name} to {FILE}" if other else "add one with at least 'question: ...'"
        )
        raise TaskError(f"{folder}: there is no {FILE}: {mend}")
    return file


def _exists(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _labels(section: Section, answer: AnswerKind) -> tuple[str, ...]:
    labels = tuple(normal(label) for label in section.texts("labels"))
    if labels and answer not in ("label", "labels"):
        raise section.fail("labels", f"do not go with answer: {answer}: drop one of the two")
    for position, label in enumerate(labels):
        if not label:
            raise section.fail("labels", "one label is empty: give it a name")
        if label in labels[:position]:
            raise section.fail("labels", f"{label!r} is named twice: drop one")
        if answer == "labels" and (set(label) & set(",;|[") or label.lower() == NONE):
            raise section.fail("labels", f"{label!r}: no , ; | or [ and no {NONE}: name it so")
    if len(labels) == 1:
        raise section.fail(
            "labels", f"{labels[0]!r} is the only one: a label task needs two or more"
        )
    return labels


def _fields(section: Section, answer: AnswerKind) -> tuple[Field, ...]:
    """The declared fields of a JSON answer; () where they are to be read from the answers."""
    if "fields" not in section:
        return ()
    if answer != "json":
        raise section.fail("fields", "are for answer: json: add that, or drop them")
    inner = section.section("fields")
    found = []
    for name, declared in inner.values.items():
        try:
            found.append(parse_field(name, declared))
        except ValueError as problem:
            raise inner.fail(name, str(problem)) from None
    if not found:
        raise section.fail("fields", "names none: write name: text, or drop it")
    return tuple(found)


def _max_tokens(section: Section, answer: AnswerKind) -> int:
    if "max_tokens" in section and answer == "label":
        raise section.fail("max_tokens", "is for answers that are written: drop it")
    tokens = section.integer("max_tokens", 0)
    if not 0 <= tokens <= MOST_TOKENS:
        raise section.fail("max_tokens", f"is {tokens}: should lie between 1 and {MOST_TOKENS}")
    return tokens


def _fraction(section: Section) -> float:
    fraction = section.number("test_fraction", DEFAULT_TEST_FRACTION)
    if not 0.0 <= fraction <= 0.9:
        raise section.fail(
            "test_fraction", f"is {fraction:g}: should lie between 0 (no test part) and 0.9"
        )
    return fraction


def _model(section: Section, folder: Path) -> ModelRef | None:
    """Paths are relative to the task folder."""
    if "model" not in section and "mmproj" not in section:
        return None
    for key, other in (("model", "mmproj"), ("mmproj", "model")):
        if key not in section:
            raise section.fail(other, f"needs {key} beside it: a picture model is two GGUF files")
    for key in ("model", "mmproj"):
        if is_reference(section.text(key)):
            raise section.fail(
                key, "a task downloads nothing: name it with --model, or get the file"
            )
    text, mmproj = (folder / Path(section.text(key)).expanduser() for key in ("model", "mmproj"))
    return ModelRef(text, mmproj)
