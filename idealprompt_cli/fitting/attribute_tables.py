"""Explains labels by the values of one or two attributes (shared by strategies).

A table counts which label goes with which value (or pair of values) in the model's own
descriptions. Tables are compared by how likely they make the labels of examples that they have not
counted (leave-one-out), so that a pair of attributes has to earn its many cells.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..core.interfaces import Evidence
from .attributes import Attribute, attributes
from .text_contrast import either

# What the more general guess weighs beside a cell's own examples.
WEIGHT = 1.0
# What a second attribute must add to the log-likelihood of all examples to justify its cells.
PAIR_PRICE = 4.0
# Number of tables that are tried.
KEPT = 4

Cell = tuple[str, ...]
Values = Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """One or two attributes, and how well they explain the labels: the share of examples that are
    labelled right, and the mean log-likelihood, both leaving each example itself out."""

    attributes: tuple[Attribute, ...]
    right: float
    likelihood: float

    @property
    def relates(self) -> bool:
        """Whether it is about two things being alike: no word of a description says that."""
        return any(one.which == "both" for one in self.attributes)

    def cells(self, evidence: Evidence, labels: Sequence[str]) -> dict[Cell, str]:
        """Every combination of the values that were seen -> the label that goes with it."""
        return evidence.once(f"cells {self.attributes}", lambda: self._cells(evidence, labels))

    def _cells(self, evidence: Evidence, labels: Sequence[str]) -> dict[Cell, str]:
        values, gold = _values(evidence, self.attributes), _gold(evidence)
        counts = _Counts.of(values, gold, labels)
        seen = [sorted({cell[i] for cell in values.values()}) for i in range(len(self.attributes))]
        cells = [(one,) for one in seen[0]]
        if len(seen) > 1:
            cells = [(one, two) for one in seen[0] for two in seen[1]]  # type: ignore[misc]
        return {cell: counts.best(cell) for cell in cells if "" not in cell}


def tables(evidence: Evidence, labels: Sequence[str]) -> list[Table]:
    """The tables that explain the labels best, the best first; found once. None before the
    pictures were described: that is not this function's to pay for."""
    if not evidence.described():
        return []
    return evidence.once("tables", lambda: _find(evidence, labels))


def _find(evidence: Evidence, labels: Sequence[str]) -> list[Table]:
    gold, found = _gold(evidence), []
    singles = attributes(evidence)
    plain = [one for one in singles if one.which != "both"]
    pairs = [(a, b) for i, a in enumerate(plain) for b in plain[i + 1 :]]
    for group in [*((one,) for one in singles), *pairs]:
        right, likelihood = _held_out(_values(evidence, group), gold, labels)
        found.append(Table(group, right, likelihood))
    count = len(evidence.examples)
    value = {t: count * t.likelihood - PAIR_PRICE * (len(t.attributes) - 1) for t in found}
    return sorted(found, key=lambda t: -value[t])[:KEPT]


def _gold(evidence: Evidence) -> Mapping[str, str]:
    return {example.id: example.answer for example in evidence.examples}


def _values(evidence: Evidence, group: Sequence[Attribute]) -> Values:
    """example id -> its value of each attribute."""
    columns = [evidence.once(f"values {one}", partial(_column, evidence, one)) for one in group]
    return {e.id: tuple(column[e.id] for column in columns) for e in evidence.examples}


def _column(evidence: Evidence, one: Attribute) -> dict[str, str]:
    return {example: one.value(text) for example, text in evidence.descriptions().items()}


@dataclass
class _Counts:
    """How often each label goes with each cell, and with each single value of it."""

    labels: Sequence[str]
    whole: Counter[str] = field(default_factory=Counter)
    cells: dict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sides: dict[tuple[int, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    @staticmethod
    def of(values: Values, gold: Mapping[str, str], labels: Sequence[str]) -> _Counts:
        counts = _Counts(labels)
        for example, cell in values.items():
            counts.add(cell, gold[example], 1)
        return counts

    def add(self, cell: Cell, label: str, times: int) -> None:
        self.whole[label] += times
        self.cells[cell][label] += times
        for place, value in enumerate(cell):
            self.sides[place, value][label] += times

    def chances(self, cell: Cell) -> dict[str, float]:
        """p(label | cell): the cell's own counts drawn towards what its values say one by one,
        those towards the labels' shares."""
        total = sum(self.whole.values()) + len(self.labels)
        shares = {label: (self.whole[label] + 1) / total for label in self.labels}
        guess = dict(shares)
        for place, value in enumerate(cell):
            side = _drawn(self.sides.get((place, value), Counter()), shares)
            guess = {label: guess[label] * side[label] / shares[label] for label in self.labels}
        norm = sum(guess.values())
        guess = {label: value / norm for label, value in guess.items()}
        return guess if len(cell) == 1 else _drawn(self.cells.get(cell, Counter()), guess)

    def best(self, cell: Cell) -> str:
        chances = self.chances(cell)
        return max(self.labels, key=lambda label: chances[label])


def _drawn(counts: Counter[str], towards: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values()) + WEIGHT
    return {label: (counts[label] + WEIGHT * share) / total for label, share in towards.items()}


def _held_out(
    values: Values, gold: Mapping[str, str], labels: Sequence[str]
) -> tuple[float, float]:
    counts = _Counts.of(values, gold, labels)
    right = likelihood = 0.0
    for example, cell in values.items():
        label = gold[example]
        counts.add(cell, label, -1)
        chances = counts.chances(cell)
        counts.add(cell, label, 1)
        top = max(chances.values())
        named = [name for name, chance in chances.items() if chance >= top - 1e-9]
        right += (label in named) / len(named)
        likelihood += math.log(chances[label])
    return right / max(1, len(values)), likelihood / max(1, len(values))


def clauses(table: Table, evidence: Evidence, labels: Sequence[str]) -> dict[str, str] | None:
    """label -> "(values of one attribute) and (values of the other)" that go with it, "" for the
    one label that is left when the others are said. None where more than one label does not come
    down to one such pair."""
    if table.relates:
        return None
    cells, said = table.cells(evidence, labels), {}
    for label in labels:
        own = [cell for cell, named in cells.items() if named == label]
        said[label] = _block(own, cells)
    hard = [label for label in labels if said[label] is None]
    if len(hard) > 1 or len(labels) == len(hard):
        return None
    return {label: text or "" for label, text in said.items()}


def _block(own: Sequence[Cell], cells: Mapping[Cell, str]) -> str | None:
    """The cells as one product of values, an attribute whose values do not matter left out; None
    where they are no product."""
    if not own:
        return None
    parts, size = [], 1
    for place in range(len(own[0])):
        values = sorted({cell[place] for cell in own})
        size *= len(values)
        if len(values) < len({cell[place] for cell in cells}):
            parts.append(either(values))
    return " and ".join(parts) if size == len(own) and parts else None
