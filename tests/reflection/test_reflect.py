"""Whole reflections on a pretend model: they gain where there is something to gain, and only
there; they resume, stop and never peek."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.artifact import dump, from_run, load
from idealprompt_cli.core.errors import Interrupted, UsageError
from idealprompt_cli.core.events import ConfusionChosen, EditJudged, Event, ReflectionStopped
from idealprompt_cli.core.prompt import FieldText, LabelText, Prompt
from idealprompt_cli.core.results import RunResult, Trial
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.questions import QUESTIONS
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.prompts.serialisation import to_dict
from idealprompt_cli.prompts.validation import copies, fit_phrase
from idealprompt_cli.reflection import Settings, Start, diagnose, from_prompt, from_search, reflect
from idealprompt_cli.reflection.acceptance import ALPHA
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.storage.records import EditRecord
from idealprompt_cli.strategies import STRATEGIES

from ..support.fake_vlm import FakeVlm, graded_task, letters_task, picture, shop_task
from ..support.listener import Listener

TASK = shop_task()
LETTERS = letters_task(16)
METRIC = METRICS["accuracy"]
BLANK = picture(7)
DEFINED = Prompt(
    "Which code is it?",
    label_descriptions=(LabelText("K7", "striped"), LabelText("M2", "plain")),
)


class Writer:
    """A `Proposer` that finds what the prompt contains, or rambles."""

    def __init__(self, able: bool = True) -> None:
        self.able = able
        self.asked: list[str] = []
        self.grammars: list[str | None] = []

    def write(self, instruction: str, max_tokens: int = 64, grammar: str | None = None) -> str:
        self.asked.append(instruction)
        self.grammars.append(grammar)
        if not self.able:
            return "a nice picture of a nice picture of"
        if "clearer question" in instruction:
            fields = "".join(f"{name}: " for name in re.findall(r"\{\w+\}", instruction))
            return f"{fields}Is it code K7, striped or checked, or code M2, plain or dotted?"
        first = re.split("What do the (?:pictures|texts) of ", instruction)[1].split(maxsplit=1)[0]
        return "striped or checked" if first in ("K", "K7") else "plain or dotted"


def reflected(
    task: Task = TASK,
    budget: str = "600",
    engine: FakeVlm | None = None,
    journal: Journal | None = None,
    start: Start | None = None,
    seed: int = 0,
    events: list[Event] | None = None,
    **settings: Any,
) -> RunResult:
    seeded = Prompt(task.question)
    listener = Listener(events if events is not None else [])
    context = open_context(
        task,
        engine or FakeVlm(),
        METRIC,
        Budget.parse(budget),
        journal=journal,
        observer=listener,
        seed=seed,
    )
    chosen = Settings(**{"blank": BLANK, **settings})
    return reflect(context, start or from_prompt(seeded, seeded), chosen)


def judged(found: RunResult) -> RunResult:
    return held_out_test(found, Evaluator(MeteredEngine(FakeVlm()), found.task, METRIC))


def timeless(result: RunResult) -> str:
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def relabelled(task: Task, seed: int) -> Task:
    """Shuffled labels: there is nothing to find."""

    def mixed(examples: Any, salt: str) -> Any:
        labels = [example.answer for example in examples]
        random.Random(f"{seed} {salt}").shuffle(labels)
        return tuple(replace(e, answer=x) for e, x in zip(examples, labels, strict=True))

    return replace(task, train=mixed(task.train, "train"), test=mixed(task.test, "test"))


# --- gains ----------------------------------------------------------------------------------------


def test_reflection_beats_the_seed_prompt_on_held_out_pictures() -> None:
    result = judged(reflected())
    assert result.test is not None
    assert result.test.winner.value > 0.9 > 0.75 > result.test.baseline.value
    assert result.recommended == "winner"


def test_it_goes_on_from_a_search() -> None:
    task = graded_task()
    pool = (STRATEGIES["role"], STRATEGIES["label_descriptions"])
    context = open_context(task, FakeVlm(), METRIC, Budget.parse("150"))
    found = search(context, SearchSettings(pool))
    assert context.account.spent == found.cost
    context.account.budget = Budget.parse("700")
    result = reflect(context, from_search(found), Settings(QUESTIONS, BLANK))
    assert result.trials[: len(found.trials)] == found.trials
    assert result.cost.evaluations <= 700
    assert result.selection.winner.value > found.selection.winner.value
    trail = [step.strategy for step in from_run(result).trail]
    assert trail[0] == "seed"
    assert trail[-1].startswith("reflect ")


def test_an_accepted_edit_says_what_it_changed_fixed_and_broke() -> None:
    result = reflected()
    first = from_run(result).trail[1]
    assert first.edit is not None
    assert {change.part for change in first.edit.changes} & {"question", "label_descriptions"}
    assert first.edit.p_value <= first.edit.level <= ALPHA
    before = {o.example_id: o.score for o in result.selection.baseline.outcomes}
    trial = next(t for t in result.trials if t.edit is not None and t.note == first.note)
    assert trial.evaluation is not None
    after = {o.example_id: o.score for o in trial.evaluation.outcomes}
    assert set(first.edit.fixed) == {i for i in after if after[i] > before[i]}
    assert set(first.edit.broke) == {i for i in after if after[i] < before[i]}
    again = load(dump(from_run(result)), "file").trail[1].edit
    assert again is not None
    assert again.fixed == first.edit.fixed


@pytest.mark.parametrize("question", [LETTERS.question, 'Which code has "{letter}"?', "{letter}"])
def test_no_edit_loses_a_field_or_quotes_one(question: str) -> None:
    task = replace(LETTERS, question=question)
    engine = FakeVlm()
    result = reflected(task, engine=engine, proposer=Writer(), patience=9)
    said = [text for example in task.train for text in example.fields.values()]
    assert len(result.trials) > 3
    for trial in result.trials:
        content = render(trial.prompt, task.labels, 0, {"letter": "HERE"})[-1].content
        assert content.count(FieldText("HERE")) == 1
        assert not copies(str(to_dict(trial.prompt)), said)
        assert question != "{letter}" or trial.prompt.question == question
    assert not any(re.search("picture|image", str(r.messages)) for r in engine.generated)


def test_reflection_gains_on_texts() -> None:
    tested = judged(reflected(LETTERS))
    assert tested.test is not None
    assert tested.test.winner.value > 0.8 > 0.6 > tested.test.baseline.value


# --- honesty --------------------------------------------------------------------------------------


def test_random_labels_claim_no_gain() -> None:
    claims = 0
    for seed in range(3):
        result = judged(reflected(relabelled(TASK, seed), seed=seed))
        claims += result.recommended == "winner"
        untested = judged(reflected(replace(relabelled(TASK, seed), test=())))
        claims += untested.recommended == "winner"
    assert claims == 0


def test_the_examples_that_inspired_an_edit_do_not_test_it() -> None:
    writer, events = Writer(), list[Event]()
    reflected(proposer=writer, events=events)
    edits = [e for e in events if isinstance(e, EditJudged) and "written" in e.edit]
    assert {event.edit for event in edits} == {"written-definitions", "written-question"}
    assert len([asked for asked in writer.asked if "clearer question" in asked]) <= 3
    assert all(writer.grammars)
    for edit in edits:
        assert edit.inspired_by
        assert edit.scored_on <= len(TASK.train) - len(edit.inspired_by)


def test_a_proposer_that_rambles_is_asked_once() -> None:
    writer = Writer(able=False)
    reflected(relabelled(TASK, 1), proposer=writer)
    assert len(writer.asked) == 1


def test_what_a_proposer_writes_is_checked() -> None:
    said = ["a large red striped mug on a table", "a cup"]
    assert fit_phrase("striped or checked", ("K7", "M2"), said)
    for text in ("", "K7 items", "a large red striped mug", "no no no no", "one " * 9, "42"):
        assert not fit_phrase(text, ("K7", "M2"), said)


def test_the_test_split_is_not_looked_at() -> None:
    engine = FakeVlm()
    reflected(engine=engine)
    held_out = {path for example in TASK.test for path in example.images}
    shown = [r.images for r in engine.scored] + [r.images for r in engine.generated]
    assert shown
    assert not held_out & {path for images in shown for path in images}


def test_a_rejected_edit_is_not_tried_again() -> None:
    tried: list[str] = []
    journal = Journal.memory()
    reflected(graded_task(), "1500", journal=journal, patience=5)
    for record in journal.records(EditRecord):
        assert record.key not in tried
        if record.edit.state == "rejected":
            tried.append(record.key)
    assert len(tried) > 5


# --- stops and resumption -------------------------------------------------------------------------


@pytest.mark.parametrize("budget", ["20", "60", "100", "150", "300", "2ktok"])
def test_the_budget_is_kept(budget: str) -> None:
    result = reflected(relabelled(TASK, 1), budget)
    assert Budget.parse(budget).fraction(result.cost) <= 1.0
    assert result.stop in ("evaluations", "tokens", "exhausted", "patience")


def test_the_reason_to_stop() -> None:
    events: list[Event] = []
    assert reflected(events=events).stop == "settled"
    (stopped,) = [event for event in events if isinstance(event, ReflectionStopped)]
    assert stopped.why == "no confusion is left open"
    assert reflected(relabelled(graded_task(), 1), "2000", patience=9).stop == "exhausted"
    assert reflected(relabelled(graded_task(), 2), "2000", patience=1).stop == "patience"


def test_a_budget_below_the_start_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="does not cover the prompt to start from"):
        reflected(budget="15")
    with pytest.raises(UsageError, match="no training examples"):
        reflected(replace(TASK, train=()))


@pytest.mark.parametrize("broken_at", [0, 1, 2, 5, 8])
def test_a_broken_run_resumes_to_the_same_result(tmp_path: Path, broken_at: int) -> None:
    task, engine = relabelled(TASK, 3), FakeVlm()
    whole = Journal.memory()
    unbroken = reflected(task, "400", engine, whole)
    header = header_for(task, engine.info(), 0)
    first, second = FakeVlm(fail_after=broken_at), FakeVlm()
    with Journal.create(tmp_path, header) as journal, pytest.raises(Interrupted):
        reflected(task, "400", first, journal)
    with Journal.resume(tmp_path, header) as journal:
        resumed = reflected(task, "400", second, journal)
        edits = journal.records(EditRecord)
    assert timeless(resumed) == timeless(unbroken)
    assert first.requests + second.requests == engine.requests
    assert edits == whole.records(EditRecord)


def test_equal_seeds_give_equal_runs() -> None:
    assert timeless(reflected(seed=4)) == timeless(reflected(seed=4))


# --- a person, and a look without consequences ----------------------------------------------------


def test_a_person_can_refuse_and_change() -> None:
    seen: list[Trial] = []

    def refuse(trial: Trial, before: Prompt) -> Prompt | None:
        seen.append(trial)
        return None

    result = reflected(review=refuse)
    assert seen
    assert result.winner == result.baseline

    by_hand = Prompt("What pattern is it?")
    change: Callable[[Trial, Prompt], Prompt | None] = lambda trial, before: by_hand  # noqa: E731
    result = reflected(review=change, patience=1)
    assert any(trial.strategy == "reflect by_hand" for trial in result.trials)
    assert any(trial.prompt == by_hand for trial in result.trials)


def test_a_person_is_asked_once_however_often_a_run_breaks(tmp_path: Path) -> None:
    asked: list[str] = []

    def change(trial: Trial, before: Prompt) -> Prompt | None:
        asked.append(trial.strategy)
        return None if len(asked) == 1 else replace(trial.prompt, role="You see goods.")

    engine, whole = FakeVlm(), Journal.memory()
    unbroken = reflected(engine=engine, journal=whole, review=change)
    first, header = list(asked), header_for(TASK, engine.info(), 0)
    assert len(first) > 1
    asked.clear()
    with Journal.create(tmp_path, header) as journal:
        for answered in range(1, len(first)):

            def leave(trial: Trial, before: Prompt, answered: int = answered) -> Prompt | None:
                if len(asked) == answered:
                    raise KeyboardInterrupt
                return change(trial, before)

            with pytest.raises(Interrupted):
                reflected(engine=FakeVlm(), journal=journal, review=leave)
        resumed = reflected(engine=FakeVlm(), journal=journal, review=change)
    assert asked == first
    assert timeless(resumed) == timeless(unbroken)


def test_what_was_looked_at_is_in_the_journal_once(tmp_path: Path) -> None:
    header = header_for(TASK, FakeVlm().info(), 0)
    events: list[Event] = []
    with Journal.create(tmp_path, header) as journal:
        reflected(journal=journal, events=events)
    with Journal.resume(tmp_path, header) as journal:
        reflected(journal=journal)
        kept = journal.records(ConfusionChosen)
    reported = [event for event in events if isinstance(event, ConfusionChosen)]
    assert kept
    assert kept == list(dict.fromkeys(reported))


def test_a_diagnosis_changes_nothing() -> None:
    context = open_context(TASK, FakeVlm(), METRIC, Budget.parse("600"))
    start = from_prompt(Prompt(TASK.question), DEFINED)
    found = diagnose(context, start, Settings(QUESTIONS, BLANK))
    assert found.value < 1.0
    assert [c.consequence for c in found.cases] == sorted(
        (c.consequence for c in found.cases), reverse=True
    )
    assert all(case.reason for case in found.cases)
    assert {p.kind for p in found.proposals} >= {"calibration-labels", "question"}
    assert all(found.changes(p) for p in found.proposals)
    assert set(found.said) == {case.example_id for case in found.cases}


def test_free_text_tasks_pass_through() -> None:
    task = replace(TASK, answer="text", labels=(), metric="exact_match")
    result = reflected(task, "300")
    assert result.cost.evaluations <= 300
    assert result.stop in ("exhausted", "patience", "evaluations")
