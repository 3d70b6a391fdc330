"""Training, validation and test examples, as folders or in a column, by any of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealprompt_cli.core.errors import TaskError
from idealprompt_cli.core.task import Task
from idealprompt_cli.task import load_task
from idealprompt_cli.task.sampling import same_share, sensible_share, shares, subsample

from ..conftest import MakePicture, call


def fill(folder: Path, splits: tuple[str, ...], make_picture: MakePicture, count: int = 3) -> Path:
    for place, split in enumerate(splits):
        for number in range(count):
            for label in "AB":
                key = (place * count + number) * 2 + "AB".index(label)
                make_picture(folder / split / label / f"{number}.png", key)
    return folder


def sizes(task: Task) -> tuple[int, int, int]:
    return len(task.train), len(task.validation), len(task.test)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "test"), (6, 0, 6)),
        (("Train", "VAL", "Test"), (6, 6, 6)),
        (("training", "valid", "testing"), (6, 6, 6)),
        (("train", "validation"), (4, 6, 2)),
        (("train", "dev"), (4, 6, 2)),
        (("train", "val", "valid", "test"), (6, 12, 6)),
        (("train",), (4, 0, 2)),
    ],
)
def test_folders(
    tmp_path: Path, make_picture: MakePicture, splits: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    folder = fill(tmp_path / "t", splits, make_picture)
    (folder / "task.yaml").write_text("question: q\n")
    task = load_task(folder)
    assert task.labels == ("A", "B")
    assert sizes(task) == expected
    (folder / "task.yaml").unlink()
    made = call("init", tmp_path / "made", "--from", folder)
    assert made.exit_code == 0, made.stderr
    assert sizes(load_task(tmp_path / "made")) == expected
    assert call("init", folder).exit_code == 0
    assert sizes(load_task(folder)) == expected


def test_without_a_test_split_one_is_held_out_and_stated(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    folder = fill(tmp_path / "t", ("train", "val"), make_picture)
    (folder / "task.yaml").write_text("question: q\n")
    heard: list[str] = []
    load_task(folder, notify=heard.append)
    assert heard == [
        "There is no test split: 2 of the training examples are held out as one (test_fraction in "
        "task.yaml)."
    ]


@pytest.mark.parametrize("splits", [("val", "test"), ("val",)])
def test_splits_without_training_examples(
    tmp_path: Path, make_picture: MakePicture, splits: tuple[str, ...]
) -> None:
    folder = fill(tmp_path / "t", splits, make_picture)
    (folder / "task.yaml").write_text("question: q\n")
    with pytest.raises(TaskError, match="but no train/: add the training examples"):
        load_task(folder)


def test_a_column(tmp_path: Path) -> None:
    words = ("Train", "training", "VAL", "dev", "Test", "train")
    rows = "".join(f"text {n},{'AB'[n % 2]},{word}\n" for n, word in enumerate(words))
    (tmp_path / "metadata.csv").write_text("text,label,split\n" + rows)
    (tmp_path / "task.yaml").write_text("question: '{text}'\n")
    task = load_task(tmp_path)
    assert sizes(task) == (3, 2, 1)
    assert [one.fields["text"] for one in task.validation] == ["text 2", "text 3"]
    (tmp_path / "other.csv").write_text("text,label,Set\n" + rows)
    made = call("init", tmp_path / "made", "--from", tmp_path / "other.csv")
    assert made.exit_code == 0, made.stderr
    assert "3 training, 2 validation and 1 held-out examples" in made.stdout
    assert sizes(load_task(tmp_path / "made")) == (3, 2, 1)


def test_the_same_picture_in_two_splits_with_other_texts_is_a_warning(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    make_picture(tmp_path / "a.png", 1)
    rows = "a.png,one,x,train\na.png,two,y,train\na.png,three,x,test\n"
    (tmp_path / "metadata.csv").write_text("file_name,q,label,split\n" + rows)
    (tmp_path / "task.yaml").write_text("question: '{q}'\n")
    heard: list[str] = []
    assert sizes(load_task(tmp_path, notify=heard.append)) == (2, 0, 1)
    assert heard[0].startswith("Warning: 1 image(s) are in more than one split, with other texts")


# --- samples of many -----------------------------------------------------------------------------


def many(tmp_path: Path, count: int = 1000) -> Task:
    labels = ["A"] * 80 + ["B"] * 18 + ["C"] * 2
    rows = "".join(f"text {n},{labels[n % 100]}\n" for n in range(count))
    (tmp_path / "metadata.csv").write_text("text,label\n" + rows)
    (tmp_path / "task.yaml").write_text("question: '{text}'\n")
    return load_task(tmp_path)


def test_a_subsample_keeps_every_label(tmp_path: Path) -> None:
    task = many(tmp_path)
    small = subsample(task, train=20, test=50, seed=3)
    assert sizes(small) == (20, 0, 50)
    assert {one.answer for one in small.train} == set("ABC")
    assert sum(one.answer == "A" for one in small.test) == 40
    assert subsample(task, train=20, test=50, seed=3) == small
    assert subsample(task, train=20, test=50, seed=4).train != small.train
    assert small.fingerprint not in (task.fingerprint, subsample(task, 20, 50, 4).fingerprint)
    assert subsample(task) is task
    with pytest.raises(TaskError, match="2 training examples cannot hold 3 labels: take 12"):
        subsample(task, train=2)
    with pytest.raises(TaskError, match="has 400 test examples, not 401"):
        subsample(task, test=401)


def test_a_large_task_is_cut_to_a_share_that_is_stated(tmp_path: Path) -> None:
    share = sensible_share(many(tmp_path, 2000))
    assert sizes(share.task) == (96, 0, 400)
    assert share.notice.startswith("Using 96 of 1200 training and 400 of 800 held-out examples")
    small = many(tmp_path, 100)
    assert sensible_share(small).task is small
    assert sensible_share(small).notice == ""


def test_a_small_budget_uses_fewer_examples_and_says_so(tmp_path: Path) -> None:
    task = many(tmp_path, 200)  # 120 training examples of three labels
    share = sensible_share(task, 0, 200)
    assert len(share.task.train) == 50
    assert share.notice == (
        "Using 50 of 120 training examples (a budget of 200 evaluations is small; --train N "
        "chooses another number, --train 120 takes all)."
    )
    assert sensible_share(share.task, 0, 200).task is share.task
    assert len(sensible_share(task, 0, 20).task.train) == 16
    assert len(sensible_share(task, 0, 400).task.train) == 96
    assert same_share(task, 0, share.task.fingerprint) == share.task
    assert same_share(task, 1, share.task.fingerprint) is None
    for drawn in (subsample(task, 120, 20), subsample(task, 7, 80), subsample(task, 30, 30)):
        assert same_share(task, 0, drawn.fingerprint) == drawn


@pytest.mark.parametrize(
    ("strata", "count", "expected"),
    [
        ({"a": 5000, "b": 40, "c": 1}, 32, {"a": 30, "b": 1, "c": 1}),
        ({"a": 10, "b": 10}, 7, {"a": 4, "b": 3}),
        ({"a": 1, "b": 1, "c": 1}, 2, {"a": 1, "b": 1, "c": 0}),
        ({"a": 2, "b": 100}, 101, {"a": 2, "b": 99}),
        ({"a": 2}, 5, {"a": 2}),
    ],
)
def test_shares(strata: dict[str, int], count: int, expected: dict[str, int]) -> None:
    assert shares(strata, count) == expected
