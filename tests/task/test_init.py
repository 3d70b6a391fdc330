"""`idealprompt init`: task folders out of whatever form labelled pictures have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import TaskError
from idealprompt_cli.task import load_task
from idealprompt_cli.task.importers.file_names import read_labels

from ..conftest import SCRIPT, MakePicture, call


def fill(folder: Path, names: list[str], make_picture: MakePicture) -> Path:
    for number, name in enumerate(names):
        make_picture(folder / name, number)
    return folder


ROOT = Path(__file__).parents[2]
CLASS_FOLDERS = [f"{label}/{n}.png" for label in ("K7", "M2") for n in range(5)]


def test_class_folders_where_they_are(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = fill(tmp_path / "codes", CLASS_FOLDERS, make_picture)
    result = call("init", folder)
    assert result.exit_code == 0, result.stderr
    assert "10 examples, label by the folders' names" in result.stdout
    assert "  K7      5\n  M2      5\n" in result.stdout
    assert "  K7/0.png  ->  K7\n" in result.stdout, "the folder that the label is read from"
    assert "6 training and 4 held-out examples" in result.stdout
    assert "Edit the question in" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["K7", "M2", "task.yaml"]
    text = (folder / "task.yaml").read_text()
    assert "# EDIT THIS" in text
    task = load_task(folder)
    assert (task.name, task.labels) == ("codes", ("K7", "M2"))
    assert task.question == "Which is it, K7 or M2?"


def test_nothing_is_overwritten(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = fill(tmp_path / "codes", CLASS_FOLDERS, make_picture)
    (folder / "task.yaml").write_text("question: mine\n")
    result = call("init", folder)
    assert result.exit_code == 1
    assert "task.yaml: is there already and is not overwritten" in result.stderr
    assert (folder / "task.yaml").read_text() == "question: mine\n"


def test_class_folders_from_elsewhere_are_linked(tmp_path: Path, make_picture: MakePicture) -> None:
    source = fill(tmp_path / "photos", CLASS_FOLDERS, make_picture)
    result = call("init", tmp_path / "task", "--from", source, "--question", "Good, or bad: 'x'?")
    assert result.exit_code == 0, result.stderr
    task = load_task(tmp_path / "task")
    assert task.question == "Good, or bad: 'x'?"
    assert task.train[0].images[0].is_symlink()
    assert "images: 10 links" in result.stdout
    assert "EDIT" not in (tmp_path / "task/task.yaml").read_text()


def test_copies_when_asked(tmp_path: Path, make_picture: MakePicture) -> None:
    source = fill(tmp_path / "photos", CLASS_FOLDERS, make_picture)
    assert call("init", tmp_path / "task", "--from", source, "--copy").exit_code == 0
    picture = tmp_path / "task/pictures/K7/0.png"
    assert picture.is_file()
    assert not picture.is_symlink()


def test_a_split_is_kept(tmp_path: Path, make_picture: MakePicture) -> None:
    names = [f"{part}/{name}" for part in ("train", "test") for name in CLASS_FOLDERS]
    source = fill(tmp_path / "photos", names, make_picture)
    assert call("init", tmp_path / "task", "--from", source).exit_code == 0
    task = load_task(tmp_path / "task")
    assert (len(task.train), len(task.test)) == (10, 10)
    assert all("test" in example.id for example in task.test)
    assert call("init", source).exit_code == 0
    assert len(load_task(source).test) == 10


@pytest.mark.parametrize(
    ("names", "place", "label"),
    [
        ([f"K7_{n}.jpg" for n in range(3)] + [f"M2_{n}.jpg" for n in range(3)], "prefix", "K7"),
        ([f"{n:03}-good.jpg" for n in range(3)] + ["7-bad.jpg", "8-bad.jpg"], "suffix", "good"),
        ([f"cat{n}.jpg" for n in range(3)] + ["dog1.jpg", "dog 2.jpg"], "before-number", "cat"),
    ],
)
def test_file_names(
    names: list[str], place: str, label: str, tmp_path: Path, make_picture: MakePicture
) -> None:
    folder = fill(tmp_path / "flat", names, make_picture)
    result = call("init", folder)
    assert result.exit_code == 0, result.stderr
    assert f"--label-from {place}" in result.stdout
    assert f"->  {label}" in result.stdout
    assert label in load_task(folder).labels


def test_names_that_tell_nothing(tmp_path: Path, make_picture: MakePicture) -> None:
    folder = fill(tmp_path / "flat", [f"IMG_{n:04}.jpg" for n in range(6)], make_picture)
    result = call("init", folder)
    assert result.exit_code == 1
    assert "contain no recognisable label" in result.stderr
    assert not (folder / "task.yaml").exists()
    assert "choose from prefix" in call("init", folder, "--label-from", "middle").stderr


def test_another_reading_is_reported() -> None:
    guess = read_labels([f"{a}_{b}" for a in ("k", "m") for b in ("x", "y") for _ in "ab"], "", "")
    assert guess.place == "prefix"
    assert "suffix" in guess.others
    with pytest.raises(TaskError):
        read_labels(["a", "b"], "", "here")


def test_a_table_with_columns_of_any_name(tmp_path: Path, make_picture: MakePicture) -> None:
    fill(tmp_path / "shots", [f"{n}.png" for n in range(8)], make_picture)
    rows = "".join(f"{n};shots/{n}.png;{'ok' if n % 2 else 'scrap'}\n" for n in range(8))
    (tmp_path / "log.csv").write_text("number;Image;class\n" + rows)
    result = call("init", tmp_path / "task", "--from", tmp_path / "log.csv", "--json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["labels"] == {"ok": 4, "scrap": 4}
    assert data["label"] == "columns 'Image' (image) and 'class' (label)"
    assert (tmp_path / "task/metadata.csv").read_text().startswith("file_name,label\n")
    words = ("init", tmp_path / "t", "--from", tmp_path / "log.csv")
    missing = call(*words, "--label-column", "klass")
    assert missing.exit_code == 1
    assert "no column 'klass' among number, Image, class: did you mean class?" in missing.stderr
    (tmp_path / "log.csv").write_text("image,class\nnone.png,a\n")
    gone = call(*words)
    assert "log.csv:2: 'none.png': no such image" in gone.stderr


def test_columns_are_known_by_what_is_in_them(tmp_path: Path, make_picture: MakePicture) -> None:
    fill(tmp_path / "shots", [f"{n}.png" for n in range(8)], make_picture)
    rows = [(f"shots/{n}.png", "gut" if n % 2 else "schlecht", f"Tag {n // 2}") for n in range(8)]
    log, task = tmp_path / "log.csv", tmp_path / "task"
    log.write_text("Foto,Güte\n" + "".join(f"{file},{grade}\n" for file, grade, _ in rows))
    result = call("init", task, "--from", log, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["label"] == "columns 'Foto' (image) and 'Güte' (label)"
    log.write_text(
        "Foto,Güte,Nr\n"
        + "".join(f"{file},{grade},{n}\n" for n, (file, grade, _) in enumerate(rows))
    )
    numbered = call("init", tmp_path / "numbered", "--from", log, "--json")
    assert json.loads(numbered.stdout)["label"] == "columns 'Foto' (image) and 'Güte' (label)"
    log.write_text("Foto,Güte,Tag\n" + "".join(",".join(row) + "\n" for row in rows))
    several = call("init", tmp_path / "other", "--from", log)
    assert "none of the columns Güte, Tag is evidently the answer: name it" in several.stderr
    assert call("init", tmp_path / "other", "--from", log, "--label-column", "Güte").exit_code == 0


def test_free_text_in_json_lines(tmp_path: Path, make_picture: MakePicture) -> None:
    fill(tmp_path, [f"{n}.png" for n in range(12)], make_picture)
    lines = [json.dumps({"file": f"{n}.png", "caption": f"number {n}"}) for n in range(12)]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    result = call("init", tmp_path / "task", "--from", tmp_path / "captions.jsonl")
    assert result.exit_code == 0, result.stderr
    assert "treated as free text" in result.stdout
    assert load_task(tmp_path / "task").answer == "text"


def test_dry_run_and_missing(tmp_path: Path, make_picture: MakePicture) -> None:
    source = fill(tmp_path / "photos", CLASS_FOLDERS, make_picture)
    result = call("init", tmp_path / "task", "--from", source, "--dry-run")
    assert "nothing is written" in result.stdout
    assert not (tmp_path / "task").exists()
    assert "or --from where they are" in call("init", tmp_path / "none").stderr
    (tmp_path / "empty").mkdir()
    assert "the folder is empty" in call("init", tmp_path / "empty").stderr


def test_the_result_can_be_searched(
    tmp_path: Path, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = fill(tmp_path / "in", [f"{c}/{n}.png" for c in "AB" for n in range(6)], make_picture)
    assert call("init", "task", "--from", source).exit_code == 0
    result = call("search", "task", "-m", SCRIPT, "-q")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["a.png;K7", "b.png;M2", "a.png;M2"], "l.csv:4: 'a.png' is listed twice (first: "),
        (["a.png;K7", "b.png;K7"], "l.csv: every example has the label 'K7' (by columns"),
        (["a.png;K7", "bad.png;M2"], "bad.png: not an image in a known format"),
    ],
)
def test_what_cannot_be_used_leaves_nothing_behind(
    tmp_path: Path, make_picture: MakePicture, rows: list[str], problem: str
) -> None:
    source = fill(tmp_path / "in", ["a.png", "b.png"], make_picture)
    (source / "bad.png").write_text("rubbish")
    (source / "l.csv").write_text("\n".join(["picture;code", *rows]))
    result = call("init", tmp_path / "task", "--from", source / "l.csv")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {source}/{problem}")
    assert not (tmp_path / "task").exists()
    (tmp_path / "mine").mkdir()
    assert call("init", tmp_path / "mine", "--from", source / "l.csv").exit_code == 1
    assert list((tmp_path / "mine").iterdir()) == [], "a folder that was there stays"


INITS = {
    "a new folder": ("task", "--from", "photos"),
    "an empty folder": ("empty", "--from", "photos"),
    "where they are": ("photos",),
    "a new folder in a new one": ("a/b/task", "--from", "photos", "--copy"),
}


@pytest.mark.parametrize("words", INITS.values(), ids=INITS)
def test_of_two_at_once_one_makes_the_whole_task(
    tmp_path: Path, make_picture: MakePicture, words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "photos", CLASS_FOLDERS, make_picture)
    command = [sys.executable, "-m", "idealprompt_cli", "init", *words, "-q"]
    codes = []
    for _ in range(3):
        started = [
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        ended = [(one.communicate()[1], one.returncode) for one in started]
        codes.append(sorted(returncode for _, returncode in ended))
        for said, returncode in ended:
            assert returncode == 0 or said.count("\n") == 1, said
            assert returncode == 0 or "is there already and is not overwritten" in said
    assert codes == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert len(load_task(tmp_path / words[0]).train) == 6
    assert not list(tmp_path.rglob(".idealprompt-new-*"))


@pytest.mark.parametrize("words", INITS.values(), ids=INITS)
@pytest.mark.parametrize("call_", ["os.symlink", "os.fsync", "pathlib.Path.replace"])
def test_a_killed_one_leaves_nothing_half_written(
    tmp_path: Path, make_picture: MakePicture, words: tuple[str, ...], call_: str
) -> None:
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "photos", CLASS_FOLDERS, make_picture)
    code = (
        "import os, pathlib, sys; from idealprompt_cli.cli.main import main\n"
        f"{call_} = lambda *_, **__: os.kill(os.getpid(), 9)\n"
        "main()"
    )
    for program, wanted in ((("-c", code), (-9, 0)), (("-m", "idealprompt_cli"), (0, 1))):
        done = subprocess.run(
            [sys.executable, *program, "init", *words, "-q"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in wanted, done.stderr
        if done.returncode == -9:
            assert not (tmp_path / words[0] / "task.yaml").exists()
    assert len(load_task(tmp_path / words[0]).train) == 6
    assert not list(tmp_path.rglob(".idealprompt-new-*"))
