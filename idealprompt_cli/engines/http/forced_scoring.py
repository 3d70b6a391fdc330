"""Scores of options from a server that reports log-probabilities only of what it writes.

The server is forced to write one option token by token; each position reports the chosen token's
log-probability and those of the most likely others, which other options may start with. So labels
of one token mostly take one request in all, and no option takes more than one of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Tokens = tuple[int, ...]
FLOOR = -110.0
"""Below the range of a 32-bit probability; servers then report no number."""


@dataclass(frozen=True)
class ReportedPosition:
    """A position that the server reported: the token it wrote, and log-probabilities by token."""

    token: int
    logprobs: dict[int, float]


@dataclass
class ForcedScores:
    """Bookkeeping for one request's options (as tokens)."""

    options: Sequence[Tokens]
    _known: dict[Tokens, dict[int, float]] = field(default_factory=dict)
    _tried: set[int] = field(default_factory=set)

    def next(self) -> Tokens | None:
        """The option to be written next: one with the most unknown positions. None when no further
        request would add anything."""
        left = [i for i in range(len(self.options)) if i not in self._tried and self._unknown(i)]
        if not left:
            return None
        chosen = max(left, key=self._unknown)
        self._tried.add(chosen)
        return self.options[chosen]

    def learn(self, path: Tokens, reported: Iterable[ReportedPosition]) -> None:
        """Add what was reported while `path` was written. A server leaves out tokens that end
        inside a character, so positions are matched by their tokens."""
        at = 0
        for position in reported:
            while at < len(path) and path[at] != position.token:
                at += 1
            if at == len(path):
                return
            known = self._known.setdefault(path[:at], {})
            for token, value in position.logprobs.items():
                known[token] = max(FLOOR, value)
            at += 1

    def totals(self) -> tuple[float, ...]:
        """Summed log-probabilities of the options; a position that was never reported counts 0."""
        return tuple(
            sum(self._known.get(option[:i], {}).get(t, 0.0) for i, t in enumerate(option))
            for option in self.options
        )

    def complete(self) -> bool:
        """Whether every position of every option was reported."""
        return not any(self._unknown(i) for i in range(len(self.options)))

    def _unknown(self, index: int) -> int:
        option = self.options[index]
        return sum(t not in self._known.get(option[:i], {}) for i, t in enumerate(option))
