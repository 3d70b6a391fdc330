"""Task folders of the real tasks: `task.yaml`, `metadata.csv` and copies of the pictures."""

from __future__ import annotations

import contextlib
import csv
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import yaml

from .catalogue import EVERY, RealTask
from .sources import MissingData, Row, rows

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
# name of the folder's copy of the picture, label, split, text fields
Line = tuple[Row, str, str, dict[str, str]]


def drawn(name: str, data: Path = DATA, seed: int = 0, train: int = 0) -> list[Line]:
    """The examples of a task, the same for the same seed; `train` in place of the task's own number
    of training examples. Raises `MissingData` where the data is not there, and where it has too few
    rows of a label."""
    task = replace(EVERY[name], train=train or EVERY[name].train)
    rng = Random(f"{name} {seed}")
    all_rows = rows(task.source, data)
    by_label: dict[str, list[tuple[Row, dict[str, str]]]] = {label: [] for label in task.labels}
    for row in rng.sample(all_rows, len(all_rows)):
        if found := task.rule(row, all_rows, rng):
            by_label[found[0]].append((row, found[1]))
    lines = []
    for split, count in (("train", task.train), ("test", task.test)):
        for place, label in enumerate(task.labels):
            share = count // len(task.labels) + (place < count % len(task.labels))
            lines += [
                (row, label, split, fields)
                for row, fields in _taken(by_label[label], split, share, name, label)
            ]
    return rng.sample(lines, len(lines))  # fmt: skip


def _taken(
    left: list[tuple[Row, dict[str, str]]], split: str, count: int, name: str, label: str
) -> list[tuple[Row, dict[str, str]]]:
    """The first `count` rows that may be in this split; they are removed from those left."""
    taken = [item for item in left if item[0].split in ("", split)][:count]
    if len(taken) < count:
        raise MissingData(f"{name}: {len(taken)} {split} rows of label {label}, {count} are needed")
    left[:] = [item for item in left if item not in taken]
    return taken


def write_task(name: str, out: Path, data: Path = DATA, seed: int = 0, train: int = 0) -> Path:
    """Write one task's folder into `out` and return it; one that is there already is left alone.
    `train` as for `drawn`.

    Raises `MissingData`.
    """
    folder = out / name
    if folder.exists():
        return folder
    lines = drawn(name, data, seed, train)
    out.mkdir(parents=True, exist_ok=True)
    # Written elsewhere and moved into place whole: two processes may write at a time.
    with tempfile.TemporaryDirectory(dir=out) as place:
        made = Path(place) / name
        made.mkdir()
        _write_settings(EVERY[name], name, made)
        _write_rows(lines, made)
        with contextlib.suppress(OSError):
            made.rename(folder)
    return folder


def _write_settings(task: RealTask, name: str, folder: Path) -> None:
    settings = {
        "name": name, "question": task.question, "labels": list(task.labels), "metric": "accuracy",
    }  # fmt: skip
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    (folder / "task.yaml").write_text(text, encoding="utf-8")


def _write_rows(lines: Sequence[Line], folder: Path) -> None:
    columns = sorted({name for *_, fields in lines for name in fields})
    pictures = any(row.image for row, *_ in lines)
    header = [*(["file_name"] if pictures else []), "label", "split", *columns]
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for row, label, split, fields in lines:
            record = {"label": label, "split": split, **fields}
            if row.image:
                record["file_name"] = _copied(row.image, folder / "images" / split, row.name)
            writer.writerow(record)


def _copied(image: Path, folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}{image.suffix}"
    shutil.copyfile(image, target)
    return target.relative_to(folder.parent.parent).as_posix()
