"""Messages and progress: lines elsewhere, a bar on a terminal, silence when asked."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from idealprompt_cli.core.events import (
    Announced,
    ConfusionChosen,
    EditJudged,
    EditsTested,
    Event,
    FailureCase,
    Finished,
    HeldOutFinished,
    HeldOutProgress,
    HeldOutStarted,
    IncumbentChanged,
    Progress,
    ReflectionStopped,
    SilentObserver,
    Started,
    TrialDone,
    Trying,
)
from idealprompt_cli.ui.console import Console, screen_of
from idealprompt_cli.ui.formats import Screen
from idealprompt_cli.ui.pace import Pace, duration
from idealprompt_cli.ui.progress import LineObserver
from idealprompt_cli.ui.reflection_view import Stage

from ..support.factories import model, run_result, task

TRIALS = run_result().trials


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = Console(stream=stream).observer(clock)
    observer.notify(Started(task(), model(), "The plan."))
    for step in range(1, 151):
        clock.now += 0.2
        observer.notify(TrialDone(TRIALS[3], TRIALS[3], "5/300 evaluations", step / 300))
    observer.notify(Announced("A notice."))
    observer.notify(Finished("Stopped: done."))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("Task codes: 3 labels, 6 training and 9 held-out examples. Model t")
    assert lines[1] == "The plan."
    assert lines[-2:] == ["A notice.", "Stopped: done."]
    progress = lines[2:-2]
    assert len(progress) in (2, 3)
    assert re.fullmatch(
        r"  5[01] prompts tried, 5/300 evaluations, best 83.3 %, up to about 50 s left", progress[0]
    )


def test_lines_come_without_trials_too() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = LineObserver(Console(stream=stream), clock)
    observer.tick()
    clock.now = 11.0
    observer.tick()
    observer.tick()
    clock.now = 130.0
    observer.notify(TrialDone(TRIALS[0], TRIALS[0], "12/300 evaluations", 0.04))
    clock.now = 190.0
    observer.notify(TrialDone(TRIALS[1], TRIALS[1], "24/300 evaluations", 0.08))
    clock.now = 201.0
    observer.tick()
    observer.stop()
    clock.now = 300.0
    observer.tick()
    assert stream.getvalue().splitlines() == [
        "  scoring the seed prompt for 10 s",
        "  1 prompt tried, 12/300 evaluations, best 33.3 %",
        "  2 prompts tried, 24/300 evaluations, best 50.0 %, up to about 23 min left",
        "  2 prompts tried, 24/300 evaluations, best 50.0 %, up to about 27 min left",
    ]


def test_durations() -> None:
    shown = [duration(seconds) for seconds in (0, 12, 89, 91, 5000, 9000)]
    assert shown == ["5 s", "10 s", "90 s", "2 min", "83 min", "2.5 h"]


def test_verbose_shows_every_trial() -> None:
    stream = io.StringIO()
    observer = Console(1, stream).observer()
    for trial in TRIALS:
        observer.notify(TrialDone(trial, TRIALS[0], "", 0.0))
    assert stream.getvalue().splitlines()[:3] == [
        "  #0 seed 33.3 %",
        "  #1 rephrase 50.0 %: politer: why not",
        "  #2 role 25.0 % (pruned): a role",
    ]


def test_quiet_is_silent() -> None:
    stream = Terminal()
    console = Console(-1, stream)
    assert isinstance(console.observer(), SilentObserver)
    console.say("nothing")
    assert stream.getvalue() == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = Console(stream=stream)
    observer = console.observer()
    observer.notify(Started(task(), model(), "The plan."))
    for trial in TRIALS:
        observer.notify(TrialDone(trial, TRIALS[3], "5/300 evaluations", 1.0))
    observer.notify(Announced("A [bold]notice[/bold]."))
    observer.notify(Finished("Stopped: done."))
    console.close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "best 83.3 %" in text
    assert "100%" not in text, "full before it is done"
    assert "A [bold]notice[/bold]." in text
    assert text.rstrip().endswith("Stopped: done.")


def test_no_bar_on_a_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    console = Console(stream=(stream := Terminal()))
    console.observer().notify(Started(task(), model(), "The plan."))
    console.close()
    assert "\x1b" not in stream.getvalue()
    assert "The plan." in stream.getvalue()


def test_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert screen_of(Terminal()).colour
    assert not screen_of(io.StringIO()).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not screen_of(Terminal()).colour


def test_a_dumb_terminal_has_columns_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    for term, colour in (("dumb", False), ("xterm", True)):
        monkeypatch.setenv("TERM", term)
        assert screen_of(Terminal()) == Screen(60, colour)
    assert screen_of(io.StringIO()).width == 100


def test_what_is_tried_and_answers_in_the_midst_of_it() -> None:
    stream, clock = io.StringIO(), Clock()
    observer = LineObserver(Console(stream=stream), clock)
    observer.notify(Progress("8/300 evaluations", 8 / 300))
    clock.now = 11.0
    observer.tick()
    observer.notify(TrialDone(TRIALS[0], TRIALS[0], "12/300 evaluations", 0.04))
    observer.notify(Trying("reask on #0"))
    clock.now = 31.0
    observer.notify(Progress("20/300 evaluations", 20 / 300))
    observer.tick()
    assert stream.getvalue().splitlines() == [
        "  scoring the seed prompt for 10 s, 8/300 evaluations",
        "  1 prompt tried, 20/300 evaluations, best 33.3 %, now reask on #0, "
        "up to about 12 min left",
    ]


def test_the_time_left_follows_the_speed_of_the_last_minutes() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(0.0)
    for step in range(1, 21):  # slow at first: new pictures
        clock.now += 60
        pace.note(step / 1000)
    assert pace.left() == ", about 16.3 h left"
    for step in range(1, 61):  # then a hundred times as fast
        clock.now += 6
        pace.note(0.02 + step / 100)
    assert pace.left() == ", about 4 min left"


def test_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(), io.StringIO()
    with Console(stream=stream).counting("test images", 40, clock) as add:
        clock.now = 5.0
        add(8)
        clock.now = 60.0
        add(2)
        counter = getattr(add, "__self__")  # noqa: B009
        counter.tick()
        counter.tick()
    assert stream.getvalue() == "  test images: 10 of 40 answers, about 3 min left\n"
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    console = Console(stream=terminal)
    with console.counting("test images", 4) as add:
        add(4)
        console.write("A notice.")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "A notice." in shown
    assert "100%" not in shown, "full before it is done"
    with Console(-1, stream).counting("test images", 4) as add:
        add(4)


def test_the_held_out_test_is_counted() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    observer = console.observer(Clock())
    for event in (HeldOutStarted(20, 40), HeldOutProgress(8), HeldOutFinished()):
        observer.notify(event)
    console.close()
    assert stream.getvalue().startswith("Now both prompts on the 20 held-out examples.")


# --- reflection -----------------------------------------------------------------------------------

CASE = FailureCase("e", 0.1, 0.2, "A as B")
JUDGED = EditJudged("cue", "rejected", "", "A as B", (), 8, 0.875, 0.1, 0.0123, 0.5, ("x", "y"), ())
EVENTS: tuple[Event, ...] = (
    ConfusionChosen("A as B", 0.61, (CASE, CASE, CASE)),
    EditsTested("A as B", ("rule", "cue"), 0.5, "", 0.0),
    JUDGED,
    IncumbentChanged(4, 0.875, "reflect rule", "", 0.0),
    replace(JUDGED, edit="rule", state="accepted"),
)


def test_reflection_in_lines() -> None:
    stream = io.StringIO()
    console = Console(stream=stream)
    observer = console.observer(Clock())
    for event in EVENTS:
        observer.notify(event)
    assert stream.getvalue().splitlines() == [
        "Working on A as B (3 examples, 61 % of the loss): 2 edits (rule, cue) under test.",
        "  accepted rule, 87.5 % (2 fixed, 0 broken, p = 0.012)",
    ]


def test_reflection_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stage = Stage()
    assert stage.rows() == []
    for event in EVENTS:
        stage.heard(event)
    assert stage.rows() == [
        ("incumbent", "reflect rule, 87.5 %"),
        ("working on", "A as B (3 examples, 61 % of the loss)"),
        ("under test", "2 edits (rule, cue)"),
        ("last edit", "accepted rule, 87.5 % (2 fixed, 0 broken, p = 0.012)"),
    ]
    stream = Terminal()
    console = Console(stream=stream)
    observer = console.observer(Clock())
    observer.notify(Started(task(), model(), "The plan."))
    observer.notify(TrialDone(TRIALS[3], TRIALS[3], "5/300 evaluations", 0.02))
    for event in EVENTS:
        observer.notify(event)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "working on A as B (3 examples" in shown
    assert "accepted rule, 87.5 %" in shown
    observer.notify(Finished("Stopped."))
    stage.heard(ReflectionStopped("exhausted", "", 0))
    assert stage.rows() == []
