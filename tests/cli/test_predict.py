"""`idealprompt predict` on the scripted engine: one JSON object a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.cli.watched_folder import Watch

from ..conftest import MakePicture, call


@pytest.fixture
def prompt(prompt: Path) -> Path:
    """One that recommends the adapted prompt, which so few held-out pictures could not show."""
    text = prompt.read_text(encoding="utf-8")
    text = text.replace("recommended: baseline", "recommended: winner")
    prompt.write_text(text, encoding="utf-8")
    return prompt


def test_predict(prompt: Path, folder: Path) -> None:
    result = call("predict", prompt, folder / "A/0.png", folder / "B/0.png")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["A", "B"]
    assert list(lines[0]) == ["image", "label", "probability", "probabilities", "seconds"]
    assert lines[0]["image"] == str(folder / "A/0.png")
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)


def test_predict_goes_on_past_a_bad_picture(prompt: Path, folder: Path) -> None:
    bad = folder / "bad.png"
    bad.write_text("no image")
    names = [folder / "A/0.png", "none.png", bad, folder / "B/0.png"]
    result = call("predict", prompt, "-", stdin="".join(f"{name}\n" for name in names))
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("label") for line in lines] == ["A", None, None, "B"]
    assert "no such image" in lines[1]["error"]
    assert "not an image" in lines[2]["error"]


def test_predict_answers_a_slow_pipe_at_once(prompt: Path, folder: Path) -> None:
    words = [sys.executable, "-m", "idealprompt_cli", "predict", str(prompt), "-"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for label in "AB":
            process.stdin.write(f"{folder}/{label}/0.png\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["label"] == label
        process.stdin.close()
    assert process.returncode == 0


def test_predict_for_several_pictures_at_a_time(prompt: Path, folder: Path) -> None:
    prompt.write_text(prompt.read_text().replace("images: 1", "images: 2"))
    pair = f"{folder}/A/0.png;{folder}/A/1.png"
    result = call("predict", prompt, pair, folder / "A/0.png", "-q")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[0]["label"] == "A"
    assert "the prompt takes 2 images and this has 1" in lines[1]["error"]


def test_an_image_for_a_prompt_of_texts_is_left_out(prompt: Path, folder: Path) -> None:
    prompt.write_text(prompt.read_text().replace("images: 1", "images: 0"))
    result = call("predict", prompt, folder / "A/0.png", "-q")
    (line,) = map(json.loads, result.stdout.splitlines())
    assert line["error"].endswith("A/0.png: the prompt takes no images: leave it out")


def test_predict_abstains(prompt: Path, folder: Path) -> None:
    pictures = (folder / "A/0.png", folder / "B/0.png")
    plain = [json.loads(x) for x in call("predict", prompt, *pictures).stdout.splitlines()]
    between = str(max(line["probability"] for line in plain) + 1e-5)
    result = call("predict", prompt, *pictures, "--min-probability", between)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["abstained", "abstained"]
    assert [line["best"] for line in lines] == ["A", "B"]
    assert all(line["abstained"] for line in lines)
    assert lines[0]["probability"] == plain[0]["probability"]


def test_predict_needs_an_image(prompt: Path) -> None:
    result = call("predict", prompt)
    assert result.exit_code == 2
    assert "name images, a folder, --table, --input or --watch, or - for stdin" in result.stderr
    assert "no such folder" in call("predict", prompt, "--watch", "none").stderr


def test_a_file_of_answers_is_added_to(prompt: Path, folder: Path) -> None:
    names = [str(folder / f"A/{n}.png") for n in range(3)]
    assert call("predict", prompt, *names[:2], "-o", "answers.jsonl").stdout == ""
    with Path("answers.jsonl").open("a") as file:
        file.write(f'{{"image": "{names[2]}", "error": "gone"}}\n{{"image": "torn')
    call("predict", prompt, *names, "-o", "answers.jsonl")
    text = Path("answers.jsonl").read_text()
    assert text.count('"label"') == 3
    assert json.loads(text.splitlines()[-1])["image"] == names[2]


class Time:
    """A clock that is moved by hand; files are written at its hour."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        os.utime(path, (self.now, self.now))


