"""Divides examples into a training and a locked test part, the same way on every machine.

Draws by a hash of seed and id, so neither the order of files nor the library's random generator
matters, and adding a picture moves few others. Pictures with the same content stay together.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import TaskError
from ..core.interfaces import Notice
from .examples import Row
from .settings import Settings

Group = tuple[Row, ...]


@dataclass(frozen=True)
class Parts:
    train: tuple[Row, ...]
    test: tuple[Row, ...]


def split_rows(
    rows: list[Row],
    contents: dict[Path, str],
    settings: Settings,
    notify: Notice,
) -> Parts:
    """The parts that the folder names, or a stratified draw of `settings.test_fraction`.

    Raises `TaskError` where the same picture has two answers, or is in both parts.
    """
    groups = _groups(rows, contents)
    _tell_of_duplicates(groups, notify)
    if all(row.split for row in rows):
        _check_leaks(groups)
        train = tuple(row for row in rows if row.split == "train")
        if not train:
            raise TaskError(f"{settings.source}: every example is in test: some must be in train")
        return Parts(train, tuple(row for row in rows if row.split == "test"))
    test = _draw(groups, settings)
    return Parts(
        tuple(row for row in rows if row.id not in test),
        tuple(row for row in rows if row.id in test),
    )


def _groups(rows: list[Row], contents: dict[Path, str]) -> list[Group]:
    """Rows that show the same pictures."""
    by_content: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_content[tuple(contents[image] for image in row.images)].append(row)
    groups = [tuple(group) for group in by_content.values()]
    for group in groups:
        for row in group[1:]:
            if row.answer != group[0].answer:
                raise TaskError(
                    f"{row.source}: {row.id} is the same picture as {group[0].id} but "
                    f"{row.answer!r} instead of {group[0].answer!r}: keep the right one"
                )
    return groups


def _tell_of_duplicates(groups: list[Group], notify: Notice) -> None:
    repeated = [group for group in groups if len(group) > 1]
    if repeated:
        first = repeated[0]
        notify(
            f"{len(repeated)} picture(s) are there more than once, such as {first[0].id} and "
            f"{first[1].id}; each copy counts"
        )


def _check_leaks(groups: list[Group]) -> None:
    for group in groups:
        sides = {row.split: row for row in group}
        if len(sides) > 1:
            train, test = sides["train"], sides["test"]
            raise TaskError(
                f"{test.source}: {test.id} is the same picture as {train.id}, once in test and "
                "once in train: keep it in one of them, or the test score means nothing"
            )


def _draw(groups: list[Group], settings: Settings) -> set[str]:
    """Ids of the test part: in each label's groups, the first by hash, by largest remainder."""
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        strata[group[0].answer if settings.answer == "label" else ""].append(group)
    sizes = {label: len(strata[label]) for label in sorted(strata)}
    chosen: set[str] = set()
    for label, quota in _quotas(sizes, settings.test_fraction).items():
        ranked = sorted(strata[label], key=lambda group: _lot(settings.seed, group))
        chosen.update(row.id for group in ranked[:quota] for row in group)
    return chosen


def _quotas(sizes: dict[str, int], fraction: float) -> dict[str, int]:
    """How many of each stratum go to the test part: their sum is the rounded share of all, and
    each leaves at least one for training."""
    exact = {label: size * fraction for label, size in sizes.items()}
    quotas = {label: min(int(share), sizes[label] - 1) for label, share in exact.items()}
    missing = round(sum(sizes.values()) * fraction) - sum(quotas.values())
    by_remainder = sorted(exact, key=lambda label: (quotas[label] - exact[label], label))
    for label in by_remainder:
        if missing > 0 and quotas[label] < sizes[label] - 1:
            quotas[label] += 1
            missing -= 1
    return quotas


def _lot(seed: int, group: Group) -> str:
    return hashlib.sha256(f"{seed}:{group[0].id}".encode()).hexdigest()
