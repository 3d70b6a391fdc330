"""Task folders: what is read, how it is divided."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from idealprompt_cli.task import load_task
from idealprompt_cli.task.splits import _quotas

from ..conftest import MakePicture, MakeTask


def ids(examples: object) -> list[str]:
    return [example.id for example in examples]  # type: ignore[attr-defined]


def test_class_folders(make_task: MakeTask) -> None:
    task = load_task(make_task())
    assert (task.name, task.question, task.labels) == ("task", "Which code?", ("A", "B"))
    assert (task.metric, task.answer, task.language, task.model) == (
        "accuracy",
        "label",
        "en",
        None,
    )
    assert Counter(example.answer for example in task.train) == {"A": 3, "B": 3}
    assert Counter(example.answer for example in task.test) == {"A": 2, "B": 2}
    example = next(one for one in (*task.train, *task.test) if one.id == "A/0.png")
    assert example.images == (task.root / "A" / "0.png",)
    assert example.source.endswith("class folder A/")


def test_every_key_of_task_yaml(make_task: MakeTask) -> None:
    text = (
        "name: codes\nquestion: |\n  Which code?\n  Say it.\nlabels: [B, A]\nmetric: macro_f1\n"
        "language: de\nmodel: m.gguf\nmmproj: /models/p.gguf\ntest_fraction: 0.2\nseed: 4\n"
        "answer: label\n"
    )
    task = load_task(make_task(text))
    assert (task.name, task.question, task.labels) == ("codes", "Which code?\nSay it.", ("B", "A"))
    assert (task.metric, task.language, len(task.test)) == ("macro_f1", "de", 2)
    assert task.model is not None
    assert task.model.text == task.root / "m.gguf"
    assert task.model.mmproj == Path("/models/p.gguf")


def test_labels_that_look_like_other_types(tmp_path: Path, make_picture: MakePicture) -> None:
    for number, label in enumerate(("yes", "no", "007")):
        make_picture(tmp_path / label / "a.png", number)
    (tmp_path / "task.yaml").write_text("question: q\nlabels: [yes, no, 007]\n")
    assert load_task(tmp_path).labels == ("yes", "no", "007")


def test_labels_are_compared_in_one_unicode_form(tmp_path: Path, make_picture: MakePicture) -> None:
    make_picture(tmp_path / unicodedata.normalize("NFD", "grün") / "a.png", 1)
    make_picture(tmp_path / "rot" / "a.png", 2)
    (tmp_path / "task.yaml").write_text("question: q\nlabels: [grün, rot]\n", encoding="utf-8")
    assert load_task(tmp_path).labels == ("grün", "rot")


def test_the_split_follows_the_seed_and_nothing_else(make_task: MakeTask) -> None:
    folder = make_task(per_label=10)
    first = load_task(folder)
    assert load_task(folder) == first
    copy = folder.with_name("copy")
    copy.mkdir()
    for path in sorted(folder.rglob("*.png"), reverse=True):  # another order on the disk
        target = copy / path.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(folder / "task.yaml", copy)
    moved = load_task(copy)
    assert ids(moved.test) == ids(first.test)
    assert moved.fingerprint == first.fingerprint
    (copy / "task.yaml").write_text("question: Which code?\nseed: 1\n")
    assert ids(load_task(copy).test) != ids(first.test)


def test_a_known_draw_stays_the_same(make_task: MakeTask) -> None:
    task = load_task(make_task())
    assert ids(task.test) == ["A/2.png", "A/3.png", "B/1.png", "B/3.png"]


def test_the_fingerprint_is_over_content(make_task: MakeTask, make_picture: MakePicture) -> None:
    folder = make_task()
    first = load_task(folder).fingerprint
    os.utime(folder / "A" / "0.png", (1, 1))
    assert load_task(folder).fingerprint == first
    make_picture(folder / "A" / "0.png", 77)
    assert load_task(folder).fingerprint != first


@pytest.mark.parametrize(
    ("sizes", "fraction", "expected"),
    [
        ({"a": 10, "b": 10}, 0.4, {"a": 4, "b": 4}),
        ({"a": 1, "b": 9}, 0.4, {"a": 0, "b": 4}),
        ({"a": 3, "b": 3, "c": 3}, 0.5, {"a": 2, "b": 1, "c": 1}),
        ({"a": 2, "b": 2}, 0.0, {"a": 0, "b": 0}),
        ({"a": 2, "b": 2}, 0.9, {"a": 1, "b": 1}),
    ],
)
def test_quotas(sizes: dict[str, int], fraction: float, expected: dict[str, int]) -> None:
    assert _quotas(sizes, fraction) == expected


def test_copies_of_a_picture_stay_on_one_side(make_task: MakeTask) -> None:
    folder = make_task(per_label=6)
    for number in range(6):
        shutil.copy(folder / "A" / f"{number}.png", folder / "A" / f"copy{number}.png")
    heard: list[str] = []
    task = load_task(folder, notify=heard.append)
    sides = {example.id.split("/")[1]: "train" for example in task.train if example.answer == "A"}
    sides |= {example.id.split("/")[1]: "test" for example in task.test if example.answer == "A"}
    for number in range(6):
        assert sides[f"{number}.png"] == sides[f"copy{number}.png"]
    assert heard == [
        "6 image(s) are there more than once, such as A/0.png and A/copy0.png; each copy counts"
    ]


def test_split_folders(tmp_path: Path, make_picture: MakePicture) -> None:
    for number, place in enumerate(("train/A", "train/B", "test/A", "test/B")):
        make_picture(tmp_path / place / "x.png", number)
    (tmp_path / "task.yaml").write_text("question: q\n")
    task = load_task(tmp_path)
    assert ids(task.train) == ["train/A/x.png", "train/B/x.png"]
    assert ids(task.test) == ["test/A/x.png", "test/B/x.png"]


def test_a_label_called_train(tmp_path: Path, make_picture: MakePicture) -> None:
    for number, place in enumerate(("train", "car")):
        make_picture(tmp_path / place / "x.png", number)
    (tmp_path / "task.yaml").write_text("question: q\n")
    assert load_task(tmp_path).labels == ("car", "train")


def test_metadata_csv(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(4):
        make_picture(tmp_path / "images" / f"{number}.png", number)
    (tmp_path / "task.yaml").write_text("question: q\n")
    (tmp_path / "metadata.csv").write_text(
        "\ufeffFile_Name,Label,Split,note\r\n"
        'images/0.png,A,train,"two\nlines, quoted"\r\n'
        "images/1.png,B,train,\r\n"
        "images\\2.png,A,test,a Windows path\r\n"
        "\r\n"
        "images/3.png, B ,test,\r\n",
        encoding="utf-8",
    )
    task = load_task(tmp_path)
    assert ids(task.train) == ["images/0.png", "images/1.png"]
    assert ids(task.test) == ["images/2.png", "images/3.png"]
    assert task.test[1].answer == "B"
    assert task.test[0].source.endswith("metadata.csv:5")


def test_metadata_csv_with_semicolons(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(2):
        make_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "task.yaml").write_text("question: q\n")
    (tmp_path / "metadata.csv").write_text("file_name;label\n0.png;A\n1.png;B\n")
    assert load_task(tmp_path).labels == ("A", "B")


def test_several_pictures_for_one_answer(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(4):
        make_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "task.yaml").write_text("question: q\ntest_fraction: 0\n")
    rows = [
        {"file_name": ["0.png", "1.png"], "label": 1},
        {"file_name": "2.png; 3.png", "label": "2"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    task = load_task(tmp_path)
    assert ids(task.train) == ["0.png;1.png", "2.png;3.png"]
    assert task.train[1].images == (tmp_path / "2.png", tmp_path / "3.png")
    assert task.labels == ("1", "2")
    assert task.test == ()


def test_free_text_answers(tmp_path: Path, make_picture: MakePicture) -> None:
    for number in range(5):
        make_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "task.yaml").write_text("question: Read it.\nanswer: text\n")
    lines = [json.dumps({"file_name": f"{n}.png", "answer": f"text {n}"}) for n in range(5)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    task = load_task(tmp_path)
    assert (task.labels, task.answer, task.metric) == ((), "text", "normalised_match")
    assert (len(task.train), len(task.test)) == (3, 2)


def test_links_are_followed_once(make_task: MakeTask) -> None:
    folder = make_task()
    (folder / "A" / "loop").symlink_to(folder / "A", target_is_directory=True)
    assert len(load_task(folder).train) == 6


def test_noise_is_passed_over(make_task: MakeTask) -> None:
    folder = make_task()
    for name in (".DS_Store", "A/Thumbs.db", "A/.hidden.png", "A/notes.txt", "__MACOSX/x/a.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"noise")
    assert load_task(folder).labels == ("A", "B")


def test_another_metric_gives_another_fingerprint(make_task: MakeTask) -> None:
    folder = make_task()
    task = load_task(folder, metric="macro_f1")
    assert task.metric == "macro_f1"
    assert task.fingerprint != load_task(folder).fingerprint


@pytest.mark.parametrize(
    ("long", "said"),
    [
        ("Bring it back to the shop", "compared by their shortest beginnings that differ"),
        ("Bad", ""),
    ],
)
def test_labels_of_very_different_lengths(make_task: MakeTask, long: str, said: str) -> None:
    folder = make_task()
    (folder / "B").rename(folder / long)
    heard: list[str] = []
    load_task(folder, notify=heard.append)
    notices = [line for line in heard if line.startswith("Labels differ widely")]
    assert [said in line for line in notices] == [True] * bool(said)
