"""`task.yaml`: what the user says of the task. Knows nothing of the examples beside it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from ..errors import IdealPromptError, TaskError
from ..files import read_text
from ..types import AnswerKind, ModelRef
from ..yamlio import Section, parse

FILE = "task.yaml"
KEYS = (
    "name",
    "question",
    "labels",
    "answer",
    "metric",
    "language",
    "model",
    "mmproj",
    "test_fraction",
    "seed",
)
DEFAULT_METRIC: dict[AnswerKind, str] = {"label": "accuracy", "text": "exact_match"}
DEFAULT_TEST_FRACTION = 0.4


@dataclass(frozen=True)
class Settings:
    """A checked `task.yaml`. `test_fraction` and `seed` apply where the folder names no split."""

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
    answer = section.choice("answer", AnswerKind.__args__, "label")  # type: ignore[attr-defined]
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
        seed=section.integer("seed", 0),
        source=str(file),
        section=section,
    )


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
    if labels and answer == "text":
        raise section.fail("labels", "do not go with answer: text: drop one of the two")
    for position, label in enumerate(labels):
        if not label:
            raise section.fail("labels", "one label is empty: give it a name")
        if label in labels[:position]:
            raise section.fail("labels", f"{label!r} is named twice: drop one")
    if len(labels) == 1:
        raise section.fail(
            "labels", f"{labels[0]!r} is the only one: a label task needs two or more"
        )
    return labels


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
    text, mmproj = (folder / Path(section.text(key)).expanduser() for key in ("model", "mmproj"))
    return ModelRef(text, mmproj)
