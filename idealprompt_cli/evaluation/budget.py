"""What a run may spend: evaluations, seconds of model time, tokens; whichever ends first.

One evaluation is one prompt scored, or one question answered, on one example. Seconds are those
spent inside the engine, so that a resumed run counts what the broken one had spent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.errors import UsageError
from ..core.results import Cost, StopReason

_EVALUATIONS = re.compile(r"(\d+)\Z")
_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([kM]?)tok(?:ens?)?\Z")
_NUMBER = r"(\d+(?:\.\d+)?)"
_TIME = re.compile(
    rf"(?:{_NUMBER}(?:h|hrs?|hours?))?(?:{_NUMBER}(?:m|mins?|minutes?))?"
    rf"(?:{_NUMBER}(?:s|secs?|seconds?))?\Z"
)
_SCALE = {"": 1, "k": 1_000, "M": 1_000_000}


class OutOfBudget(Exception):
    """Raised before a call that would overspend; the search ends on it."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason: StopReason = reason


@dataclass(frozen=True)
class Budget:
    """Limits; None means no limit of that kind."""

    evaluations: int | None = None
    seconds: float | None = None
    tokens: int | None = None

    @staticmethod
    def parse(text: str) -> Budget:
        """A budget from "300", "10m", "10min", "1h30m", "200ktok" or several of them joined by
        commas.

        Raises UsageError for anything else, for zero and for a kind that is given twice.
        """
        found: dict[str, float] = {}
        for piece in text.replace(" ", "").split(","):
            kind, amount = _parse_one(piece, text)
            if kind in found:
                raise UsageError(f"--budget {text}: {kind} are limited twice")
            found[kind] = amount
        return Budget(
            evaluations=int(found["evaluations"]) if "evaluations" in found else None,
            seconds=found.get("seconds"),
            tokens=int(found["tokens"]) if "tokens" in found else None,
        )

    def describe(self) -> str:
        """The limits as a clause for people."""
        parts = []
        if self.evaluations is not None:
            parts.append(f"{self.evaluations} evaluations")
        if self.seconds is not None:
            parts.append(_clock(self.seconds))
        if self.tokens is not None:
            parts.append(f"{self.tokens:,} tokens")
        joined = " or ".join(parts) or "no limit"
        return f"{joined}, whichever comes first" if len(parts) > 1 else joined

    def spent(self, cost: Cost) -> str:
        """What was spent of what, in the unit that is nearest to its end."""
        if self.tightest(cost) == "seconds" and self.seconds is not None:
            return f"{_clock(cost.seconds)} of {_clock(self.seconds)}"
        if self.tightest(cost) == "tokens" and self.tokens is not None:
            return f"{cost.tokens:,} of {self.tokens:,} tokens"
        limit = "" if self.evaluations is None else f"/{self.evaluations}"
        return f"{cost.evaluations}{limit} evaluations"

    def tightest(self, cost: Cost) -> StopReason:
        """The limit of which the largest share is used."""
        shares = self._shares(cost)
        return max(shares, key=lambda kind: shares[kind]) if shares else "evaluations"

    def fraction(self, cost: Cost) -> float:
        """Share of the budget that is used, in [0, 1]; 0.0 where nothing is limited."""
        return min(1.0, max(self._shares(cost).values(), default=0.0))

    def affordable(self, cost: Cost) -> int:
        """How many more evaluations fit, judging tokens and seconds by the mean so far."""
        room = [10**9]
        if self.evaluations is not None:
            room.append(self.evaluations - cost.evaluations)
        done = max(cost.evaluations, 1)
        if self.tokens is not None:
            room.append(int((self.tokens - cost.tokens) / max(cost.tokens / done, 1e-9)))
        if self.seconds is not None:
            room.append(int((self.seconds - cost.seconds) / max(cost.seconds / done, 1e-9)))
        return max(0, min(room))

    def _shares(self, cost: Cost) -> dict[StopReason, float]:
        shares: dict[StopReason, float] = {}
        if self.evaluations is not None:
            shares["evaluations"] = cost.evaluations / self.evaluations
        if self.seconds is not None:
            shares["seconds"] = cost.seconds / self.seconds
        if self.tokens is not None:
            shares["tokens"] = cost.tokens / self.tokens
        return shares


def _parse_one(piece: str, text: str) -> tuple[str, float]:
    """(kind, amount) of one limit."""
    if match := _EVALUATIONS.match(piece):
        kind, amount = "evaluations", float(match[1])
    elif match := _TOKENS.match(piece):
        kind, amount = "tokens", float(match[1]) * _SCALE[match[2]]
    elif piece and (match := _TIME.match(piece)):
        hours, minutes, seconds = (float(group or 0) for group in match.groups())
        kind, amount = "seconds", 3600 * hours + 60 * minutes + seconds
    else:
        raise UsageError(
            f"--budget {text}: {piece!r} is not a valid budget{_hint(piece)}: write 300 "
            "(evaluations), 10m or 200ktok"
        )
    if amount <= 0:
        raise UsageError(f"--budget {text}: the budget must be more than nothing")
    return kind, amount


def _hint(piece: str) -> str:
    """ " (try 300)" for a unit that is none: 300 evals; or in capitals: 10M."""
    match = re.fullmatch(rf"{_NUMBER}([a-z]+)", piece, re.IGNORECASE)
    if match is None:
        return ""
    unit = match[2].lower()
    if unit.startswith(("eval", "call", "prompt")):
        return f" (try {match[1]})"
    lower = f"{match[1]}{unit}"
    known = _TIME.match(lower) or _TOKENS.match(lower)
    return f" (try {lower})" if known else ""


def _clock(seconds: float) -> str:
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{seconds:.0f} s"
