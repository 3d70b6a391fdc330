"""Divides examples into training, validation and locked test examples, alike on every machine.

Draws by a hash of seed and id, so neither the order of files nor the library's random generator
matters, and adding an example moves few others. Examples with the same content stay together.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import TaskError
from ..core.interfaces import Notice
from .examples import Row
from .faults import Faults
from .settings import Settings

Group = tuple[Row, ...]


@dataclass(frozen=True)
class Splits:
    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]


def split_rows(
    rows: list[Row], contents: Mapping[Path, str], settings: Settings, notify: Notice
) -> Splits:
    """The splits that the folder names. Where it names no test split, a stratified draw of
    `settings.test_fraction` from the training examples.

    Raises `TaskError` where the same example has two answers, or is in two splits.
    """
    groups = _groups(rows, contents)
    _check_conflicts(groups)
    _report_duplicates(groups, notify)
    named = all(row.split for row in rows)
    test = {row.id for row in rows if row.split == "test"}
    if named:
        _check_leaks(groups, notify)
        if not any(row.split == "train" for row in rows):
            raise TaskError(f"{settings.source}: no example is in train: some must be")
    if not test:
        free = [group for group in groups if all(row.split in (None, "train") for row in group)]
        test = _draw(free, settings)
        if named and test:
            notify(
                f"There is no test split: {len(test)} of the training examples are held out as "
                "one (test_fraction in task.yaml)."
            )
    kept = [row for row in rows if row.id not in test]
    return Splits(
        tuple(row for row in kept if row.split != "validation"),
        tuple(row for row in kept if row.split == "validation"),
        tuple(row for row in rows if row.id in test),
    )


# --- duplicates ----------------------------------------------------------------------------------


def _groups(rows: Sequence[Row], contents: Mapping[Path, str]) -> list[Group]:
    """Rows that show the same pictures; without pictures, rows of the same text."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        pictures = tuple(contents[image] for image in row.images)
        found[pictures or ("", *_texts(row))].append(row)
    return [tuple(group) for group in found.values()]


def _texts(row: Row) -> tuple[str, ...]:
    return tuple(row.fields.values())


def _alike(group: Group) -> list[Group]:
    """The rows of a group that also have the same texts."""
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in group:
        found[_texts(row)].append(row)
    return [tuple(rows) for rows in found.values()]


def _kind(row: Row) -> str:
    return "image" if row.images else "text"


def _check_conflicts(groups: Sequence[Group]) -> None:
    faults = Faults()
    for alike in (alike for group in groups for alike in _alike(group)):
        for row in alike[1:]:
            if set(row.answers) != set(alike[0].answers):
                faults.add(
                    f"{row.source}: {row.id} is the same {_kind(row)} as {alike[0].id} but "
                    f"{row.answer!r} instead of {alike[0].answer!r}: keep the right one"
                )
    faults.check()


def _report_duplicates(groups: Sequence[Group], notify: Notice) -> None:
    repeated = [alike for group in groups for alike in _alike(group) if len(alike) > 1]
    if repeated:
        first = repeated[0]
        notify(
            f"{len(repeated)} {_kind(first[0])}(s) are there more than once, such as "
            f"{first[0].id} and {first[1].id}; each copy counts"
        )


def _check_leaks(groups: Sequence[Group], notify: Notice) -> None:
    """The same example in two splits is an error; the same picture with another text a warning."""
    faults, shared = Faults(), 0
    for group in groups:
        shared += len({row.split for row in group}) > 1
        for alike in _alike(group):
            sides = {row.split: row for row in alike}
            if len(sides) > 1:
                first, other = list(sides.values())[:2]
                if other.split == "train":
                    first, other = other, first
                faults.add(
                    f"{other.source}: {other.id} is the same {_kind(other)} as {first.id}, once in "
                    f"{other.split} and once in {first.split}: keep it in one of them, or the "
                    f"{other.split} score means nothing"
                )
    faults.check()
    if shared:
        notify(
            f"Warning: {shared} image(s) are in more than one split, with other texts: held-out "
            "scores may be too good."
        )


# --- the draw ------------------------------------------------------------------------------------


def _draw(groups: Sequence[Group], settings: Settings) -> set[str]:
    """Ids of the test split: in each label's groups, the first by hash, by largest remainder."""
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        strata[group[0].answer if settings.answer == "label" else ""].append(group)
    sizes = {label: len(strata[label]) for label in sorted(strata)}
    chosen: set[str] = set()
    for label, quota in _quotas(sizes, settings.declared.test_fraction).items():
        ranked = sorted(strata[label], key=lambda group: lot(settings.declared.seed, group[0].id))
        chosen.update(row.id for group in ranked[:quota] for row in group)
    return chosen


def _quotas(sizes: dict[str, int], fraction: float) -> dict[str, int]:
    """How many of each stratum go to the test split: their sum is the rounded share of all, and
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


def lot(seed: int, name: str) -> str:
    """What an example is ranked by in a draw: the smaller, the sooner it is chosen."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
