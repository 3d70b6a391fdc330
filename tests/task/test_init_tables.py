"""`init` from tables as people have them: large, untidy, in many formats."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from idealprompt_cli.task import load_task
from idealprompt_cli.task.importers.answer_kinds import guess

from ..conftest import MakePicture, call

HEADER = ("id", "colour", "label")


def pictures(folder: Path, count: int, make_picture: MakePicture) -> None:
    for number in range(count):
        make_picture(folder / "images" / f"{number}.jpg", number)


def rows(count: int) -> list[tuple[object, ...]]:
    return [(n, f"shade {n % 7}", "even" if n % 2 == 0 else "odd") for n in range(count)]


def write_csv(path: Path, lines: Sequence[Sequence[object]], header: Sequence[str] = ()) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines] if header else lines)
    return path


def made(folder: Path, table: Path, *words: object) -> str:
    result = call("init", folder, "--from", table, *words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(folder: Path, table: Path, *words: object) -> str:
    result = call("init", folder, "--from", table, *words)
    assert result.exit_code in (1, 2), result.stdout
    assert not folder.exists()
    return result.stderr


TEMPLATE = ("--image-template", "images/{id}.jpg")


def test_ids_missing_pictures_and_a_sample(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 60, make_picture)
    rare = [(50, "x", "rare"), (51, "x", "NA"), (52, "x", "")]
    lines = [*rows(50), *rare, *((n, "x", "odd") for n in range(1000, 1500))]
    table = write_csv(tmp_path / "shop.csv", lines, HEADER)
    sample = ("--train", 10, "--test", 20, "--min-per-label", 2, "--seed", 5)
    out = made(tmp_path / "task", table, *TEMPLATE, "--skip-missing", *sample)
    for line in (
        "label by columns 'images/{id}.jpg' (image) and 'label' (label)",
        "  500 rows name an image that is not there and are left out",
        "  1 row with NA for an answer is left out",
        "  1 row has no answer and is left out",
        "  9 images in the same folders have no row that is used",
        "  1 label with fewer than 2 examples is left out (1 example): rare",
        "  30 of 51 examples are drawn (seed 5)",
        "  columns that are not used: colour",
        "10 training and 20 held-out examples",
    ):
        assert line in out
    task = load_task(tmp_path / "task")
    assert (len(task.train), len(task.test), task.labels) == (10, 20, ("even", "odd"))
    again = made(tmp_path / "again", table, *TEMPLATE, "--skip-missing", *sample)
    assert "10 training" in again
    assert load_task(tmp_path / "again").fingerprint == task.fingerprint


@pytest.mark.parametrize(
    ("place", "template"),
    [("images/{}.png", "images/{id}.png"), ("{}.png", "{id}.png"), ("a {{b}}/{}.png", None)],
)
def test_ids_are_found_without_an_option(
    tmp_path: Path, make_picture: MakePicture, place: str, template: str | None
) -> None:
    for number in range(10, 22):
        make_picture(tmp_path / place.format(number), number)
    make_picture(tmp_path / "thumbs" / "11.png", 11)
    rows = [f"{number},{number % 2},{'AB'[number % 2]},2020" for number in range(10, 25)]
    (tmp_path / "t.csv").write_text("\n".join(["id,odd,label,year", *rows]))
    missing = call("init", tmp_path / "task", "--from", tmp_path / "t.csv")
    assert missing.exit_code == 1
    assert f"{place.format(22)}': no such image" in missing.stderr
    made = call("init", tmp_path / "task", "--from", tmp_path / "t.csv", "--skip-missing")
    assert made.exit_code == 0, made.stderr
    assert "3 rows name an image that is not there and are left out" in made.stdout
    assert template is None or f"'{template}' (image)" in made.stdout
    task = load_task(tmp_path / "task")
    assert task.labels == ("A", "B")
    assert len(task.train) + len(task.test) == 12
    assert all(one.images for one in task.train)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("question", "answer"), ("question", "__expected"), ("input", "ideal"), ("prompt", "output")],
)
def test_tables_of_other_tools(tmp_path: Path, text: str, answer: str) -> None:
    """The usual columns of DSPy, promptfoo and evaluation sets."""
    rows = [f"{n},What is {n}?,{'AB'[n % 2]}" for n in range(12)]
    (tmp_path / "t.csv").write_text("\n".join([f"nr,{text},{answer}", *rows]))
    made = call("init", tmp_path / "task", "--from", tmp_path / "t.csv")
    assert made.exit_code == 0, made.stderr
    task = load_task(tmp_path / "task")
    assert (task.fields, task.labels) == ((text,), ("A", "B"))


def test_values_that_are_no_split_are_one_fault_each(tmp_path: Path) -> None:
    rows = [f"text {n},{'AB'[n % 2]},{('train', 'bench', 'b')[n % 3]}" for n in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label,split", *rows]))
    made = call("init", tmp_path / "task", "--from", tmp_path / "t.csv")
    assert made.exit_code == 1
    assert made.stderr.splitlines() == [
        f"error: {tmp_path}/t.csv:3: split is 'bench' in 10 rows: should be train, val or test; a "
        "column that is no split needs another name",
        f"  {tmp_path}/t.csv:4: split is 'b' in 10 rows: should be train, val or test; a column "
        "that is no split needs another name",
    ]


def test_class_folders_that_lie_deeper(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(8):
        make_picture(tmp_path / "data/all" / "AB"[number % 2] / f"{number}.png", number)
    made = call("init", tmp_path / "task", "--from", tmp_path / "data")
    assert made.exit_code == 1
    assert f"for the folders inside: --from {tmp_path}/data/all" in made.stderr
    assert call("init", tmp_path / "task", "--from", tmp_path / "data/all").exit_code == 0


@pytest.mark.parametrize("pictures", [["0.png", "1.png"], ["x.png", "y.png", "z.png"]])
def test_labels_and_texts_are_no_ids(
    tmp_path: Path, make_picture: MakePicture, pictures: list[str]
) -> None:
    """Labels that are names of images repeat too often, and texts are no names."""
    for number, name in enumerate(pictures):
        make_picture(tmp_path / name, number)
    rows = [f"text {number},{number % 2}" for number in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]))
    made = call("init", tmp_path / "task", "--from", tmp_path / "t.csv")
    assert made.exit_code == 0, made.stderr
    assert load_task(tmp_path / "task").fields == ("text",)
    assert "images: none" in made.stdout


def test_without_skip_missing_every_fault_is_listed(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    pictures(tmp_path, 3, make_picture)
    table = write_csv(tmp_path / "shop.csv", [*rows(30), (1, "x", "")], HEADER)
    message = refused(tmp_path / "task", table, *TEMPLATE)
    assert message.startswith(f"error: {table}:5: 'images/3.jpg': no such image: fix the name")
    assert message.count("no such image") == 20
    assert "and 8 more (28 in all)" in message


def test_na_is_a_label_unless_it_is_skipped(tmp_path: Path) -> None:
    lines = [(f"text {n}", ("NA", "warm", "cold")[n % 3]) for n in range(30)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    out = made(tmp_path / "task", table)
    assert "10 rows have 'NA' for an answer, which is kept as a label (--skip-missing" in out
    assert load_task(tmp_path / "task").labels == ("NA", "cold", "warm")


def test_texts_alone(tmp_path: Path) -> None:
    lines = [(f"text {n}", "AB"[n % 2], n) for n in range(12)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "intent", "number"))
    out = made(tmp_path / "task", table)
    assert "columns 'text' (text) and 'intent' (label)" in out
    assert "images: none" in out
    task = load_task(tmp_path / "task")
    assert (task.question, task.fields) == ("{text}\nWhich is it, A or B?", ("text",))
    assert (tmp_path / "task/metadata.csv").read_text().startswith("text,label\ntext 0,A\n")


def test_the_seed_is_that_of_the_split(tmp_path: Path) -> None:
    lines = [(f"text {n}", "AB"[n % 2]) for n in range(40)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    for seed in (0, 7):
        made(tmp_path / f"task{seed}", table, "--seed", seed)
    first, second = (load_task(tmp_path / f"task{seed}") for seed in (0, 7))
    assert {one.id for one in first.test} != {one.id for one in second.test}
    assert "seed: 7\n" in (tmp_path / "task7/task.yaml").read_text()


def test_only_some_labels(tmp_path: Path) -> None:
    lines = [(f"text {n}", "ABCD"[n % 4]) for n in range(40)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    out = made(tmp_path / "task", table, "--label", "A", "--label", "C")
    assert "20 examples of other labels are left out" in out
    assert load_task(tmp_path / "task").labels == ("A", "C")
    assert "--label E: " in refused(tmp_path / "other", table, "--label", "E")


def test_a_question_for_each_row_and_accepted_answers(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    pictures(tmp_path, 6, make_picture)
    asked = ("What colour?", "How many?")
    lines = [
        (f"images/{n // 2}.jpg", asked[n % 2], json.dumps([f"answer {n}", f"reply {n}"]))
        for n in range(12)
    ]
    table = write_csv(tmp_path / "vqa.csv", lines, ("image", "question", "answers"))
    out = made(tmp_path / "task", table)
    assert "lists are accepted answers, any of which is right (--answer labels" in out
    task = load_task(tmp_path / "task")
    assert (task.question, task.answer) == ("{question}", "text")
    example = next(one for one in (*task.train, *task.test) if one.answer == "answer 3")
    assert example.accepted == ("reply 3",)
    assert example.fields == {"question": "How many?"}


def test_annotators_are_counted(tmp_path: Path) -> None:
    lines = [(f"q {n}", json.dumps(["yes"] * 7 + [f"no {n}"] * 3)) for n in range(12)]
    table = write_csv(tmp_path / "vqa.csv", lines, ("question", "answers"))
    assert "metric: vqa_accuracy" in made(tmp_path / "task", table)


def test_a_question_with_a_field(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 8, make_picture)
    lines = [(f"images/{n}.jpg", f"cup {n}", "yes" if n % 2 else "no") for n in range(8)]
    table = write_csv(tmp_path / "fits.csv", lines, ("photo", "title", "fits"))
    out = made(tmp_path / "task", table, "--question", "Does {title} fit? {{sure}}")
    assert "'photo' (image), 'title' (text) and 'fits' (label)" in out
    assert load_task(tmp_path / "task").fields == ("title",)
    wrong = refused(tmp_path / "other", table, "--question", "Does {titel} fit?")
    assert "no column 'titel' among photo, title, fits: did you mean title?" in wrong
    both = made(tmp_path / "both", table, "--field", "title")
    assert "question: {title}\nWhich is it, no or yes?" in both


# --- kinds of answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["a;b", "c", "c", "a;b"], "label"),
        (["[x", "y", "y", "[x"], "label"),
        (["red; cup", "red", "cup", "big; cup", "big; red"], "labels"),
        (['{"a": 1}', '{"a": 2}'], "json"),
        (["[1, 2, 3, 4]", "[2, 2, 5, 6]"], "box"),
        ([str(n) for n in range(40)], "number"),
        ([f"text {n}" for n in range(40)], "text"),
        ([f"line\nline {n}" for n in range(40)], "text"),
        ([f"intent {n % 77}" for n in range(770)], "label"),
    ],
)
def test_kinds_are_guessed(answers: list[str], kind: str) -> None:
    assert guess([(answer,) for answer in answers]).kind == kind


def test_an_ambiguous_kind_names_the_option(tmp_path: Path) -> None:
    lines = [(f"text {n}", ("a;b", "c")[n % 2]) for n in range(12)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    assert "'a;b' is one label (--answer labels splits it at ; and |)" in made(
        tmp_path / "one", table
    )
    assert load_task(tmp_path / "one").labels == ("a;b", "c")
    made(tmp_path / "several", table, "--answer", "labels")
    assert load_task(tmp_path / "several").answer_schema.options == ("a", "b", "c")
    message = refused(tmp_path / "no", table, "--answer", "number")
    assert message.startswith(f"error: {table}:2: 'a;b' is no number")
    assert message.count("\n") == 12


def test_boxes_and_lines(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 6, make_picture)
    boxes = [(f"images/{n}.jpg", f"[{n}, 0, {n + 9}.5, 20]", f"line\n{n}") for n in range(6)]
    table = write_csv(tmp_path / "t.csv", boxes, ("image", "box", "text"))
    made(tmp_path / "boxes", table, "--label-column", "box")
    task = load_task(tmp_path / "boxes")
    assert (task.answer, task.metric, len(task.train)) == ("box", "iou", 4)
    made(tmp_path / "lines", table, "--label-column", "text", "--answer", "text")
    assert load_task(tmp_path / "lines").answer_schema.max_lines == 2


def test_skewed_labels_get_a_fair_metric(tmp_path: Path) -> None:
    lines = [(f"text {n}", "common" if n % 10 else "rare") for n in range(30)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    out = made(tmp_path / "task", table)
    assert "metric: balanced_accuracy (labels of unequal number, 3 to 27: each counts the" in out
    assert "fewer than 4 examples of: rare (3)" in out
    assert load_task(tmp_path / "task").metric == "balanced_accuracy"


# --- formats -------------------------------------------------------------------------------------


def objects(count: int = 8) -> list[dict[str, object]]:
    return [{"image": f"images/{n}.jpg", "label": "AB"[n % 2], "n": n} for n in range(count)]


def written(path: Path) -> Path:
    """The same eight examples in the format of the file's ending."""
    data = objects()
    cells = [[str(value) for value in row.values()] for row in data]
    match path.suffix:
        case ".json":
            path.write_text(json.dumps({"version": 1, "data": data}))
        case ".jsonl":
            path.write_text("\n".join(json.dumps(row) for row in data))
        case ".tsv":
            path.write_text("image\tlabel\tn\n" + "\n".join("\t".join(row) for row in cells))
        case ".txt":
            path.write_text("\n".join(f"{row[0]:<20} {row[1]}" for row in cells))
        case ".parquet":
            arrow = pytest.importorskip("pyarrow")
            from pyarrow import parquet

            parquet.write_table(arrow.Table.from_pylist(data), path)
        case ".xlsx":
            openpyxl = pytest.importorskip("openpyxl")
            book = openpyxl.Workbook()
            for row in [list(data[0]), *(list(one.values()) for one in data)]:
                book.active.append(row)
            book.save(path)
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".tsv", ".txt", ".parquet", ".xlsx"])
def test_formats(tmp_path: Path, make_picture: MakePicture, suffix: str) -> None:
    pictures(tmp_path, 8, make_picture)
    out = made(tmp_path / "task", written(tmp_path / f"table{suffix}"))
    assert "8 examples" in out
    task = load_task(tmp_path / "task")
    assert (task.labels, len(task.train) + len(task.test)) == (("A", "B"), 8)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = "text,label\n" + "".join(f"text {n},{('grün', 'weiß')[n % 2]}\n" for n in range(8))
    table = tmp_path / "t.csv"
    table.write_bytes(text.encode(encoding))
    out = made(tmp_path / "task", table)
    assert f"read as {encoding}, because it is not UTF-8 (--encoding names another)" in out
    assert load_task(tmp_path / "task").labels == ("grün", "weiß")
    (tmp_path / "metadata.csv").write_bytes(text.encode(encoding))
    (tmp_path / "task.yaml").write_text("question: '{text}'\n")
    with pytest.raises(Exception, match=f"is not UTF-8 text but looks like {encoding}: save"):
        load_task(tmp_path)
    assert "unknown encoding" in refused(tmp_path / "no", table, "--encoding", "nonsense")


