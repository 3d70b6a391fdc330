"""Everything that can be wrong in a task folder: one line with place, problem and fix."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from idealprompt_cli.core.errors import IdealPromptError, TaskError
from idealprompt_cli.task import load_task

from ..conftest import MakePicture, MakeTask


def complaint(folder: Path) -> str:
    with pytest.raises(IdealPromptError) as caught:
        load_task(folder)
    message = str(caught.value)
    assert "\n" not in message.replace("\n  ", "")
    assert caught.value.exit_code == 1
    return message.replace(str(folder), "DIR")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("question: q\nlables: [A, B]\n", "DIR/task.yaml:2: lables: unknown key: did you mean"),
        ("name: x\n", "DIR/task.yaml:1: question: is missing: add this key"),
        ("question: ' '\n", "DIR/task.yaml:1: question: is empty: write what you would ask"),
        ("question: [a]\n", "DIR/task.yaml:1: question: should be text, not a list"),
        ("question: q\nlabels: [A, B, C]\n", "DIR/task.yaml:2: labels: no training example has"),
        ("question: q\nlabels: [A, X]\n", "DIR: class folder B/: 'B' is none of the labels in"),
        ("question: q\nlabels: [A, A]\n", "DIR/task.yaml:2: labels: 'A' is named twice: dele"),
        ("question: q\nlabels: [A, '']\n", "DIR/task.yaml:2: labels: one label is empty"),
        ("question: q\nlabels: [A]\n", "DIR/task.yaml:2: labels: 'A' is the only one"),
        ("question: q\nlabels: [A, null]\n", "DIR/task.yaml:2: labels[2]: should be text, not"),
        ("question: q\nlabels: A\n", "DIR/task.yaml:2: labels: should be a list, not the text 'A'"),
        ("question: q\nanswer: lable\n", "DIR/task.yaml:2: answer: is 'lable': did you mean"),
        ("question: q\nanswer: text\n", "DIR/A: a class folder does not go with answer: text"),
        ("question: q\nanswer: text\nlabels: [A]\n", "DIR/task.yaml:3: labels: do not go with"),
        ("question: q\nmodel: a.gguf\n", "DIR/task.yaml:2: model: needs mmproj beside it"),
        ("question: q\nmmproj: a.gguf\n", "DIR/task.yaml:2: mmproj: needs model beside it"),
        ("question: q\ntest_fraction: 2\n", "DIR/task.yaml:2: test_fraction: is 2: should lie"),
        ("question: q\ntest_fraction: few\n", "DIR/task.yaml:2: test_fraction: is 'few': should"),
        ("question: q\nseed: x\n", "DIR/task.yaml:2: seed: is 'x': should be a whole number"),
        ("question: q\nquestion: r\n", "DIR/task.yaml:2: question is given twice"),
        ("question: 'q\n", "DIR/task.yaml:2: is not valid YAML"),
    ],
)  # fmt: skip
def test_task_yaml(make_task: MakeTask, text: str, message: str) -> None:
    assert complaint(make_task(text)).startswith(message)


def test_no_folder(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none") == (
        "DIR: no such folder: name a folder that holds a task.yaml"
    )


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert complaint(tmp_path / "file").startswith("DIR: is a file")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert complaint(tmp_path).startswith("DIR: the folder is empty: it needs a task.yaml")


def test_no_task_yaml(tmp_path: Path, make_picture: MakePicture) -> None:
    make_picture(tmp_path / "A" / "a.png")
    assert complaint(tmp_path).startswith("DIR: there is no task.yaml: add one with at least")
    (tmp_path / "task.yml").write_text("question: q\n")
    assert complaint(tmp_path) == "DIR: there is no task.yaml: rename task.yml to task.yaml"


def test_no_examples(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("question: q\n")
    assert complaint(tmp_path).startswith("DIR: holds no examples: put images into one sub-fol")


def test_an_empty_class_folder(make_task: MakeTask) -> None:
    folder = make_task("question: q\nlabels: [A, B, C]\n")
    (folder / "C").mkdir()
    assert complaint(folder) == "DIR/C: holds no images: add some, or delete the label"


def test_one_label_only(make_task: MakeTask) -> None:
    folder = make_task()
    shutil.rmtree(folder / "B")
    assert "only the label 'A'" in complaint(folder)


def test_a_truncated_picture(make_task: MakeTask) -> None:
    folder = make_task()
    for label in "AB":
        path = folder / label / "0.png"
        Image.effect_noise((64, 64), 50).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    message = complaint(folder)
    assert message.startswith("DIR/A/0.png: the image is damaged")
    assert "\n  DIR/B/0.png: the image is damaged" in message


def test_a_file_that_is_no_picture(make_task: MakeTask) -> None:
    folder = make_task()
    (folder / "A" / "scan.pdf").write_text("no image")
    assert complaint(folder).startswith("DIR/A/scan.pdf: not an image in a known format")


def test_the_same_picture_under_two_labels(make_task: MakeTask) -> None:
    folder = make_task()
    shutil.copy(folder / "A" / "0.png", folder / "B" / "copy.png")
    assert "is the same image as A/0.png but 'B' instead of 'A'" in complaint(folder)


def split_task(folder: Path, make_picture: MakePicture) -> Path:
    for number, place in enumerate(("train/A", "train/B", "test/A", "test/B")):
        make_picture(folder / place / "x.png", number)
    (folder / "task.yaml").write_text("question: q\n")
    return folder


def test_the_same_picture_in_train_and_test(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = split_task(tmp_path, make_picture)
    shutil.copy(folder / "train/A/x.png", folder / "test/A/y.png")
    assert "test/A/y.png is the same image as train/A/x.png" in complaint(folder)


def test_a_label_in_test_only(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = split_task(tmp_path, make_picture)
    make_picture(folder / "test/C/x.png", 9)
    assert "no training example has the label 'C'" in complaint(folder)


def test_a_folder_that_is_no_split(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = split_task(tmp_path, make_picture)
    make_picture(folder / "more/A/x.png", 9)
    assert complaint(folder).startswith("DIR/more: is not a split but lies beside test/ and train/")


def test_only_a_test_part(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = split_task(tmp_path, make_picture)
    shutil.rmtree(folder / "train")
    assert complaint(folder) == "DIR: there is a test/ but no train/: add the training examples"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file_name,label\n0.png,A\n9.png,B\n", ":3: file_name '9.png': no such file"),
        ("file_name,label\n../x.png,A\n", ":2: file_name '../x.png' leads out of the folder"),
        ("file_name,label\n/etc/x.png,A\n", ":2: file_name '/etc/x.png' leads out of the folder"),
        ("file_name,label\n,A\n", ":2: file_name is '': should be a file name"),
        ("file_name,label\n0.png,\n1.png,B\n", ":2: 0.png has an empty answer"),
        ("file_name,label\n0.png,A,x\n", ":2: has 3 cells where the header has 2"),
        ("file_name,label\n0.png,A\n0.png,A\n", ":3: 0.png is listed twice"),
        ("file,label\n0.png,A\n", ":1: no file_name among file, label: rename 'file'?"),
        ("file_name,class\n0.png,A\n", ":1: no label or answer among file_name, class: add or"),
        ("file_name,label,splits\n0.png,A,test\n", ":1: unknown column 'splits': did you mean s"),
        (
            "file_name,label,split\n0.png,A,vla\n1.png,B,train\n",
            "is 'vla': should be train, val or t",
        ),
        ("file_name,label,split\n0.png,A,test\n1.png,B,\n", ":3: has no split while other rows"),
        ("file_name,label,split\n0.png,A,test\n1.png,B,test\n", "no example is in train"),
        ('file_name,label\n0.png,"A\n', "is not CSV"),
        ("file_name,label\n", "holds no examples"),
    ],
)
def test_metadata_csv(tmp_path: Path, make_picture: MakePicture, table: str, message: str) -> None:
    for number in range(2):
        make_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "task.yaml").write_text("question: q\n")
    (tmp_path / "metadata.csv").write_text(table)
    assert message in complaint(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('{"file_name": "0.png", "label": "A"}\n{bad\n', ":2: is not JSON"),
        ("[1]\n", ":1: should be an object such as"),
        ('{"file_name": "0.png", "label": null}\n', ":1: label is null: should be text"),
        ('{"file_name": [], "label": "A"}\n', ":1: file_name is []: should be a file name"),
        ('{"file_name": "0.png", "label": "A", "answer": "B"}\n', ":1: has a label and another"),
    ],
)
def test_metadata_jsonl(
    tmp_path: Path, make_picture: MakePicture, table: str, message: str
) -> None:
    make_picture(tmp_path / "0.png")
    (tmp_path / "task.yaml").write_text("question: q\n")
    (tmp_path / "metadata.jsonl").write_text(table)
    assert message in complaint(tmp_path)


def test_two_tables(tmp_path: Path) -> None:
    for name in ("task.yaml", "metadata.csv", "metadata.jsonl"):
        (tmp_path / name).write_text("question: q\n")
    assert complaint(tmp_path) == "DIR: holds both metadata.jsonl and metadata.csv: keep one"


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("question: q\n")
    (tmp_path / "metadata.csv").write_bytes(b"file_name,label\n\xff.png,A\n")
    assert complaint(tmp_path).startswith("DIR/metadata.csv:2: is not UTF-8 text")


def test_broken_link(make_task: MakeTask) -> None:
    folder = make_task()
    (folder / "A" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(TaskError, match="no such image"):
        load_task(folder)


def test_giants_are_refused_early(make_task: MakeTask, tmp_path: Path) -> None:
    started = time.process_time()
    many = ", ".join(map(str, range(200_000)))
    for number, (text, message) in enumerate(
        (
            ("question: " + "word " * 2_000_000, "larger than 2097152 bytes"),
            ("question: " + "word " * 50_000, "250,000|249,999 characters: at most 100,000"),
            (f"question: q\nlabels: [{many}]", "100,000 values"),
            ("question: q\nlabels: [" + ", ".join(map(str, range(10_001))) + "]", "10,001 labels"),
        )
    ):
        with pytest.raises(TaskError, match=message):
            load_task(make_task(text, per_label=1, name=str(number)))
    assert time.process_time() - started < 60


def test_too_many_labels_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("question: 'Which is {title}?'\n")
    rows = "".join(f"text {number},label {number}\n" for number in range(10_001))
    (tmp_path / "metadata.csv").write_text("title,label\n" + rows)
    with pytest.raises(TaskError, match="10,001 labels are more than the 10,000"):
        load_task(tmp_path)
