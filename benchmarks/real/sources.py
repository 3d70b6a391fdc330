"""Rows of the real data sets: a picture or a text, and what is known of it by name."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from training.smollm2.splits import hashed_split
from training.smollm2.words import AUDIENCES, CATEGORIES, ITEMS, SHADES

Source = Literal["products", "textiles", "solar", "banking77"]
Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
PACKAGES: Mapping[Source, str] = {"textiles": "conformal_clip_data", "solar": "elpv_dataset"}


class MissingData(Exception):
    """A data set that is not on this machine; the message says what to install or copy."""


@dataclass(frozen=True)
class Row:
    """One picture (`image`) or one sentence (fact `text`). `split` is "train" or "test" where the
    source divides its rows, "" where a row may serve as either."""

    name: str
    image: Path | None
    facts: Mapping[str, str] = field(hash=False)
    split: Split | Literal[""] = ""


def rows(source: Source, data: Path) -> list[Row]:
    """All rows of a source that benchmarks may use. Raises `MissingData`."""
    return READERS[source](data)


def products(data: Path) -> list[Row]:
    """Catalogue photographs of the `bench` split, those whose facts have a plain English word."""
    folder = _there(data / "products")
    files = {path.stem: path for path in (folder / "images").iterdir()}
    found = []
    for row in _table(folder / "products.csv"):
        facts = {
            "item": ITEMS.get(row["articleType"], ""),
            "colour": SHADES.get(row["baseColour"], ""),
            "type": CATEGORIES.get(row["masterCategory"], ""),
            "for": AUDIENCES.get(row["gender"], ""),
            "usage": row["usage"].lower(),
            "article": row["articleType"],
        }
        if row["split"] == "bench" and row["id"] in files and all(facts.values()):
            found.append(Row(row["id"], files[row["id"]], facts))
    return found


def textiles(data: Path) -> list[Row]:
    """Photographs of fabric: grade "nominal", "local" (defect) or "global" (defect)."""
    del data
    root = _package("textiles") / "data" / "textile_images" / "simulated"
    return [
        Row(f"{path.parent.name}_{path.stem}", path, {"grade": path.parent.name})
        for path in sorted(root.glob("*/*.jpg"))
        if hashed_split(f"textiles/{path.parent.name}/{path.name}") == "bench"
    ]


def solar(data: Path) -> list[Row]:
    """Photographs of solar cells: the probability of a defect, in thirds ("0" to "3")."""
    del data
    root = _package("solar") / "data"
    found = []
    for line in (root / "labels.csv").read_text("utf-8").splitlines():
        if not line.strip():
            continue
        file, probability, crystal = line.split()
        if hashed_split(f"solar/{file}") == "bench":
            thirds = str(round(3 * float(probability)))
            found.append(Row(Path(file).stem, root / file, {"thirds": thirds, "crystal": crystal}))
    return found


def banking77(data: Path) -> list[Row]:
    """Customers' questions with their intents, divided as the data set divides them. A question
    that was asked before, but for case and marks, is left out."""
    folder = _there(data / "banking77")
    found: dict[str, Row] = {}
    for split in SPLITS:
        for number, row in enumerate(_table(folder / f"{split}.csv")):
            facts = {"text": " ".join(row["text"].split()), "intent": row["category"]}
            words = " ".join(re.findall(r"\w+", facts["text"].casefold()))
            found.setdefault(words, Row(f"{split}{number}", None, facts, split))
    return list(found.values())


READERS = {"products": products, "textiles": textiles, "solar": solar, "banking77": banking77}


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _there(folder: Path) -> Path:
    if not folder.is_dir():
        raise MissingData(f"{folder}: no such folder; give the folder of the data sets with --data")
    return folder


def _package(source: Source) -> Path:
    """Where a data package is installed, without importing it."""
    spec = find_spec(PACKAGES[source])
    if spec is None or spec.origin is None:
        name = PACKAGES[source].replace("_", "-")
        raise MissingData(f"the package {name} is not installed; pip install {name}")
    return Path(spec.origin).parent