def test_the_watched_folder(tmp_path: Path, make_picture: MakePicture) -> None:
    clock = Time()
    whole = make_picture(tmp_path / "out.png", 3).read_bytes()
    watched = tmp_path / "in"
    watched.mkdir()
    clock.write(watched / "old.png", whole)
    clock.now += 100
    watch = Watch(watched, clock=lambda: clock.now)
    assert watch.ready() == [str(watched / "old.png")], "what is there already comes first"
    assert watch.ready() == [], "and once"
    clock.write(watched / "new.png", whole[:40])
    clock.write(watched / "new.png.part", whole)
    clock.write(watched / "notes.txt", b"x")
    for _ in range(5):
        clock.now += 1
        assert watch.ready() == [], "half an image is waited for"
    clock.write(watched / "new.png", whole)
    assert watch.ready() == []
    clock.now += 1
    assert watch.ready() == [str(watched / "new.png")]
    clock.write(watched / "torn.png", whole[:40])
    assert watch.ready() == []
    clock.now += 31
    assert watch.ready() == [str(watched / "torn.png")], "in the end even a broken one is reported"
    clock.write(watched / "new.png", whole + b" ")
    watch.ready()
    clock.now += 1
    assert watch.ready() == [str(watched / "new.png")], "a new version is asked about again"
    for path in watched.iterdir():
        path.unlink()
    assert watch.ready() == []
    assert not watch._taken
    assert not watch._seen


def test_pipes_in_a_watched_folder_are_skipped_with_a_notice(
    tmp_path: Path, make_picture: MakePicture
) -> None:
    said = list[str]()
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    later = make_picture(tmp_path / "c.png")
    watch = Watch(tmp_path, clock=lambda: time.time() + 3600, say=said.append)
    assert watch.ready() == [str(later)]
    assert watch.ready() == []
    assert [text.split(":")[0] for text in sorted(said)] == [
        str(tmp_path / "a.png"),
        str(tmp_path / "b.png"),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_cleanly(prompt: Path, folder: Path, number: signal.Signals) -> None:
    watched = folder.parent / "watched"
    watched.mkdir()
    words = [
        sys.executable,
        "-m",
        "idealprompt_cli",
        "predict",
        str(prompt),
        "--watch",
        str(watched),
    ]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    lines: list[dict[str, object]] = []
    with process:
        for label in "AB":
            old = time.time() - 100
            (watched / f"{label}.tmp").write_bytes((folder / f"{label}/0.png").read_bytes())
            os.utime(watched / f"{label}.tmp", (old, old))
            place = watched / f"{label}/"
            place.mkdir()
            (watched / f"{label}.tmp").rename(place / "0.png")
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(number)
        try:
            out, notices = process.communicate(timeout=60)
        finally:
            process.kill()
    assert [line["label"] for line in lines] == ["A", "B"]
    assert [line["image"] for line in lines] == [str(watched / f"{label}/0.png") for label in "AB"]
    assert process.returncode == 0
    assert out == ""
    assert notices.splitlines()[-1] == "Stopped."


def test_predict_a_folder(prompt: Path, folder: Path) -> None:
    (folder / "A/.hidden.png").write_text("not an image")
    (folder / "A/notes.txt").write_text("not an image")
    result = call("predict", prompt, folder / "A", folder / "B/1.png", "-q")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["A"] * 10 + ["B"]
    assert lines[0]["image"] == str(folder / "A/0.png")
    Path("empty").mkdir()
    empty = call("predict", prompt, "empty")
    assert empty.exit_code == 1
    assert json.loads(empty.stdout) == {
        "image": "empty",
        "error": "empty: the folder has no images",
    }


def test_predict_a_table_and_json_lines(prompt: Path, folder: Path) -> None:
    (folder / "rows.csv").write_text("image,price\nA/0.png,3\nnone.png,4\nB/0.png,5\n")
    table = call("predict", prompt, "--table", folder / "rows.csv", "-q", "-o", "answers.jsonl")
    assert (table.exit_code, table.stdout) == (1, "")
    lines = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert [(line["row"], line.get("label")) for line in lines] == [(2, "A"), (3, None), (4, "B")]
    assert "no such image" in lines[1]["error"]
    call("predict", prompt, "--table", folder / "rows.csv", "-q", "-o", "answers.jsonl")
    more = Path("answers.jsonl").read_text().splitlines()[len(lines) :]
    assert [json.loads(line)["row"] for line in more] == [3], "only the row without an answer"
    stream = f'{{"image": "{folder}/B/2.png", "price": 7}}\n\n{folder}/A/2.png\n{{"image": 3\n'
    result = call("predict", prompt, "-", "-q", stdin=stream)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("label") for line in found] == ["B", "A", None]
    assert "<stdin>:4: not a JSON object" in found[2]["error"]
    wrong = call("predict", prompt, "--table", "nowhere.csv")
    assert wrong.exit_code == 1
    assert "nowhere.csv: cannot be read" in wrong.stderr


