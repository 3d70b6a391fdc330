"""Recipes for other people's data, each from `init` to `report`: on a scripted model with drawn
pictures, and on real tables where they are at hand."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.task import load_task

from ..conftest import MakePicture, call

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("IDEALPROMPT_TEST_DATA", ROOT.parent / "shared" / "data"))
PRODUCTS, BANKING = DATA / "products", DATA / "banking77"
needs_products = pytest.mark.skipif(not PRODUCTS.is_dir(), reason=f"no {PRODUCTS}")
needs_banking = pytest.mark.skipif(not BANKING.is_dir(), reason=f"no {BANKING}")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(name: str, header: Sequence[str], lines: Sequence[Sequence[object]]) -> Path:
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return Path(name)


def model(rules: list[dict[str, object]], **default: object) -> Path:
    Path("model.yaml").write_text(yaml.safe_dump({"rules": rules, "default": default}))
    return Path("model.yaml")


def run(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def to_report(task: str, *words: object) -> dict[str, object]:
    """Search, evaluate and report on a task; the artifact."""
    run("search", task, "-m", "model.yaml", "-o", "p.yaml", "--run-dir", "run", "-q", *words)
    assert json.loads(run("eval", "p.yaml", task, "-m", "model.yaml", "--json"))["value"] >= 0
    run("report", "run", "-o", "report.html", "-q")
    assert Path("report.html").stat().st_size > 1000
    found: dict[str, object] = yaml.safe_load(Path("p.yaml").read_text())
    return found


def test_questions_with_two_accepted_answers(make_picture: MakePicture) -> None:
    lines: list[tuple[object, ...]] = []
    rules: list[dict[str, object]] = []
    for number in range(12):
        make_picture(Path(f"images/{number:02}.png"), number)
        for asked, right in (("colour", ["red", "crimson"]), ("size", ["big", "large"])):
            lines.append((f"images/{number:02}.png", f"Which {asked}?", json.dumps(right)))
    for asked, other in (("colour", "crimson"), ("size", "large")):
        rules.append({"when": [f"Which {asked}?", "briefly"], "text": other})
    run("init", "vqa", "--from", table("vqa.csv", ("image", "question", "answers"), lines))
    model(rules, text="no idea")
    artifact = to_report("vqa", "--strategy", "output_format")
    assert artifact["scores"]["winner"]["test"]["value"] == 1.0  # type: ignore[index]
    assert artifact["prompt"]["question"] == "{question}"  # type: ignore[index]
    words = ("--input", "question=Which size?", "images/00.png")
    answer = json.loads(run("predict", "p.yaml", "-m", "model.yaml", *words))
    assert answer["answer"] == "large"


def test_does_the_title_fit_the_picture(make_picture: MakePicture) -> None:
    lines = []
    for number in range(12):
        make_picture(Path(f"{'red' if number % 4 < 2 else 'blue'}{number:02}.png"), number)
    for number, path in enumerate(sorted(Path().glob("*.png"))):
        title = "a red cup" if number % 2 else "a blue cup"
        lines.append((path.name, title, "yes" if path.name.startswith(title[2:5]) else "no"))
    asked = "Does the title '{title}' fit the image?"
    run("init", "fits", "--from", table("t.csv", ("file", "title", "fits"), lines),
        "--question", asked)  # fmt: skip
    rules: list[dict[str, object]] = [
        {"image": colour, "when": f"a {title}", "scores": {"yes": -1.0 + same, "no": -0.5}}
        for colour in ("red", "blue")
        for title in ("red", "blu")
        for same in [float(colour.startswith(title))]
    ]
    model(rules, text="a cup", score=-5.0)
    artifact = to_report("fits", "--strategy", "cues")
    assert artifact["scores"]["baseline"]["test"]["value"] == 1.0  # type: ignore[index]
    assert load_task(Path("fits")).fields == ("title",)


def test_texts_alone() -> None:
    lines = [(f"{('lost', 'late')[n % 2]} card {n}", ("K7", "M2")[n % 2]) for n in range(24)]
    run("init", "intents", "--from", table("t.csv", ("text", "category"), lines))
    rules: list[dict[str, object]] = [
        {"when": "lost card", "scores": {"K7": -0.1, "M2": -2.0}},
        {"when": "late card", "scores": {"K7": -2.0, "M2": -0.1}},
    ]
    model(rules, text="a card", score=-5.0)
    artifact = to_report("intents", "--strategy", "cues")
    assert artifact["scores"]["baseline"]["test"]["value"] == 1.0  # type: ignore[index]
    lines_out = run("predict", "p.yaml", "-m", "model.yaml", "--input", "text=a lost card of mine")
    assert json.loads(lines_out)["label"] == "K7"


def test_texts_with_images_and_without(make_picture: MakePicture) -> None:
    lines = []
    for number in range(24):
        make_picture(Path(f"{number}.png"), number)
        kind = ("lost", "late")[number % 2]
        lines.append((f"{number}.png" if number % 3 else "", f"{kind} card {number}", kind))
    words = ("--question", "{text}. Lost or late?")
    run("init", "mixed", "--from", table("t.csv", ("file", "text", "label"), lines), *words)
    rules: list[dict[str, object]] = [
        {"when": f"{kind} card", "scores": {kind: -0.1, other: -2.0}}
        for kind, other in (("lost", "late"), ("late", "lost"))
    ]
    model(rules, text="a card", score=-5.0)
    artifact = to_report("mixed", "--strategy", "cues")
    assert artifact["scores"]["baseline"]["test"]["value"] == 1.0  # type: ignore[index]
    shown = {bool(one.images) for one in load_task(Path("mixed")).train}
    assert shown == {True, False}


# --- labels and splits without an option ---------------------------------------------------------


def sizes(task: str) -> tuple[tuple[str, ...], int, int, int]:
    found = load_task(Path(task))
    return found.labels, len(found.train), len(found.validation), len(found.test)


def test_class_folders(make_picture: MakePicture) -> None:
    for number in range(20):
        make_picture(Path("photos", ("good", "bad")[number % 2], f"{number}.png"), number)
    run("init", "photos")
    assert sizes("photos") == (("bad", "good"), 12, 0, 8)


def test_folders_that_another_tool_split(make_picture: MakePicture) -> None:
    for number in range(24):
        part = ("train", "train", "val", "test")[number // 2 % 4]
        make_picture(Path("data", part, ("good", "bad")[number % 2], f"{number}.png"), number)
    run("init", "data")
    assert sizes("data") == (("bad", "good"), 12, 6, 6)


def test_a_table_with_ids(make_picture: MakePicture) -> None:
    for number in range(100, 120):
        make_picture(Path("images", f"{number}.png"), number)
    rows = [(number, ("good", "bad")[number % 2]) for number in range(100, 120)]
    run("init", "seams", "--from", table("log.csv", ("id", "verdict"), rows))
    assert sizes("seams") == (("bad", "good"), 12, 0, 8)
    assert all(one.images for one in load_task(Path("seams")).train)


# --- real tables ---------------------------------------------------------------------------------


@needs_products
def test_a_table_of_44446_products_with_ids() -> None:
    out = run(
        "init", "shop", "--from", PRODUCTS / "styles.csv",
        "--image-template", "images/{id}.jpg", "--label-column", "masterCategory",
        "--skip-missing", "--min-per-label", 30, "--train", 32, "--test", 200,
    )  # fmt: skip
    task = load_task(Path("shop"))
    assert (len(task.train), len(task.test)) == (32, 200)
    assert task.metric == "balanced_accuracy"
    assert "36326 rows name an image that is not there and are left out" in out
    assert {one.answer for one in task.train} == set(task.labels)


@needs_products
@pytest.mark.model
def test_from_the_table_to_a_verdict_with_the_embedded_model() -> None:
    run(
        "init", "shop", "--from", PRODUCTS / "styles.csv",
        "--image-template", "images/{id}.jpg", "--label-column", "masterCategory",
        "--skip-missing", "--min-per-label", 1000, "--train", 8, "--test", 12,
    )  # fmt: skip
    run("search", "shop", "-o", "p.yaml", "--run-dir", "run", "--budget", 40, "-q")
    assert yaml.safe_load(Path("p.yaml").read_text())["verdict"]
    run("report", "run", "-o", "report.html", "-q")


@needs_banking
def test_six_intents_of_customers() -> None:
    intents = ("card_arrival", "change_pin", "age_limit", "exchange_rate", "top_up_failed",
               "lost_or_stolen_card")  # fmt: skip
    chosen = [word for name in intents for word in ("--label", name)]
    sample = ("--train", 48, "--test", 200)
    out = run("init", "bank", "--from", BANKING / "train.csv", *chosen, *sample)
    assert "rows repeat an earlier one" in out
    task = load_task(Path("bank"))
    assert (task.fields, len(task.labels)) == (("text",), 6)
    assert (len(task.train), len(task.test)) == (48, 200)
    assert not any(one.images for one in (*task.train, *task.test))


def test_solar_cells_as_the_package_has_them() -> None:
    package = pytest.importorskip("elpv_dataset")
    labels = Path(package.__file__).parent / "data" / "labels.csv"
    out = run("init", "cells", "--from", labels, "--label-column", "3",
              "--train", 20, "--test", 40)  # fmt: skip
    assert "no header: the columns are called 1, 2, 3" in out
    assert load_task(Path("cells")).labels == ("mono", "poly")
