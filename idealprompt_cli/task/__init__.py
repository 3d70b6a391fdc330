"""A folder of labelled pictures -> a validated `Task` (layer 1).

Reads `task.yaml` and the examples, checks everything that can be wrong with them before a model
is loaded, and locks a test part away. Knows no model, metric or prompt.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from ..core.answer_schema import PLAIN, AnswerSchema
from ..core.errors import TaskError
from ..core.interfaces import Notice
from ..core.task import Example, Task
from .examples import Row, find_rows
from .form import with_form
from .pictures import contents_of
from .settings import Settings, read_settings
from .split import Parts, split_rows

__all__ = ["load_task", "read_settings"]


def load_task(folder: Path, *, metric: str = "", notify: Notice = lambda text: None) -> Task:
    """The task in `folder`, with `metric` in place of the one it names, if given.

    Every picture is opened once. `notify` hears of what is odd but no error. Raises `TaskError`
    (something in the folder is wrong, with the place and the mend) or `ImageError`.
    """
    settings = read_settings(folder)
    rows, schema = with_form(find_rows(folder, settings), settings)
    labels = _labels(settings, rows)
    contents = contents_of(rows)
    parts = split_rows(rows, contents, settings, notify)
    _check_labels(labels, parts, settings)
    chosen = metric or settings.metric
    return Task(
        name=settings.name,
        root=folder,
        question=settings.question,
        labels=labels,
        metric=chosen,
        train=tuple(_example(row) for row in parts.train),
        test=tuple(_example(row) for row in parts.test),
        answer=settings.answer,
        answer_schema=schema,
        language=settings.language,
        model=settings.model,
        fingerprint=_fingerprint(settings, labels, schema, chosen, parts, contents),
    )


def _example(row: Row) -> Example:
    return Example(row.id, row.images, row.answer, row.source)


def _labels(settings: Settings, rows: list[Row]) -> tuple[str, ...]:
    """The labels that task.yaml names, in its order; otherwise those found, sorted."""
    if settings.answer != "label":
        return ()
    found = sorted({row.answer for row in rows})
    labels = settings.labels or tuple(found)
    if len(labels) < 2:
        raise TaskError(
            f"{settings.source}: the examples have only the label {labels[0]!r}: a label task "
            "needs two or more (for free answers set answer: text)"
        )
    return labels


def _check_labels(labels: tuple[str, ...], parts: Parts, settings: Settings) -> None:
    trained = {row.answer for row in parts.train}
    for label in labels:
        if label not in trained:
            raise settings.fail(
                "labels",
                f"no training example has the label {label!r}: add pictures of it, or drop it",
            )


def _fingerprint(
    settings: Settings,
    labels: tuple[str, ...],
    schema: AnswerSchema,
    metric: str,
    parts: Parts,
    contents: dict[Path, str],
) -> str:
    """Over everything that a score depends on; not over names of folders or times of files."""

    def described(rows: tuple[Row, ...]) -> list[list[object]]:
        return [[row.id, row.answer, [contents[image] for image in row.images]] for row in rows]

    content: dict[str, object] = {
        "question": settings.question,
        "labels": labels,
        "answer": settings.answer,
        "metric": metric,
        "language": settings.language,
        "train": described(parts.train),
        "test": described(parts.test),
    }
    if schema != PLAIN:  # without, so that the fingerprints of label tasks stay what they were
        content["form"] = asdict(schema)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
