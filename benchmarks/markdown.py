"""Figures and made parts of Markdown pages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any


def percent(value: float, digits: int = 1) -> str:
    """A share in [0, 1] as a number of percent, "" where it was not measured."""
    return "" if math.isnan(value) else f"{100 * value:.{digits}f}"


def with_interval(figures: Mapping[str, Any], digits: int = 0) -> str:
    """`value` with `low` and `high`, all in [0, 1]."""
    low, high = 100 * figures["low"], 100 * figures["high"]
    return f"{100 * figures['value']:.{digits}f} % [{low:.0f}, {high:.0f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown themselves."""
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def filled(page: str, name: str, content: str) -> str:
    """The page with `content` between `<!-- name -->` and `<!-- /name -->`; the same page where it
    has no such marks."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marked.sub(lambda match: f"{match[1]}{content}\n{match[2]}", page)
