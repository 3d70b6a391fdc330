"""Tables and sentences, for people at a terminal."""

from __future__ import annotations

import io
import textwrap

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...artifact import Artifact, RunCost, Score
from ...core.prompt import Message
from ...core.results import Cost, Evaluation
from ...io.terminal import printable, printable_values
from ...prompts.readability import readability
from ...prompts.rendering import calibration_text, readable
from ..drift import drift_lines
from ..front import TITLE, front_lines
from ..members import member_lines
from .base import EvalReport, Screen, Work
from .detail import say, show_comparisons, show_parts, show_worst

_PARTS = {"selection": "selection", "test": "held-out test"}
_FLATTERS = (
    "The search selected by the selection examples, so that column is optimistic for the adapted "
    "prompt; it never saw the held-out examples."
)


class TableFormat:
    """The default: scores side by side, the verdict, the prompt as it is sent, the cost."""

    name = "table"
    summary = "tables and sentences, for people"

    def run(
        self, artifact: Artifact, written: str, screen: Screen, work: Work | None = None
    ) -> str:
        artifact = printable_values(artifact)
        console = _console(screen)
        console.print(_scores(artifact, screen.width))
        if artifact.scores.winner.test:
            for line in textwrap.wrap(_FLATTERS, min(screen.width, 72)):
                say(console, line)
        _heading(console, artifact.verdict)
        _recommended(console, artifact)
        _heading(console, "The adapted prompt, as the model gets it:")
        _messages(console, artifact.messages)
        _words(console, artifact)
        if artifact.prompt.calibration:
            say(console, calibration_text(artifact.prompt))
        say(console, readability(artifact.prompt, artifact.labels).describe())
        if artifact.committee is not None:
            _heading(console, f"The {artifact.committee.name} (--use committee):")
            for line in member_lines(artifact.committee):
                console.print(Padding(Text(line), (0, 0, 0, 2)))
        if artifact.front:
            _heading(console, f"{TITLE} (--prefer short: the cheapest that is not clearly worse):")
            for line in front_lines(artifact):
                console.print(Padding(Text(line), (0, 0, 0, 2)))
        console.print()
        if written:
            say(console, printable(f"Written to {written}"))
        say(console, f"Cost: {_cost(artifact.cost)}; stopped because {artifact.stopped_because}.")
        if work and work.get("tokens_saved", 0) > 0:
            say(console, _saving(work))
        return _finish(console)

    def evaluation(self, report: EvalReport, screen: Screen) -> str:
        report = printable_values(report)
        console = _console(screen)
        evaluation = report.evaluation
        score = Score(
            evaluation.metric,
            evaluation.value,
            evaluation.interval.low,
            evaluation.interval.high,
            evaluation.n,
        )
        _heading(
            console,
            f"{report.task.name}: {evaluation.metric} of the {report.which} prompt on "
            f"{evaluation.n} {report.split} examples: {_percent(score)}",
        )
        if report.recorded is not None:
            say(console, f"The artifact recorded {100 * report.recorded:.1f} %.")
        show_parts(console, report)
        show_comparisons(console, report)
        show_worst(console, report)
        say(console, f"Cost: {_cost(evaluation.cost)}, {_each(evaluation)}")
        for line in drift_lines(report.drift) if report.drift else ():
            say(console, line)
        return _finish(console)


def _recommended(console: Console, artifact: Artifact) -> None:
    """What eval and predict use, where that is not the adapted prompt."""
    if artifact.recommended == "baseline":
        say(
            console,
            f"Recommended: the {artifact.baseline_name}, which eval and predict use unless "
            "--use winner is given.",
        )
    elif artifact.recommended == "committee" and artifact.committee is not None:
        say(
            console,
            f"Recommended: the {artifact.committee.name}, which eval and predict use unless "
            f"--use winner is given; an answer takes {artifact.committee.price}.",
        )


def _saving(work: Work) -> str:
    """What sharing spared, in tokens."""
    asked, computed = work["tokens_without_sharing"], work["tokens"]
    return (
        f"Of {asked:,.0f} tokens asked for {computed:,.0f} were computed: "
        f"{100 * (1 - computed / asked):.0f} % saved by shared prefixes."
    )


def _console(screen: Screen) -> Console:
    return Console(
        file=io.StringIO(),
        width=screen.width,
        force_terminal=screen.colour,
        no_color=not screen.colour,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _finish(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().split("\n"))


def _heading(console: Console, text: str) -> None:
    console.print()
    say(console, text, "bold")


def _scores(artifact: Artifact, width: int) -> Table:
    """A row for each prompt; where the screen is narrow, figures and intervals on two lines."""
    wide = _score_table(artifact, " ", "  ")
    fits = Console(file=io.StringIO(), width=1000).measure(wide).maximum <= width
    return wide if fits else _score_table(artifact, "\n", "\n")


def _score_table(artifact: Artifact, blank: str, gap: str) -> Table:
    """`blank` is put between the words of a heading, `gap` between a figure and its interval. The
    number of examples is in the heading, or in each cell where the rows differ."""
    rows, winner = artifact.score_rows, artifact.scores.winner
    alike = [
        len({getattr(row, part).n for _, row in rows if getattr(row, part)}) == 1 for part in _PARTS
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(f"{artifact.task.name}:{blank}{winner.selection.metric}")
    for name, score, same in zip(
        _PARTS.values(), (winner.selection, winner.test), alike, strict=True
    ):
        if score:
            count = f"{blank}({score.n} examples)" if same else ""
            table.add_column(f"{name}{count}", no_wrap=True)
    for name, scores in rows:
        style = "bold" if scores is winner else ""
        cells = [
            _percent(score, gap) + ("" if same else f"{gap}n {score.n}")
            for score, same in zip((scores.selection, scores.test), alike, strict=True)
            if score
        ]
        table.add_row(Text(name, style=style), *cells)
    return table


def _percent(score: Score, gap: str = "  ") -> str:
    return f"{100 * score.value:5.1f} %{gap}[{100 * score.low:.1f}, {100 * score.high:.1f}]"


def _messages(console: Console, messages: tuple[Message, ...]) -> None:
    for message in messages:
        text = Text.assemble((f"{message.role}: ", "dim"), readable(message))
        console.print(Padding(text, (0, 0, 0, 2)))


def _words(console: Console, artifact: Artifact) -> None:
    """The mapping from the model's words to labels, where they are not the same."""
    if not artifact.prompt.verbalisers:
        return
    _heading(console, "Its words stand for the labels:")
    for verbaliser in artifact.prompt.verbalisers:
        words = ", ".join(verbaliser.words)
        console.print(Padding(Text(f"{words} = {verbaliser.label}"), (0, 0, 0, 2)))


def _cost(cost: Cost | RunCost) -> str:
    return f"{cost.evaluations:,} evaluations, {cost.tokens:,} tokens, {cost.seconds:.1f} seconds"


def _each(evaluation: Evaluation) -> str:
    """Per example; answers that were known already cost nothing."""
    n, cost = max(1, evaluation.cost.evaluations), evaluation.cost
    return f"{1000 * cost.seconds / n:.0f} ms and {cost.tokens / n:.0f} tokens per example"