def test_predict_needs_the_fields_that_the_prompt_refers_to(prompt: Path, folder: Path) -> None:
    picture, seed = folder / "A/0.png", ("-q", "--use", "baseline")
    unknown = call("predict", prompt, picture, "--input", "title=x", *seed)
    assert unknown.exit_code == 2
    assert "--input title: the prompt refers to no such field" in unknown.stderr
    text = prompt.read_text()
    assert "  question: Which code?" in text
    prompt.write_text(
        text.replace("  question: Which code?", "  question: Which code has {title}?")
    )
    missing = json.loads(call("predict", prompt, picture, *seed).stdout)
    assert missing["error"].startswith("the prompt refers to {title}: give --input title=TEXT")
    misspelt = call("predict", prompt, picture, "--input", "titel=x", *seed)
    assert "did you mean title?" in misspelt.stderr
    (folder / "rows.csv").write_text("image,name\nA/0.png,mug\n")
    table = call("predict", prompt, "--table", folder / "rows.csv", *seed)
    assert "the prompt refers to {title}, which is none of the columns image, name" in table.stderr
    found = json.loads(call("predict", prompt, picture, "--input", "title=x", *seed).stdout)
    assert found["input"] == {"title": "x"}
    prompt.write_text(text.replace("  question: Which code?", "  question: Which {code?"))
    assert (
        ".question: has a '{' that names no field" in call("predict", prompt, picture, *seed).stderr
    )


def test_predict_with_fields_and_without_a_picture(prompt: Path, folder: Path) -> None:
    """The model is asked with the field's text in the place of the question's placeholder."""
    script = {
        "rules": [
            {"when": "the striped mug", "scores": {"A": -0.1, "B": -3.0}},
            {"when": "the dotted cup", "scores": {"A": -3.0, "B": -0.1}},
        ]
    }
    Path("fields.yaml").write_text(json.dumps(script))
    data = yaml.safe_load(prompt.read_text())
    data["baseline"]["question"] = "Which code has {title}?"
    prompt.write_text(yaml.safe_dump(data))
    words = ("predict", prompt, "--use", "baseline", "-m", "fields.yaml", "-q")
    (folder / "rows.csv").write_text(
        "title,image\nthe striped mug,A/0.png\nthe dotted cup,A/0.png\nthe dotted cup,\n"
    )
    result = call(*words, "--table", folder / "rows.csv")
    assert result.exit_code == 0, result.stdout
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["label"] for line in lines] == ["A", "B", "B"]
    assert lines[0]["input"]["title"] == "the striped mug"
    assert "image" not in lines[2]
    alone = call(*words, "--input", "title=the striped mug")
    assert json.loads(alone.stdout)["label"] == "A"
    stream = '{"title": "the dotted cup"}\n'
    assert json.loads(call(*words, "-", stdin=stream).stdout)["label"] == "B"
