"""Examples with text fields, without pictures, and with several accepted answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import IdealPromptError
from idealprompt_cli.task import load_task

from ..conftest import MakePicture


def make(folder: Path, settings: str, table: str, pictures: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "task.yaml").write_text(settings, encoding="utf-8")
    name = "metadata.jsonl" if table.startswith("{") else "metadata.csv"
    (folder / name).write_text(table, encoding="utf-8")
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(IdealPromptError) as caught:
        load_task(folder)
    return str(caught.value).replace(str(folder), "DIR")


TEXTS = "text,label\n" + "".join(f"text {n},{'AB'[n % 2]}\n" for n in range(10))


def test_a_task_of_texts_alone(tmp_path: Path) -> None:
    heard: list[str] = []
    task = load_task(
        make(tmp_path / "t", "question: '{text} - A or B?'\n", TEXTS), notify=heard.append
    )
    assert (task.fields, task.labels, heard) == (("text",), ("A", "B"), [])
    assert (len(task.train), len(task.test)) == (6, 4)
    example = next(one for one in (*task.train, *task.test) if one.fields["text"] == "text 3")
    assert (example.id, example.images, example.answer) == ("line-000005", (), "B")
    assert example.source.endswith("metadata.csv:5")


def test_pictures_with_texts_and_without(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(3):
        make_picture(tmp_path / "t" / f"{number}.png", number)
    table = "file_name,Title,label\n0.png,a,x\n1.png,,y\n2.png,c,x\n,d,y\n0.png,e,y\n"
    heard: list[str] = []
    folder = make(tmp_path / "t", "question: '{Title}?'\ntest_fraction: 0\n", table)
    task = load_task(folder, notify=heard.append)
    assert [(one.id, one.fields["Title"], len(one.images)) for one in task.train] == [
        ("line-000005", "d", 0),
        ("0.png#2", "a", 1),
        ("0.png#6", "e", 1),
        ("1.png", "", 1),
        ("2.png", "c", 1),
    ]
    assert heard == ["{Title} is empty in 1 of 5 examples.", "1 of 5 examples have no image."]


def test_a_question_for_each_row(tmp_path: Path) -> None:
    rows = [{"question": f"Is it {n}?", "answers": ["yes", "Yes"]} for n in range(4)]
    table = "\n".join(json.dumps(row) for row in rows)
    task = load_task(make(tmp_path / "t", "question: '{question}'\nanswer: text\n", table))
    assert task.question == "{question}"
    assert task.train[0].fields == {"question": "Is it 0?"}
    assert (task.train[0].answer, task.train[0].accepted) == ("yes", ("Yes",))
    assert task.train[0].answers == ("yes", "Yes")


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ("{titel}?", ":1: the question refers to {titel}, which is none of the columns text, la"),
        ("{txet}?", "did you mean {text}?"),
        ("{}?", "task.yaml:1: question: has a '{}' that names no field: double braces that are"),
        ("{text", "task.yaml:1: question: has a '{' that names no field"),
        ('as JSON: {{"a": {text}}', "has a '}' that names no field"),
        ("What is it?", ":1: no file_name among text, label: add or rename one (without images"),
    ],
)
def test_placeholders_are_checked(tmp_path: Path, question: str, problem: str) -> None:
    folder = make(tmp_path / "t", f"question: {json.dumps(question)}\n", TEXTS)
    assert problem in complaint(folder)


def test_braces_that_are_text(tmp_path: Path) -> None:
    folder = make(tmp_path / "t", "question: 'As {{json}}: {text}'\n", TEXTS)
    assert load_task(folder).fields == ("text",)


def test_declared_inputs_that_are_not_used(tmp_path: Path) -> None:
    heard: list[str] = []
    settings = "question: '{text}'\ninputs: [text, title]\n"
    load_task(make(tmp_path / "t", settings, TEXTS), notify=heard.append)
    assert heard == ["The input 'title' is declared, but the question never uses {title}."]


def test_a_column_of_texts_that_is_not_used(tmp_path: Path, make_picture: MakePicture) -> None:
    heard: list[str] = []
    lines = [f"{n}.png,{'ab'[n % 2]},Which is it?,1" for n in range(6)]
    for number in range(6):
        make_picture(tmp_path / "t" / f"{number}.png", number)
    table = "\n".join(["file_name,label,Question,shelf", *lines])
    folder = make(tmp_path / "t", "question: A or b?\n", table)
    load_task(folder, notify=heard.append)
    said = "The column 'Question' is not used: write {Question} in the question to show it."
    assert heard == [said]
    heard.clear()
    load_task(make(tmp_path / "t", "question: '{Question}'\n", table), notify=heard.append)
    assert heard == []


def test_class_folders_have_no_fields(tmp_path: Path, make_picture: MakePicture) -> None:
    make_picture(tmp_path / "A" / "a.png", 1)
    make_picture(tmp_path / "B" / "b.png", 2)
    (tmp_path / "task.yaml").write_text("question: '{title}?'\n")
    assert "task.yaml:1: question: refers to {title}, but class folders have" in complaint(tmp_path)


def test_rows_without_picture_and_text(tmp_path: Path) -> None:
    folder = make(tmp_path / "t", "question: '{text}'\n", "text,label\nx,A\n,B\n,A\n")
    assert complaint(folder).startswith("DIR/metadata.csv:3: text is empty: fill it in or delete")


def test_fields_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    folder = make(tmp_path / "t", "question: '{text}'\n", TEXTS)
    first = load_task(folder).fingerprint
    (folder / "metadata.csv").write_text(TEXTS.replace("text 3", "text 33"))
    second = load_task(folder).fingerprint
    (folder / "metadata.csv").write_text(TEXTS.replace("text 3,B", 'text 3,"[""B"", ""A""]"'))
    assert len({first, second, load_task(folder).fingerprint}) == 3


def test_the_same_text_with_two_answers(tmp_path: Path) -> None:
    folder = make(tmp_path / "t", "question: '{text}'\n", TEXTS + "text 3,A\n")
    message = complaint(folder)
    assert "line-000012 is the same text as line-000005 but 'A' instead of 'B'" in message


def test_the_same_picture_with_two_texts_stays_on_one_side(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    rows = []
    for number in range(10):
        make_picture(tmp_path / "t" / f"{number}.png", number)
        rows += [f"{number}.png,yes {number},y", f"{number}.png,no {number},n"]
    folder = make(tmp_path / "t", "question: '{q}'\n", "file_name,q,label\n" + "\n".join(rows))
    task = load_task(folder)
    assert len(task.train) + len(task.test) == 20
    assert not {one.images for one in task.train} & {one.images for one in task.test}


@pytest.mark.parametrize(
    ("answer", "cell", "answers"),
    [
        ("label", '"[""A"", ""B""]"', ("A", "B")),
        ("label", "[A", ("[A",)),
        ("label", "A;B", ("A;B",)),
        ("label", "[1]", ("[1]",)),
        ("text", '"[""a cup"", ""a mug""]"', ("a cup", "a mug")),
        ("number", '"[""3"", ""three""]"', ("3", "3")),
        ("box", '"[1, 2.50, 3, 4]"', ("[1, 2.5, 3, 4]",)),
        ("box", '"[[1,2,3,4],[5,6,7,8]]"', ("[1, 2, 3, 4]", "[5, 6, 7, 8]")),
        ("labels", '"[""A"", ""B""]"', ("A, B",)),
    ],
)
def test_accepted_answers(tmp_path: Path, answer: str, cell: str, answers: tuple[str, ...]) -> None:
    other = {"number": "4", "box": '"[0, 0, 1, 1]"'}.get(answer, "B")
    table = f"text,answer\nx,{cell}\ny,{other}\nz,{other}\n"
    settings = f"question: '{{text}}'\nanswer: {answer}\ntest_fraction: 0\n"
    task = load_task(make(tmp_path / "t", settings, table))
    assert task.train[0].answers == answers
    if answer == "label":
        assert set(answers) <= set(task.labels)


@pytest.mark.parametrize(
    ("settings", "cell", "problem"),
    [
        ("answer: box", "1 2 3", "is not a box: write [left, top, right, bottom]"),
        ("answer: box", '"[3, 0, 1, 2]"', "left exceeds right"),
        ("answer: text", '"a\nb"', "has several lines (2): an answer has at most 1"),
        ("answer: text\nmax_lines: 2", '"a\nb\nc"', "has several lines (3): an answer has at m"),
        ("answer: text\nmax_lines: 0", "a", "max_lines: is 0: should lie between 1 and 50"),
        ("answer: number\nmax_lines: 2", "1", "max_lines: is for answer: text"),
    ],
)
def test_boxes_and_lines_are_checked(
    tmp_path: Path, settings: str, cell: str, problem: str
) -> None:
    folder = make(tmp_path / "t", f"question: '{{text}}'\n{settings}\n", f"text,answer\nx,{cell}\n")
    assert problem in complaint(folder)


def test_answers_of_several_lines(tmp_path: Path) -> None:
    table = 'text,answer\nx,"a\n b "\ny,c\n'
    settings = "question: '{text}'\nanswer: text\nmax_lines: 3\ntest_fraction: 0\n"
    task = load_task(make(tmp_path / "t", settings, table))
    assert [one.answer for one in task.train] == ["a\n b", "c"]
    assert task.answer_schema.max_lines == 3


def test_a_text_model_needs_no_projector(tmp_path: Path) -> None:
    folder = make(tmp_path / "t", "question: '{text}'\nmodel: m.gguf\n", TEXTS)
    model = load_task(folder).model
    assert model is not None
    assert (model.text, model.mmproj) == (folder / "m.gguf", None)


def test_all_faults_are_listed(tmp_path: Path) -> None:
    table = "file_name,label\n" + "".join(f"{n}.png,A\n" for n in range(30))
    message = complaint(make(tmp_path / "t", "question: q\n", table))
    assert message.count("no such file") == 20
    assert message.startswith("DIR/metadata.csv:2: file_name '0.png': no such file: fix the path")
    assert message.endswith("and 10 more (30 in all)")


def test_names_that_differ_in_spelling_get_a_hint(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    make_picture(tmp_path / "t" / "pics" / "Gr\u00fcn.PNG", 1)
    table = "file_name,label\npics/gru\u0308n.png,A\n"
    message = complaint(make(tmp_path / "t", "question: q\n", table))
    assert "the file is called 'pics/Gr\u00fcn.PNG': change the name in the table" in message
