"""What a terminal shows of reflection while it works, and the lines that stand for it elsewhere.

Built from reflection's events alone: it knows neither prompts nor pictures. With `console` the one
module outside `formats/` that knows Rich, which is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from ..core.events import (
    ConfusionChosen,
    EditJudged,
    EditsTested,
    Event,
    IncumbentChanged,
    ReflectionStopped,
)
from ..io.terminal import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

_SHOWN = 4


@dataclass
class Stage:
    """The second stage as its events describe it; every field is text for people, "" if unknown."""

    incumbent: str = ""
    confusion: str = ""
    testing: str = ""
    last: str = ""

    def heard(self, event: Event) -> str:
        """Take an event in; the line that stands for it where nothing can be drawn, or ""."""
        match event:
            case ConfusionChosen():
                count, share = len(event.cases), 100 * event.weight
                examples = "1 example" if count == 1 else f"{count} examples"
                self.confusion = f"{event.confusion} ({examples}, {share:.0f} % of the loss)"
            case EditsTested():
                self.testing = _edits(event.edits)
                return f"Working on {self.confusion or event.confusion}: {self.testing} under test."
            case EditJudged():
                self.last = _judged(event)
                return f"  {self.last}" if event.state != "rejected" else ""
            case IncumbentChanged():
                self.incumbent = f"{event.strategy}, {100 * event.value:.1f} %"
            case ReflectionStopped():
                self.confusion = self.testing = self.last = ""
        return ""

    def rows(self) -> list[tuple[str, str]]:
        """(what, text) of what is known; nothing while the search is at work."""
        if not self.confusion:
            return []
        known = (
            ("incumbent", self.incumbent),
            ("working on", self.confusion),
            ("under test", self.testing),
            ("last edit", self.last),
        )
        return [(what, one_line(text)) for what, text in known if text]


def _edits(kinds: Sequence[str]) -> str:
    """ "9 edits (question, rule, cue, words, ...)"."""
    names = list(dict.fromkeys(kinds))
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{'1 edit' if len(kinds) == 1 else f'{len(kinds)} edits'} ({shown})"


def _judged(event: EditJudged) -> str:
    value = "" if event.value is None else f", {100 * event.value:.1f} %"
    counts = f"{len(event.fixed)} fixed, {len(event.broke)} broken, p = {event.p_value:.2g}"
    return f"{event.state} {event.edit}{value} ({counts})"


def progress(stage: Stage, stream: TextIO) -> Progress:
    """A bar that shows the stage above itself as long as there is something to show."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Table
    from rich.text import Text

    class StagedProgress(Progress):
        def get_renderables(self) -> Any:
            rows = stage.rows()
            if rows:
                table = Table.grid(padding=(0, 1))
                for what, text in rows:
                    table.add_row(Text(what, style="dim"), Text(text, overflow="ellipsis"))
                yield table
            yield self.make_tasks_table(self.tasks)

    return StagedProgress(
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}", markup=False),
        TextColumn("{task.fields[what]}", markup=False, style="dim"),
        console=Console(file=stream, stderr=True),
        transient=True,
        refresh_per_second=4,
    )
