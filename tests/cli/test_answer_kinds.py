"""Tasks whose answers are written, from `init` to `predict`, on the scripted engine."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from idealprompt_cli.core.errors import TaskError
from idealprompt_cli.task import load_task

from ..conftest import MakePicture, call

COUNT = 12


@dataclass(frozen=True)
class Case:
    """A kind: the columns of a table, what the model writes for the seed prompt and for a better
    one (of the picture with a number), and what `predict` prints for picture 0."""

    columns: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    seed: str
    better: tuple[str, ...]
    said: dict[str, Any]


def words(number: int) -> str:
    return f"{('red', 'blue', 'green')[number % 3]} cup {number}"


CASES = {
    "text": Case(
        ("caption",),
        tuple((f"A {words(n)}.",) for n in range(COUNT)),
        "a thing",
        tuple(words(n) for n in range(COUNT)),
        {"answer": "red cup 0"},
    ),
    "number": Case(
        ("answer",),
        tuple((str(1.5 * n),) for n in range(COUNT)),
        "seven",
        tuple(f"It shows {1.5 * n} bar" for n in range(COUNT)),
        {"answer": 0},
    ),
    "labels": Case(
        ("label",),
        tuple(("red; cup" if n % 2 else "red|big; cup" if n % 3 else "big",) for n in range(COUNT)),
        "big: yes, cup: no, red: no",
        tuple(
            "big: no, cup: yes, red: yes" if n % 2 else
            "big: yes, cup: yes, red: yes" if n % 3 else "big: yes, cup: no, red: no"
            for n in range(COUNT)
        ),
        {"labels": ["big"]},
    ),
    "json": Case(
        ("colour", "number"),
        tuple((words(n).split()[0], str(n)) for n in range(COUNT)),
        '{"colour": "red", "number": 0}',
        tuple(json.dumps({"colour": words(n).split()[0], "number": n}) for n in range(COUNT)),
        {"answer": {"colour": "red", "number": 0}},
    ),
}  # fmt: skip


@pytest.fixture(params=CASES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def task(kind: str, tmp_path: Path, make_picture: MakePicture, monkeypatch: Any) -> Path:
    """A task folder made by `init` from a table, and a scripted model beside it."""
    monkeypatch.chdir(tmp_path)
    case = CASES[kind]
    with Path("table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *case.columns])
        for number, cells in enumerate(case.answers):
            make_picture(tmp_path / f"p{number:02}.png", number)
            writer.writerow([f"p{number:02}.png", *cells])
    hints = [word for name in case.columns for word in ("--label-column", name)]
    result = call("init", "task", "--from", "table.csv", *hints)
    assert result.exit_code == 0, result.stderr
    rules = [{"image": f"p{n:02}", "when": "briefly", "text": t} for n, t in enumerate(case.better)]
    script = {"name": "writer", "rules": rules, "default": {"text": case.seed}}
    Path("model.yaml").write_text(yaml.safe_dump(script))
    return Path("task")


def test_init_tells_the_kind(kind: str, task: Path) -> None:
    settings = yaml.safe_load((task / "task.yaml").read_text())
    assert settings["answer"] == kind
    loaded = load_task(task)
    assert (loaded.answer, loaded.labels) == (kind, ())
    assert len(loaded.train) + len(loaded.test) == COUNT
    if kind == "labels":
        assert loaded.answer_schema.options == ("big", "cup", "red")
    if kind == "json":
        assert settings["fields"] == {"colour": "text", "number": "integer"}
        assert (task / "metadata.csv").read_text().startswith("file_name,colour,number\n")
    result = call("init", "again", "--from", "table.csv", "--answer", "label", "--dry-run")
    assert result.exit_code in (0, 1)


def test_search_eval_predict_report(kind: str, task: Path) -> None:
    case = CASES[kind]
    chosen = ("--strategy", "output_format", "--strategy", "cues")
    result = call("search", task, "-m", "model.yaml", "-o", "p.yaml", "--run-dir", "run", *chosen)
    assert result.exit_code == 0, result.stderr
    data = yaml.safe_load(Path("p.yaml").read_text())
    assert data["scores"]["winner"]["test"]["value"] == 1.0
    assert data["scores"]["baseline"]["test"]["value"] < 0.7
    assert "briefly" in data["prompt"]["output_format"]
    again = call(
        "eval", "p.yaml", task, "--use", "winner", "--against", "baseline", "--jsonl", "out.jsonl"
    )
    assert again.exit_code == 0, again.stderr
    assert "100.0 %" in again.stdout
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert all(line["predicted"] == line["gold"] or kind == "text" for line in lines)
    found = json.loads(call("eval", "p.yaml", task, "--use", "baseline", "--json").stdout)
    assert found["worst"]
    assert found["per_example"]["tokens"] > 0
    (task / "task.yaml").rename(task / "kept")
    (task / "task.yaml").write_text("question: What?\nlabels: [x, y]\n")
    (task / "metadata.csv").rename(task / "kept.csv")
    rows = [f"{path.relative_to(task)},{'xy'[n % 2]}\n" for n, path in enumerate(
        sorted((task / "pictures").iterdir()))]  # fmt: skip
    (task / "metadata.csv").write_text("file_name,label\n" + "".join(rows))
    other = call("eval", "p.yaml", task, "--use", "winner")
    assert other.exit_code == 1
    assert "asks for x, y: use a prompt that was made for this task" in other.stderr
    (task / "kept").rename(task / "task.yaml")
    (task / "kept.csv").rename(task / "metadata.csv")
    if kind == "json":
        assert found["per_field"]["number"]["share"] < 1.0
        assert "field" in again.stdout
    if kind == "labels":
        assert found["per_label"]["big"]["recall"] == 1.0
    answer = json.loads(call("predict", "p.yaml", "--use", "winner", "p00.png").stdout)
    assert answer.pop("seconds") >= 0
    assert answer == {"image": "p00.png", **case.said}
    unsure = json.loads(
        call("predict", "p.yaml", "--use", "winner", "p00.png", "--min-probability", "0.9").stdout
    )
    key, value = next(iter(case.said.items()))
    assert (unsure[key], unsure["best"], unsure["abstained"]) == ("abstained", value, True)
    assert call("report", "run", "-o", "report.html", "-q").exit_code == 0
    assert call("report", "run", "--text").exit_code == 0


def test_reflection_runs(kind: str, task: Path) -> None:
    result = call("search", task, "-m", "model.yaml", "-o", "p.yaml", "--reflect", "-q")
    assert result.exit_code == 0, result.stderr
    assert call("reflect", "p.yaml", task, "--dry-run", "-m", "model.yaml").exit_code == 0


def test_a_metric_that_does_not_go_with_the_answers(kind: str, task: Path) -> None:
    result = call("search", task, "-m", "model.yaml", "--metric", "macro_f1")
    assert result.exit_code == 2
    assert f"metric macro_f1 does not go with answer: {kind} of task: take " in result.stderr


def test_a_metric_of_ones_own(kind: str, task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine_own.py").write_text("def half(said, right):\n    return 0.5\n")
    words = ("search", task, "-m", "model.yaml", "-q", "-o", "p.yaml", "--strategy", "cues")
    result = call(*words, "--metric", "mine_own:half")
    assert result.exit_code == 0, result.stderr
    found = json.loads(call("eval", "p.yaml", task, "--metric", "mine_own:half", "--json").stdout)
    assert (found["metric"], found["value"]) == ("mine_own:half", 0.5)
    text = (task / "task.yaml").read_text().split("metric:")[0]
    (task / "task.yaml").write_text(f"{text}metric: mine_own:half\n")
    refused = call(*words)
    assert refused.exit_code == 1
    assert "a task.yaml cannot name code; use --metric mine_own:half" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "row", "problem"),
    [
        ("answer: number", '"answer": "many"', "'many' is no number: write it in figures"),
        ("answer: json", '"answer": "x"', "is no JSON object: write"),
        (
            "answer: json\nfields: {a: number}",
            '"answer": {"a": "x"}',
            "a is 'x': should be a number",
        ),
        ("answer: labels\nlabels: [a, b]", '"answer": ["c"]', "'c' is none of the labels a, b"),
        ("answer: labels\nlabels: ['a;b', c]", '"answer": ["c"]', "'a;b': no , ; | or [ and no"),
        ("answer: text", '"answer": "a\\nb"', "has several lines (2): an answer has at most 1"),
        ("fields: {a: text}", '"answer": "x"', "fields: are for answer: json"),
        ("answer: json\nfields: {a: tekst}", '"answer": {}', "a: is 'tekst': should be text"),
        ("answer: text\nmax_tokens: 0.5", '"answer": "x"', "max_tokens: is '0.5'"),
        ("answer: text\nmax_tokens: 5000", '"answer": "x"', "should lie between 1 and 1024"),
        ("max_tokens: 5", '"answer": "x"', "max_tokens: is for answers that are written"),
        ("answer: text\nlabels: [a, b]", '"answer": "x"', "labels: do not go with answer: text"),
    ],
)
def test_errors_in_the_folder(
    settings: str, row: str, problem: str, tmp_path: Path, make_picture: MakePicture
) -> None:
    rows = []
    for number in range(4):
        make_picture(tmp_path / f"{number}.png", number)
        rows.append(f'{{"file_name": "{number}.png", {row}}}\n')
    (tmp_path / "metadata.jsonl").write_text("".join(rows))
    (tmp_path / "task.yaml").write_text(f"question: What?\n{settings}\n")
    with pytest.raises(TaskError) as error:
        load_task(tmp_path)
    assert problem in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