def test_no_header(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 8, make_picture)
    lines = [(f"images/{n}.jpg", "AB"[n % 2]) for n in range(8)]
    out = made(tmp_path / "task", write_csv(tmp_path / "t.csv", lines))
    assert "no header: the columns are called 1, 2" in out
    assert len(load_task(tmp_path / "task").train) == 5
    texts = write_csv(tmp_path / "texts.csv", [(f"text {n}", "AB"[n % 2]) for n in range(8)])
    words = ("--no-header", "--label-column", "2")
    assert "8 examples" in made(tmp_path / "texts", texts, *words)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("t.json", "[1, 2]", "should hold one list of objects"),
        ("t.json", "{", "t.json:1: is not JSON"),
        ("t.jsonl", '{"a": 1}\nx\ny\n', ":2: is not JSON"),
        ("t.csv", "a,b\n1,2,3\n1\n", ":2: has 3 cells where the header has 2"),
        ("t.csv", "a,a\n1,2\n", "two columns are called 'a'"),
        ("t.csv", "text,label\n", "holds no rows"),
        ("t.csv", "", "holds no rows"),
        ("t.parquet", "nonsense", "cannot be read as Parquet"),
        ("t.xlsx", "nonsense", "cannot be read as XLSX"),
        ("t.pdf", "nonsense", "is not a table: name a folder, or a file that ends in .csv"),
        ("t.csv", "id,a,b\n1,x,p\n2,x,q\n3,y,q\n", "none of the columns a, b is evidently the an"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content)
    assert problem in refused(tmp_path / "task", tmp_path / name)


