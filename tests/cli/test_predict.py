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

from idealprompt_cli.cli.image_inputs import Watch

from ..conftest import MakePicture, call


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
    bad.write_text("no picture")
    names = [folder / "A/0.png", "none.png", bad, folder / "B/0.png"]
    result = call("predict", prompt, "-", stdin="".join(f"{name}\n" for name in names))
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("label") for line in lines] == ["A", None, None, "B"]
    assert "no such picture" in lines[1]["error"]
    assert "not a picture" in lines[2]["error"]


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
    assert "the prompt is for 2 picture(s) at a time and this is 1" in lines[1]["error"]


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
    assert "name pictures, - for names from stdin, or a folder with --watch" in result.stderr
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
        assert watch.ready() == [], "half a picture is waited for"
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
    with process:
        for label in "AB":
            old = time.time() - 100
            (watched / f"{label}.tmp").write_bytes((folder / f"{label}/0.png").read_bytes())
            os.utime(watched / f"{label}.tmp", (old, old))
            place = watched / f"{label}/"
            place.mkdir()
            (watched / f"{label}.tmp").rename(place / "0.png")
            line = json.loads(process.stdout.readline())
            assert (line["label"], line["image"]) == (label, str(place / "0.png"))
        process.send_signal(number)
        try:
            out, notices = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert out == ""
    assert notices.splitlines()[-1] == "Stopped."
