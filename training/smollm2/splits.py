"""Which pictures are `train`, `valid` and `bench` where a data set has no split of its own.

A name decides, so the split is the same on every machine. Needs no package, so that benchmarks can
use it without PyTorch.
"""

from __future__ import annotations

import hashlib


def stable(name: str) -> int:
    """A number that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def held_back(name: str) -> str:
    """`valid` for a twentieth of the training pictures, which only draw learning curves."""
    return "valid" if stable("valid/" + name) % 20 == 0 else "train"


def hashed_split(name: str) -> str:
    """Split of `textiles/<label>/<file>` or `solar/images/<file>`: a quarter is `bench`."""
    return "bench" if stable(name) % 4 == 0 else held_back(name)
