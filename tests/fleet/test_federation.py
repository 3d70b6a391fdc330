"""A search over boxes, with the boxes in this process: what it finds, sends and survives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.artifact import dump, load
from idealprompt_cli.core.errors import ModelError, TaskError, UsageError
from idealprompt_cli.core.prompt import Demonstration, LabelText, Prompt
from idealprompt_cli.core.task import Task
from idealprompt_cli.engines.scripted import ScriptedEngine
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.fleet.federation.box import Box, groups_of
from idealprompt_cli.fleet.federation.comm import Lost
from idealprompt_cli.fleet.federation.federation import Federation, InProcess
from idealprompt_cli.fleet.federation.privacy import Policy, Releases
from idealprompt_cli.fleet.federation.run import run_federation
from idealprompt_cli.fleet.federation.sums import sums_of
from idealprompt_cli.io.yaml import plain_data
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.serialisation import to_dict
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.runs.run import Run
from idealprompt_cli.task import load_task
from idealprompt_cli.ui.report import gather, text

from ..conftest import SCRIPT, MakeTask

NAMES = ("north", "south", "west")
CONFIG = RunConfig(budget="120", priors=False)
BETTER = Prompt("Which code?", label_descriptions=(LabelText("A", "striped"), LabelText("B", "x")))


def engine() -> ScriptedEngine:
    script = plain_data(Path(SCRIPT).read_text(encoding="utf-8"), SCRIPT, UsageError)
    return ScriptedEngine(script)


class Recording(InProcess):
    """Keeps all that travels, and loses the boxes in `lost` after so many questions."""

    def __init__(self, boxes: Mapping[str, Box], lost: Mapping[str, int] | None = None) -> None:
        super().__init__(boxes)
        object.__setattr__(self, "traffic", [])
        object.__setattr__(self, "lost", dict(lost or {}))

    traffic: list[bytes]
    lost: dict[str, int]

    def ask(self, questions: Mapping[str, bytes]) -> Mapping[str, bytes | Lost]:
        found: dict[str, bytes | Lost] = {}
        for name, data in questions.items():
            self.traffic.append(data)
            if name in self.lost:
                self.lost[name] -= 1
            if self.lost.get(name, 1) <= 0:
                found[name] = Lost("cannot be reached")
                continue
            answer = found[name] = self.boxes[name].ask(data)
            self.traffic.append(answer)
        return found

    def asked(self, operation: str) -> list[dict[str, Any]]:
        questions = [json.loads(one) for one in self.traffic]
        return [one for one in questions if one.get("op") == operation]


@pytest.fixture
def tasks(make_task: MakeTask) -> dict[str, Task]:
    return {
        name: replace(load_task(make_task(per_label=12, name=name)), fingerprint=name)
        for name in NAMES
    }


def boxes_of(tasks: Mapping[str, Task], policy: Policy | None = None) -> dict[str, Box]:
    own = policy or Policy()
    return {n: Box(t, engine(), own, Releases(None, own, f"d-{n}")) for n, t in tasks.items()}


def federation(transport: InProcess, said: list[str]) -> Federation:
    found = Federation(transport, said.append)
    found.join(list(transport.boxes))
    return found


def search(
    transport: InProcess, said: list[str], config: RunConfig = CONFIG, names: Sequence[str] = NAMES
) -> Run:
    return run_federation(federation(transport, said), names, config)


# --- what it finds --------------------------------------------------------------------------------


def test_the_common_winner_is_better_on_every_box(tasks: dict[str, Task]) -> None:
    said: list[str] = []
    made = search(Recording(boxes_of(tasks)), said)
    artifact = made.artifact
    assert artifact.recommended == "winner"
    assert artifact.scores.winner.test is not None
    assert artifact.scores.winner.test.n == sum(len(task.test) for task in tasks.values())
    assert [box.name for box in artifact.boxes] == list(NAMES)
    for box in artifact.boxes:
        assert box.winner.test is not None
        assert box.baseline.test is not None
        assert box.winner.test.value > box.baseline.test.value
    assert load(dump(artifact), "x") == artifact
    assert said == []


def test_scores_are_those_of_all_examples_together(tasks: dict[str, Task]) -> None:
    made = search(Recording(boxes_of(tasks)), [])
    for prompt, scores in (
        (made.result.baseline, made.artifact.scores.baseline),
        (made.result.winner, made.artifact.scores.winner),
    ):
        evaluations = [
            Evaluator(MeteredEngine(engine()), task, METRICS["accuracy"]).evaluate(
                prompt, task.test
            )
            for task in tasks.values()
        ]
        right = sum(o.score for one in evaluations for o in one.outcomes)
        assert scores.test is not None
        assert scores.test.value == pytest.approx(right / scores.test.n)


def test_the_same_seed_gives_the_same_result(tasks: dict[str, Task]) -> None:
    first, second = (search(Recording(boxes_of(tasks)), []) for _ in range(2))
    assert [t.prompt for t in first.result.trials] == [t.prompt for t in second.result.trials]


def test_noise_is_stated_and_widens_the_intervals(tasks: dict[str, Task]) -> None:
    policy = Policy(epsilon=30.0, prompts=60, drafts=True)
    said: list[str] = []
    made = search(Recording(boxes_of(tasks, policy)), said, replace(CONFIG, budget="60"))
    assert "boxes add noise" in made.artifact.verdict
    assert "(30, 1e-05)-differentially private for 60 prompts" in made.artifact.boxes[0].policy
    exact = search(Recording(boxes_of(tasks)), [])
    wide, narrow = made.artifact.scores.winner.test, exact.artifact.scores.winner.test
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > narrow.high - narrow.low


# --- what it sends --------------------------------------------------------------------------------


def test_no_example_leaves_a_box(make_task: MakeTask) -> None:
    """Planted secrets: names of folders and files, a text field, an answer that is no label."""
    tasks = {}
    for name in NAMES:
        folder = make_task("question: '{note} Which code?'\n", 12, f"secretfolder-{name}")
        rows = []
        for path in sorted(folder.rglob("*.png")):
            path = path.rename(path.with_name(f"patient{path.stem}doe.png"))
            note = f"Mrs Roe paid {path.stem} with card forty two eleven"
            rows.append(f"{path.relative_to(folder)},{path.parent.name},{note}")
        (folder / "metadata.csv").write_text("file_name,label,note\n" + "\n".join(rows))
        tasks[name] = load_task(folder)
    transport = Recording(boxes_of(tasks))
    search(transport, [])
    traffic = b" ".join(transport.traffic)
    assert traffic
    for secret in (b"secretfolder", b"patient", b"doe", b"Roe", b"forty", b".png", b"/A/"):
        assert secret not in traffic
    for task in tasks.values():
        for example in (*task.train, *task.test):
            assert example.id.encode() not in traffic


def test_an_answer_stays_in_two_kilobytes(tasks: dict[str, Task]) -> None:
    transport = Recording(boxes_of(tasks))
    made = search(transport, [])
    total = sum(len(one) for one in transport.traffic)
    assert total / (len(made.result.trials) * len(NAMES)) < 2048


def test_sums_are_over_groups(tasks: dict[str, Task]) -> None:
    task = tasks["north"]
    box = boxes_of(tasks)["north"]
    groups = groups_of(task.train, Policy())
    assert all(len(group.examples) >= 5 for group in groups)
    question = {"op": "measure", "prompts": [to_dict(BETTER)], "asks": [[0, "train", 0]]}
    (sums,) = json.loads(box.ask(json.dumps(question).encode()))["ok"]
    judged = Evaluator(MeteredEngine(engine()), task, METRICS["accuracy"]).judge(
        [(BETTER, example) for example in groups[0].examples]
    )
    assert tuple(sums) == sums_of([one.outcome for one in judged], task.labels)


def test_a_box_with_too_few_examples_takes_no_part(tasks: dict[str, Task]) -> None:
    boxes = boxes_of(tasks)
    boxes["west"] = Box(tasks["west"], engine(), Policy(min_group=50))
    said: list[str] = []
    found = federation(InProcess(boxes), said)
    assert list(found.boxes) == ["north", "south"]
    assert said[0].startswith("Box west has too few examples for a group (groups of 50")
    with pytest.raises(TaskError, match="no box can take part"):
        federation(InProcess({"west": boxes["west"]}), [])


def test_a_box_with_another_model_is_refused(tasks: dict[str, Task]) -> None:
    boxes = boxes_of(tasks)
    boxes["west"] = Box(tasks["west"], ScriptedEngine({"name": "other"}), Policy())
    said: list[str] = []
    assert "west" not in federation(InProcess(boxes), said).boxes
    assert said[0].startswith("Box west has another model")


def test_text_answers_are_refused(make_task: MakeTask) -> None:
    task = replace(load_task(make_task()), answer="text", labels=())
    with pytest.raises(UsageError, match="a federation needs one label"):
        Box(task, engine(), Policy())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"op":"close"}', b'{"op":"measure","prompts":[{}],"asks":[[0,"x",0]]}']
)
def test_other_questions_get_an_error(tasks: dict[str, Task], data: bytes) -> None:
    answer = json.loads(boxes_of(tasks)["north"].ask(data))
    assert "error" in answer
    assert "ok" not in answer


@pytest.mark.parametrize(
    ("prompt", "leaves"),
    [
        (BETTER, True),
        (
            Prompt("Which?", demonstrations=(Demonstration("A big striped cup on a table", "A"),)),
            False,
        ),
        (Prompt("Which?", context="As in the file 0001secret it is so"), False),
        (Prompt("Which?", context="As for number 12 it is so"), True),
    ],
)
def test_drafts_that_quote_examples_stay(
    tasks: dict[str, Task], prompt: Prompt, leaves: bool
) -> None:
    task = tasks["north"]
    first = replace(task.train[0], id="A/0001secret.png")
    task = replace(task, train=(first, *task.train[1:]))
    script = {"default": {"text": "A big striped cup on a table."}}
    box = Box(task, ScriptedEngine(script), Policy())
    evidence = ModelEvidence(MeteredEngine(ScriptedEngine(script)), task.labels, task.train)
    evidence.descriptions()
    assert box._may_leave(prompt, Prompt("Which?"), evidence) is leaves


def test_no_drafts_leave_where_the_owner_says_so(tasks: dict[str, Task]) -> None:
    transport = Recording(boxes_of(tasks, Policy(drafts=False)))
    search(transport, [])
    assert transport.asked("draft") == []
    question = {"op": "draft", "prompt": to_dict(BETTER), "strategy": "cues", "seed": 0}
    answer = json.loads(transport.boxes["north"].ask(json.dumps(question).encode()))
    assert answer["error"] == "drafted texts stay on this box"


# --- what it survives -----------------------------------------------------------------------------


def test_a_lost_box_is_left_out_and_nothing_is_paid_twice(tasks: dict[str, Task]) -> None:
    said: list[str] = []
    transport = Recording(boxes_of(tasks), lost={"west": 6})
    made = search(transport, said)
    assert said == ["Box west cannot be reached: left out, 2 boxes continue."]
    assert [box.name for box in made.artifact.boxes] == ["north", "south"]
    assert_paid_once(transport.boxes)


def assert_paid_once(boxes: Mapping[str, Box]) -> None:
    """No box's model was asked the same thing twice."""
    for box in boxes.values():
        calls = box._engine.calls  # type: ignore[attr-defined]
        assert calls
        assert len(calls) == len(set(calls))


def test_without_any_box_the_run_ends(tasks: dict[str, Task]) -> None:
    transport = Recording(boxes_of(tasks), lost=dict.fromkeys(NAMES, 5))
    with pytest.raises(ModelError, match="no box is left"):
        search(transport, [])


def test_a_restarted_coordinator_pays_nothing_again(tasks: dict[str, Task], tmp_path: Path) -> None:
    config = replace(CONFIG, run_dir=tmp_path / "run")
    boxes = boxes_of(tasks)
    first = Recording(boxes, lost=dict.fromkeys(NAMES, 9))
    with pytest.raises(ModelError):
        search(first, [], config)
    second = Recording(boxes)
    made = search(second, [], replace(config, resume=True))
    assert_paid_once(boxes)
    whole = search(Recording(boxes_of(tasks)), [])
    assert made.result.winner == whole.result.winner
    assert made.artifact.scores == whole.artifact.scores


def test_the_report_shows_every_box(tasks: dict[str, Task], tmp_path: Path) -> None:
    search(Recording(boxes_of(tasks)), [], replace(CONFIG, run_dir=tmp_path / "run"))
    shown = text(gather(str(tmp_path / "run")))
    for name in NAMES:
        assert name in shown
