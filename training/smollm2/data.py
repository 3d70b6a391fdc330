"""The photographs of the three domains, as uint8 tensors in memory, with facts and splits.

Splits: `products` brings its own (`train` or `bench`); textiles and solar cells are split by name
(splits.py). `valid` is a twentieth of train for learning curves; it is never trained on.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.smollm2.splits import hashed_split, held_back
from training.smollm2.words import Facts, of_product, of_solar, of_textile

TEXTILE_PACKAGE, SOLAR_PACKAGE = "conformal_clip_data", "elpv_dataset"
SOLAR_LABELS = {"0.0": "0", "0.3333333333333333": "1/3", "0.6666666666666666": "2/3", "1.0": "1"}


@dataclass(frozen=True)
class Photo:
    """One picture file: `label` is the raw label of its data set, `split` train/valid/bench."""

    domain: str
    name: str
    path: Path
    label: str
    split: str
    facts: Facts
    row: dict[str, str]


def package_folder(package: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install {package.replace('_', '-')}")
    return Path(spec.origin).parent


def product_photos(data: Path) -> list[Photo]:
    """Photographs of `data`/products, in the order of products.csv."""
    folder = data / "products"
    with (folder / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    files = {p.stem: p for p in (folder / "images").iterdir()}
    photos = []
    for row in rows:
        split = row["split"] if row["split"] == "bench" else held_back(f"products/{row['id']}")
        photos.append(
            Photo("products", row["id"], files[row["id"]], row["articleType"], split,
                  of_product(row), row)
        )  # fmt: skip
    return photos


def textile_photos() -> list[Photo]:
    root = package_folder(TEXTILE_PACKAGE) / "data" / "textile_images" / "simulated"
    photos = []
    for path in sorted(root.glob("*/*.jpg")):
        label, name = path.parent.name, f"textiles/{path.parent.name}/{path.name}"
        facts = of_textile(label)
        photos.append(Photo("textiles", name, path, label, hashed_split(name), facts, {}))
    return photos


def solar_photos() -> list[Photo]:
    root = package_folder(SOLAR_PACKAGE) / "data"
    photos = []
    for line in (root / "labels.csv").read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        file, chance, crystal = line.split()
        name, label = f"solar/{file}", SOLAR_LABELS[chance]
        facts = of_solar(label, crystal)
        row = {"crystal": crystal}
        photos.append(Photo("solar", name, root / file, label, hashed_split(name), facts, row))
    return photos


def all_photos(data: Path) -> list[Photo]:
    return [*product_photos(data), *textile_photos(), *solar_photos()]


def chosen(photos: Sequence[Photo], domain: str, split: str) -> list[Photo]:
    return [p for p in photos if p.domain == domain and p.split == split]


def pixels(photos: Sequence[Photo]) -> Tensor:
    """(N, 3, H, W) uint8 at the pictures' own size."""
    arrays = []
    for photo in photos:
        with Image.open(photo.path) as image:
            arrays.append(np.asarray(image.convert("RGB")))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def data_hash(photos: Sequence[Photo]) -> str:
    """SHA-256 over names, splits and file contents, in order."""
    digest = hashlib.sha256()
    for photo in photos:
        digest.update(f"{photo.name} {photo.split} {photo.label}\n".encode())
        digest.update(photo.path.read_bytes())
    return digest.hexdigest()
