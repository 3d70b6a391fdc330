"""An observer that keeps what it hears."""

from __future__ import annotations

from typing import TypeVar

from idealprompt_cli.core.events import Event

E = TypeVar("E")


class Listener:
    """Events in order; `heard` gives those of one kind."""

    def __init__(self, events: list[Event] | None = None) -> None:
        self.events = [] if events is None else events

    def notify(self, event: Event) -> None:
        self.events.append(event)

    def heard(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]