def test_names_are_matched_but_for_spelling(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(4):
        make_picture(tmp_path / "images" / f"Gru\u0308n {number}.JPG", number)
    lines = [(f"images/gr\u00fcn {n}.jpg", "AB"[n % 2]) for n in range(4)]
    out = made(tmp_path / "task", write_csv(tmp_path / "t.csv", lines, ("image", "label")))
    assert "4 names match a file but for letter case or Unicode form" in out
    assert len(load_task(tmp_path / "task").train) == 2


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    lines = [*((f"text {n}", "AB"[n % 2]) for n in range(8)), ("text 1", "B"), ("text 2", "A")]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    assert "2 rows repeat an earlier one and are left out" in made(tmp_path / "task", table)
    table.write_text(table.read_text() + "text 1,A\n")
    message = refused(tmp_path / "other", table)
    assert f"{table}:12: the same text as {table}:3 but 'A' instead of 'B'" in message


# --- what is written -----------------------------------------------------------------------------


def test_nothing_is_written_outside_the_folder(
    tmp_path: Path, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        make_picture(tmp_path / "elsewhere" / f"{number}.jpg", number)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    lines = [(f"../elsewhere/{n}.jpg", "AB"[n % 2]) for n in range(4)]
    made(Path("task"), write_csv(Path("t.csv"), lines, ("image", "label")))
    assert sorted(path.name for path in work.iterdir()) == ["t.csv", "task"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "work"]
    assert len(list((work / "task/pictures").iterdir())) == 4
    assert len(load_task(work / "task").train) == 2


def test_pictures_outside_are_linked_into_the_tables_own_folder(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    make_picture(tmp_path / "elsewhere" / "a.jpg", 1)
    make_picture(tmp_path / "mine" / "b.jpg", 2)
    lines = [("../elsewhere/a.jpg", "A"), ("b.jpg", "B")]
    write_csv(tmp_path / "mine" / "t.csv", lines, ("image", "label"))
    assert call("init", tmp_path / "mine").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "mine").iterdir())
    assert names == ["b.jpg", "metadata.csv", "pictures", "t.csv", "task.yaml"]
    assert [one.id for one in load_task(tmp_path / "mine").train] == ["b.jpg", "pictures/a.jpg"]
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
ROWS = st.lists(st.tuples(TEXT, st.sampled_from("AB")), min_size=4, max_size=12)


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [("first", "A"), ("second", "B"), *lines]
    table = folder / "t.jsonl"
    table.write_text("".join(json.dumps({"q": q, "label": a}) + "\n" for q, a in rows))
    result = call("init", folder / "task", "--from", table, "--skip-missing", "--field", "q")
    answers: dict[str, set[str]] = {}
    for text, label in rows:
        clean = text.replace("\r\n", "\n").replace("\r", "\n").strip()
        answers.setdefault(clean, set()).add(label)
    if any(len(labels) > 1 for text, labels in answers.items() if text):
        assert "the same text as" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    task = load_task(folder / "task")
    found = {one.fields["q"]: {one.answer} for one in (*task.train, *task.test)}
    assert found == {text: labels for text, labels in answers.items() if text}


def test_a_failure_leaves_no_folder(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 4, make_picture)
    (tmp_path / "images/1.jpg").write_text("not an image")
    lines = [(f"images/{n}.jpg", "AB"[n % 2]) for n in range(4)]
    table = write_csv(tmp_path / "t.csv", lines, ("image", "label"))
    result = call("init", tmp_path / "new/deep/task", "--from", table)
    assert result.exit_code == 1
    assert str(tmp_path / "images/1.jpg") in result.stderr
    assert not (tmp_path / "new").exists()


def test_messages_name_the_users_own_lines(tmp_path: Path, make_picture: MakePicture) -> None:
    pictures(tmp_path, 4, make_picture)
    (tmp_path / "images/3.jpg").write_bytes((tmp_path / "images/0.jpg").read_bytes())
    lines = [(f"images/{n}.jpg", "AB"[n % 2]) for n in range(4)]
    table = write_csv(tmp_path / "t.csv", lines, ("image", "label"))
    message = refused(tmp_path / "task", table)
    assert message.startswith(f"error: {table}:5: pictures/images/3.jpg is the same image as")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_refused_in_a_line(tmp_path: Path) -> None:
    pipe = tmp_path / "t.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: None)
    writer.start()
    message = refused(tmp_path / "task", pipe)
    writer.join()
    assert message.count("\n") == 1
    assert "is a pipe or device: save the table as a file" in message


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        (("Verlust, Karte", "Währung"), 'Which is it, "Verlust, Karte" or "Währung"?'),
        (("a or b", "c"), 'Which is it, "a or b" or "c"?'),
        (("Zürich Süd", "orange"), "Which is it, Zürich Süd or orange?"),
    ],
)
def test_labels_that_a_list_would_divide_are_quoted(
    labels: tuple[str, str], asked: str, tmp_path: Path
) -> None:
    lines = [(f"text {n}", labels[n % 2]) for n in range(8)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label"))
    data = json.loads(made(tmp_path / "task", table, "--json"))
    assert data["question"] == f"{{text}}\n{asked}"


def test_json_output(tmp_path: Path) -> None:
    lines = [(f"text {n}", "AB"[n % 2], "x") for n in range(8)]
    table = write_csv(tmp_path / "t.csv", lines, ("text", "label", "other"))
    data = json.loads(made(tmp_path / "task", table, "--json"))
    assert data["inputs"] == ["text"]
    assert data["unused_columns"] == ["other"]
    assert (data["train"], data["validation"], data["test"]) == (5, 0, 3)
    settings = yaml.safe_load((tmp_path / "task/task.yaml").read_text())
    assert settings["question"] == data["question"] == "{text}\nWhich is it, A or B?"


def test_a_sample_of_class_folders(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(20):
        make_picture(tmp_path / "photos" / "AB"[number % 2] / f"{number}.png", number)
    out = made(tmp_path / "task", tmp_path / "photos", "--train", 6, "--test", 8)
    assert "6 training and 8 held-out examples" in out
    assert len(list((tmp_path / "task/pictures").rglob("*.png"))) == 14
    few = refused(tmp_path / "other", tmp_path / "photos", "--train", 16, "--test", 8)
    assert "has 20 examples that can be used, not 24" in few


def test_the_draw_does_not_depend_on_where_the_pictures_lie(tmp_path: Path) -> None:
    drawn = list[list[list[bytes]]]()
    for place in ("a", "b/longer name"):
        folder = tmp_path / place
        for label in ("yes", "no"):
            (folder / label).mkdir(parents=True)
            for number in range(12):
                picture = Image.new("RGB", (8, 8), (number * 20, 9, 40 * (label == "yes")))
                picture.save(folder / label / f"{number}.png")
        table = folder / "table.csv"
        rows = [f"{path},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
        table.write_text("\n".join(["file_name,label", *rows]))
        task = tmp_path / f"task {len(drawn)}"
        done = call("init", task, "--from", table, "--train", "6", "--test", "8")
        assert done.exit_code == 0, done.stderr
        kept = load_task(task)
        drawn.append(
            [[image.read_bytes() for image in one.images] for one in (*kept.train, *kept.test)]
        )
    assert drawn[0] == drawn[1]
