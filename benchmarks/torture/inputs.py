"""Hostile inputs: each case damages one file of the grounds and gives it to the command that reads
it."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .command import Done, run
from .grounds import Grounds, copied, memory_folder
from .targets import TARGETS


@dataclass(frozen=True)
class Fault:
    """A case that showed a fault, with the end of what it printed."""

    target: str
    number: int
    fault: str
    words: tuple[str, ...]
    stderr: str


def cases(count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Target and number of each case, in a fixed random order."""
    rng = random.Random(seed)
    names, weights = list(TARGETS), [weight for _, weight in TARGETS.values()]
    for number in range(count):
        yield rng.choices(names, weights)[0], number


def one(grounds: Grounds, target: str, number: int, seed: int) -> tuple[Done, str]:
    """Run one case in a fresh copy of the grounds; what was done, and the fault or ""."""
    rng = random.Random(f"{seed} {target} {number}")
    with tempfile.TemporaryDirectory(dir=memory_folder()) as text:
        own = copied(grounds, Path(text) / "g")
        words = TARGETS[target][0](own.root, rng)
        done = run(words, own.root, own.environment)
        fault = done.fault()
        if not fault and _digests(own.root) != _digests(grounds.root):
            fault = "a foreign file was changed"
        return done, fault


def _digests(root: Path) -> dict[str, str]:
    """The content of the files that belong to somebody else."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.glob("foreign*"))
    }


@dataclass(frozen=True)
class Slow:
    """How long a case took: wall time and processor time, in seconds."""

    target: str
    number: int
    seconds: float
    processor: float


def slowest(cases: Iterable[Slow], count: int = 10) -> list[Slow]:
    """The cases that took the most wall time, the slowest first."""
    return sorted(cases, key=lambda case: -case.seconds)[:count]


@dataclass
class Inputs:
    """Cases by target, faults, the slowest cases, the most processor time of one case (seconds) and
    the most memory (bytes)."""

    asked: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    slow: list[Slow] = field(default_factory=list)
    processor: float = 0.0
    peak: int = 0

    def add(self, target: str, number: int, done: Done, fault: str) -> None:
        self.asked[target] += 1
        taken = Slow(target, number, round(done.seconds, 2), round(done.processor, 2))
        self.slow = slowest([*self.slow, taken])
        self.processor = max(self.processor, taken.processor)
        self.peak = max(self.peak, done.peak)
        if fault:
            self.faults.append(Fault(target, number, fault, done.words, done.stderr[-600:]))


def campaign(grounds: Grounds, first: int, last: int, seed: int, part: tuple[int, int]) -> Inputs:
    """The cases from `first` to before `last`, `part[0]` of every `part[1]` of them."""
    found = Inputs()
    for target, number in cases(last, seed):
        if number >= first and number % part[1] == part[0]:
            found.add(target, number, *one(grounds, target, number, seed))
    return found
