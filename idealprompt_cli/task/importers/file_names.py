"""Labels out of file names: which part of `K7_0001.jpg` is the label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...core.errors import TaskError, UsageError

_MARKS = re.compile(r"[\s_\-.,]+")
_NUMBER = re.compile(r"[\s_\-.]*\(?\d+\)?\Z")
_LEADING = re.compile(r"\A\(?\d+\)?[\s_\-.]*")
MOST_LABELS = 50


def _first(stem: str) -> str:
    return _MARKS.split(stem.strip("_-. "))[0]


def _last(stem: str) -> str:
    return _MARKS.split(stem.strip("_-. "))[-1]


PLACES: Mapping[str, tuple[Callable[[str], str], str]] = {
    "prefix": (_first, "the part before the first separator"),
    "suffix": (_last, "the part after the last separator"),
    "before-number": (lambda stem: _NUMBER.sub("", stem), "the part before the number"),
    "after-number": (lambda stem: _LEADING.sub("", stem), "the part after the number"),
}
"""Name -> how it reads a file name without its ending, and the same in words."""


@dataclass(frozen=True)
class Guess:
    """Where the label is, the label of each name in order, and other places it might be."""

    place: str
    labels: tuple[str, ...]
    others: tuple[str, ...] = ()


def read_labels(stems: Sequence[str], place: str, where: str) -> Guess:
    """The labels in file names without endings; `place` is one of `PLACES` or "" for a guess.

    A guess needs 2 to 50 labels with two pictures or more each. Raises `TaskError` if no place
    fits, `UsageError` for an unknown place.
    """
    if place:
        if place not in PLACES:
            raise UsageError(f"--label-from {place}: choose from {', '.join(PLACES)}")
        return Guess(place, _labels(stems, place))
    fitting = [name for name in PLACES if _fits(_labels(stems, name))]
    if not fitting:
        raise TaskError(
            f"{where}: the file names (such as {stems[0]}) contain no recognisable label: put "
            "the images into one folder per label, list them in a CSV, or say --label-from "
            f"{'|'.join(PLACES)}"
        )
    best = _labels(stems, fitting[0])
    others = [name for name in fitting[1:] if _labels(stems, name) != best]
    return Guess(fitting[0], best, tuple(others))


def _labels(stems: Sequence[str], place: str) -> tuple[str, ...]:
    read = PLACES[place][0]
    return tuple(read(stem) for stem in stems)


def _fits(labels: Sequence[str]) -> bool:
    """Whether these look like labels: few, each with several pictures. Camera names such as
    IMG_0001 give one label by prefix and as many as pictures by suffix."""
    counts = Counter(labels)
    return 2 <= len(counts) <= MOST_LABELS and "" not in counts and min(counts.values()) >= 2
