"""Takes as many examples of a large source as the user asks for, with every label in them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ...core.errors import TaskError, UsageError
from ...core.nearest import did_you_mean
from ..sampling import draw
from .options import Found, Labelled, Sampling

FEW = 4
"""A label with fewer examples can hardly be both learnt and measured."""


def select(found: Found, only: Sequence[str], sampling: Sampling) -> Found:
    """The examples of the labels `only` (all, if none is named) that `sampling` asks for, in
    splits. Raises `TaskError` where there are not enough."""
    found = _of_labels(found, only) if only else found
    rows, notes = _of_frequent_labels(found, sampling.min_per_label)
    if sampling.train or sampling.test:
        rows = _drawn(found, rows, sampling)
        notes.append(f"{len(rows)} of {len(found.rows)} examples are drawn (seed {sampling.seed})")
    found = replace(
        found,
        rows=tuple(rows),
        notes=(*found.notes, *notes),
        seed=sampling.seed,
        selected=len(rows) < len(found.rows) or bool(only or sampling.train or sampling.test),
    )
    return replace(found, notes=(*found.notes, *_few(found)))


def _of_labels(found: Found, only: Sequence[str]) -> Found:
    labels = found.labels()
    if found.kind != "label":
        raise UsageError(f"--label is for single labels, not for answer {found.kind}")
    for label in only:
        if label not in labels:
            raise TaskError(f"{found.source}: --label {label}: {did_you_mean(label, labels)}")
    rows = tuple(row for row in found.rows if row.answer in only)
    left = len(found.rows) - len(rows)
    note = f"{left} examples of other labels are left out"
    if left == 1:
        note = "1 example of another label is left out"
    return replace(found, rows=rows, notes=(*found.notes, note))


def _of_frequent_labels(found: Found, least: int) -> tuple[list[Labelled], list[str]]:
    if found.kind != "label" or not least:
        return list(found.rows), []
    counts = Counter(row.answer for row in found.rows)
    rare = sorted(label for label, count in counts.items() if count < least)
    rows = [row for row in found.rows if row.answer not in rare]
    if len(counts) - len(rare) < 2:
        raise TaskError(
            f"{found.source}: fewer than two labels have {least} examples (--min-per-label): "
            f"{_counted(counts)}"
        )
    if not rare:
        return rows, []
    left = len(found.rows) - len(rows)
    labels, are = ("label", "is") if len(rare) == 1 else ("labels", "are")
    examples = "1 example" if left == 1 else f"{left} examples"
    return rows, [
        f"{len(rare)} {labels} with fewer than {least} examples {are} left out ({examples}): "
        f"{', '.join(rare[:8])}{' ...' if len(rare) > 8 else ''}"
    ]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{label} {count}" for label, count in counts.most_common(8))


def _drawn(found: Found, rows: Sequence[Labelled], sampling: Sampling) -> list[Labelled]:
    """Training and test examples by seed: from the splits of the source, or from all of it."""
    labels = {row.answer for row in rows} if found.kind == "label" else set()
    if 0 < sampling.train < len(labels):
        raise TaskError(
            f"{found.source}: --train {sampling.train} cannot hold {len(labels)} labels: take "
            f"{FEW * len(labels)} or more, or leave rare ones out with --min-per-label"
        )
    splits = {row.split for row in rows}
    if "test" in splits:
        test = _of_split(found, rows, "test", sampling.test, sampling)
        pool = [row for row in rows if row.split == "train"]
    else:
        pool = [row for row in rows if row.split in (None, "train")]
        _check_enough(found, pool, sampling)
        train = sampling.train or len(pool) - sampling.test
        first = _draw(pool, train, sampling, found)
        taken = {id(row) for row in first}
        rest = [row for row in pool if id(row) not in taken]
        test = _draw(rest, sampling.test or len(rest), sampling, found)
        pool = first
    train_rows = _draw(pool, sampling.train or len(pool), sampling, found)
    validation = [row for row in rows if row.split == "validation"]
    return [
        *(replace(row, split="train") for row in train_rows),
        *_draw(validation, min(len(validation), len(train_rows)), sampling, found),
        *(replace(row, split="test") for row in test),
    ]


def _of_split(
    found: Found, rows: Sequence[Labelled], split: str, count: int, sampling: Sampling
) -> list[Labelled]:
    there = [row for row in rows if row.split == split]
    if count > len(there):
        raise TaskError(f"{found.source}: has {len(there)} {split} examples, not {count}")
    return _draw(there, count or len(there), sampling, found)


def _check_enough(found: Found, pool: Sequence[Labelled], sampling: Sampling) -> None:
    wanted = sampling.train + sampling.test
    if wanted > len(pool):
        raise TaskError(
            f"{found.source}: has {len(pool)} examples that can be used, not {wanted} "
            f"(--train {sampling.train} --test {sampling.test})"
        )


def _draw(rows: Sequence[Labelled], count: int, sampling: Sampling, found: Found) -> list[Labelled]:
    """By the images' places within the folder that holds all of them, so that the draw is the same
    wherever that folder lies."""
    folders = {path.parent.absolute() for row in found.rows for path in row.images}
    base = os.path.commonpath(folders) if folders else ""

    def stratum(row: Labelled) -> str:
        return row.answer if found.kind == "label" else ""

    def name(row: Labelled) -> str:
        places = (path.absolute().relative_to(base) for path in row.images)
        return ";".join([*(place.as_posix() for place in places), *row.fields.values()])

    return draw(rows, count, sampling.seed, stratum, name)


def _few(found: Found) -> list[str]:
    """A warning where labels have too few examples."""
    if found.kind != "label":
        return []
    few = [f"{label} ({count})" for label, count in found.counts().items() if count < FEW]
    if not few:
        return []
    return [f"fewer than {FEW} examples of: {', '.join(few[:8])}{' ...' if len(few) > 8 else ''}"]
