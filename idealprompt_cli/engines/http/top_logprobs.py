"""Scores of options from the most likely next tokens that a chat server lists as texts.

Only the texts of the server's tokens are known: an option is followed along the longest listed
token that fits, and the list is requested again after each. A token that is not listed is at most
as likely as the last one that is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UNLISTED = 1.0
"""How much less likely than the last listed token an unlisted one is assumed to be (nats)."""

Top = Mapping[str, float]
"""Token text -> log-probability."""


@dataclass
class Prefixes:
    """The prefixes over one request's options. `tops` holds the lists so far, by the text before
    (leading blanks aside: a chat template may end with one or not). Without `whole`, an option is
    followed until no other one continues in the same way."""

    options: Sequence[str]
    whole: bool = True
    tops: dict[str, Top] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    @property
    def blank(self) -> str:
        """The space before the options, if they begin with one."""
        first = self.options[0] if self.options else ""
        return first[: len(first) - len(first.lstrip())]

    def learn(self, before: str, written: Sequence[tuple[str, Top]]) -> None:
        """Add the positions that were written after `before`: (token, its list) in order."""
        for token, top in written:
            self.tops.setdefault(before.lstrip(), top)
            before += token

    def give_up(self, before: str) -> None:
        """No list is available here: what follows counts as certain."""
        self._closed.add(before)

    def missing(self) -> str | None:
        """A text after which the list is needed; None when nothing is missing."""
        for option in self.options:
            place = self._follow(option.strip())[1]
            if place is not None:
                return place
        return None

    def totals(self) -> tuple[float, ...]:
        """Log-probabilities of the options."""
        return tuple(self._follow(option.strip())[0] for option in self.options)

    def unlisted(self) -> tuple[bool, ...]:
        """Which options hold a token that was not listed, so that their score is a bound."""
        return tuple(self._follow(option.strip())[2] for option in self.options)

    def beginning(self, index: int) -> str:
        """The first words of an option, as many as no other one begins with."""
        option = self.options[index]
        ends = (found.end() for found in re.finditer(r"\S+", option))
        own = (end for end in ends if not self._others(option.strip(), option[:end].strip()))
        return option[: next(own, len(option))]

    def _follow(self, option: str) -> tuple[float, str | None, bool]:
        """(log-probability so far, text after which a list is missing, met an unlisted token)."""
        total, before = 0.0, ""
        while before != option:
            top = self.tops.get(before)
            if top is None:
                return total, None if before in self._closed else before, False
            token = _longest(top, option[len(before) :], first=not before)
            if token is None:
                return total + min(top.values(), default=0.0) - UNLISTED, None, True
            total += top[token]
            before += token.lstrip() if not before else token
            if not self.whole and not self._others(option, before):
                return total, None, False
        return self._ended(option, total)

    def _others(self, option: str, before: str) -> bool:
        """Whether another option begins with `before`."""
        others = (one.strip() for one in self.options if one.strip() != option)
        return any(other.startswith(before) for other in others)

    def _ended(self, option: str, total: float) -> tuple[float, str | None, bool]:
        """Where a longer option begins with this one: times the probability of not continuing to
        it."""
        rest = [o.strip()[len(option) :] for o in self.options if o.strip() != option
                and o.strip().startswith(option)]  # fmt: skip
        if not rest or option in self._closed:
            return total, None, False
        top = self.tops.get(option)
        if top is None:
            return total, option, False
        going = {t for t in top if t and any(longer.startswith(t) for longer in rest)}
        chance = min(0.999999, sum(math.exp(top[token]) for token in going))
        return total + math.log1p(-chance), None, False


def _longest(top: Top, rest: str, first: bool) -> str | None:
    """The longest listed token with which `rest` begins."""
    fitting = [
        token for token in top
        if (text := token.lstrip() if first else token) and rest.startswith(text)
    ]  # fmt: skip
    return max(fitting, key=lambda token: (len(token.lstrip()), top[token]), default=None)
