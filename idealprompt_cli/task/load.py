"""A folder of labelled examples -> a validated `Task`.

Reads `task.yaml` and the examples, checks everything that can be wrong with them before a model
is loaded, and locks the test split away. Knows no model, metric or prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ..core.answer_schema import PLAIN, AnswerSchema
from ..core.errors import ImageError, TaskError
from ..core.interfaces import Notice
from ..core.task import Example, Task
from ..io.images import content_hash, open_rgb
from .answer_forms import check_options, in_one_form
from .examples import Row, find_rows, inputs_of
from .faults import listed
from .settings import MOST_LABELS, Settings, read_settings, too_many_labels
from .splits import Splits, split_rows

MANY = 2000
"""Pictures whose check takes so long that it reports on the way."""

_LONG, _TIMES = 16, 4
"""Labels differ widely in length from so many letters on, and so many times the shortest one."""


def load_task(folder: Path, *, metric: str = "", notify: Notice = lambda text: None) -> Task:
    """The task in `folder`, with `metric` in place of the one it names, if given.

    Every picture is opened once. `notify` receives what is odd but no error. Raises `TaskError`
    (something in the folder is wrong: place and fix) or `ImageError`.
    """
    settings = read_settings(folder)
    rows, schema = _with_answers(find_rows(folder, settings), settings)
    labels = _labels(settings, rows)
    _check_model(settings, rows)
    contents = _contents_of(rows, notify)
    splits = split_rows(rows, contents, settings, notify)
    _check_labels(labels, splits, settings)
    _report_lengths(labels, notify)
    _report_fields(settings, rows, notify)
    chosen = metric or settings.metric
    return Task(
        name=settings.name,
        root=folder,
        question=settings.question,
        labels=labels,
        metric=chosen,
        train=_examples(splits.train),
        test=_examples(splits.test),
        answer=settings.answer,
        answer_schema=schema,
        language=settings.declared.language,
        model=settings.model,
        fingerprint=_fingerprint(settings, labels, schema, chosen, splits, contents),
        validation=_examples(splits.validation),
        fields=inputs_of(settings),
    )


def _examples(rows: Iterable[Row]) -> tuple[Example, ...]:
    return tuple(
        Example(row.id, row.images, row.answer, row.source, row.fields, row.answers[1:])
        for row in rows
    )


def _with_answers(rows: list[Row], settings: Settings) -> tuple[list[Row], AnswerSchema]:
    """The rows with their answers in one form, and the schema of these."""
    answers, schema = in_one_form(
        [row.answers for row in rows],
        settings.answer,
        settings.answer_schema,
        lambda position: f"{rows[position].source}: {rows[position].id}",
        settings.labels,
    )
    if settings.answer == "labels":
        check_options(schema, settings.source)
    return [replace(row, answers=own) for row, own in zip(rows, answers, strict=True)], schema


def _labels(settings: Settings, rows: Sequence[Row]) -> tuple[str, ...]:
    """The labels that task.yaml names, in its order; otherwise those found, sorted."""
    if settings.answer != "label":
        return ()
    labels = settings.labels or tuple(sorted({answer for row in rows for answer in row.answers}))
    if len(labels) > MOST_LABELS:
        raise TaskError(
            f"{settings.source}: {too_many_labels(len(labels))} (for free answers set answer: text)"
        )
    if len(labels) < 2:
        raise TaskError(
            f"{settings.source}: the examples have only the label {labels[0]!r}: a label task "
            "needs two or more (for free answers set answer: text)"
        )
    return labels


def _check_labels(labels: Sequence[str], splits: Splits, settings: Settings) -> None:
    trained = {answer for row in splits.train for answer in row.answers}
    for label in labels:
        if label not in trained:
            raise settings.fail(
                "labels",
                f"no training example has the label {label!r}: add examples of it, or delete it",
            )


def _report_lengths(labels: Sequence[str], notify: Notice) -> None:
    """Report labels of widely differing lengths, and how they are compared."""
    if not labels:
        return
    short, long = min(labels, key=len), max(labels, key=len)
    if len(long) < max(_LONG, _TIMES * len(short)):
        return
    notify(
        f"Labels differ widely in length ({short!r}, {long!r}): they are compared by their "
        "shortest beginnings that differ."
    )


def _check_model(settings: Settings, rows: Sequence[Row]) -> None:
    pictures = any(row.images for row in rows)
    if pictures and settings.model is not None and settings.model.mmproj is None:
        raise settings.fail("model", "needs mmproj beside it: an image model is two GGUF files")


def _report_fields(settings: Settings, rows: Sequence[Row], notify: Notice) -> None:
    used = inputs_of(settings)
    for name in settings.declared.inputs:
        if name not in used:
            notify(f"The input {name!r} is declared, but the question never uses {{{name}}}.")
    for name in dict.fromkeys(one for row in rows for one in row.unused):
        if name not in settings.declared.inputs:
            notify(f"The column {name!r} is not used: write {{{name}}} in the question to show it.")
    for name in used:
        empty = sum(not row.fields[name] for row in rows)
        if empty:
            notify(f"{{{name}}} is empty in {empty} of {len(rows)} examples.")
    bare = sum(not row.images for row in rows)
    if 0 < bare < len(rows):
        notify(f"{bare} of {len(rows)} examples have no image.")


def _contents_of(rows: Sequence[Row], notify: Notice) -> dict[Path, str]:
    """The content hash of every picture. Raises `TaskError` that lists those which cannot be
    read."""
    found: dict[Path, str] = {}
    sound: set[str] = set()
    problems: list[str] = []
    paths = list(dict.fromkeys(image for row in rows for image in row.images))
    for number, path in enumerate(paths):
        if number and number % MANY == 0:
            notify(f"Checked {number} of {len(paths)} images.")
        try:
            found[path] = content_hash(path)
            if found[path] not in sound:
                open_rgb(path)
                sound.add(found[path])
        except ImageError as problem:
            problems.append(str(problem))
    if problems:
        raise TaskError(listed(problems))
    return found


_FORM_KEYS = ("options", "fields", "max_tokens")


def _fingerprint(
    settings: Settings,
    labels: tuple[str, ...],
    schema: AnswerSchema,
    metric: str,
    splits: Splits,
    contents: Mapping[Path, str],
) -> str:
    """Over everything that a score depends on; not over names of folders or times of files. Parts
    that a task does not have are left out, so that fingerprints outlive new features."""

    def described(rows: tuple[Row, ...]) -> list[list[object]]:
        return [
            [
                row.id,
                row.answer,
                [contents[image] for image in row.images],
                *([dict(row.fields)] if row.fields else []),
                *([row.answers] if len(row.answers) > 1 else []),
            ]
            for row in rows
        ]

    content: dict[str, object] = {
        "question": settings.question,
        "labels": labels,
        "answer": settings.answer,
        "metric": metric,
        "language": settings.declared.language,
        "train": described(splits.train),
        "test": described(splits.test),
    }
    if splits.validation:
        content["validation"] = described(splits.validation)
    if schema != PLAIN:
        content["form"] = {
            name: value
            for name, value in asdict(schema).items()
            if name in _FORM_KEYS or value != getattr(PLAIN, name)
        }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
