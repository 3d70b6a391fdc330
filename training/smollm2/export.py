"""Writes the tower of a checkpoint as an mmproj GGUF (F16 matrices) that any llama.cpp loads.

`python -m training.smollm2.export --checkpoint C --out mmproj.gguf [--quant q8_0|f16|f32]`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import torch

from training.export import FILE_TYPES, add_vision_metadata, add_vision_tensors, close
from training.model import VisionModel
from training.smollm2.tower import CONFIG

NAME = "Eyes for SmolLM2-135M-Instruct"
ABOUT = "Vision tower for the unchanged SmolLM2-135M-Instruct, trained by training/smollm2"


def load_tower(checkpoint: Path, which: str = "average") -> VisionModel:
    """The averaged weights of a checkpoint, on the CPU."""
    state = torch.load(checkpoint, map_location="cpu")["modules"][which]
    tower = VisionModel(CONFIG)
    tower.load_state_dict(state)
    return tower.eval()


def export(tower: VisionModel, path: Path, quant: str) -> None:
    """Write under a temporary name, then rename."""
    partial = path.with_name(f"partial-{path.name}")
    writer = gguf.GGUFWriter(str(partial), "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(NAME)
    writer.add_description(ABOUT)
    writer.add_license("MIT")
    add_vision_metadata(writer, CONFIG, quant)
    add_vision_tensors(writer, tower, quant)
    close(writer)
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quant", choices=FILE_TYPES, default="f16")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    export(load_tower(options.checkpoint), options.out, options.quant)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
