"""Writes the tower of a checkpoint as an mmproj GGUF (F16 matrices) that any llama.cpp loads.

`python -m training.smollm2.export --checkpoint C --out mmproj.gguf [--quant q8_0|f16|f32]`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from training.model import VisionModel
from training.smollm2.tower import CONFIG

NAME = "Eyes for SmolLM2-135M-Instruct"
ABOUT = "Vision tower for the unchanged SmolLM2-135M-Instruct, trained by training/smollm2"
PARTS = (
    ("ln1", "ln1"), ("ln2", "ln2"), ("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"),
    ("attn_out", "o"), ("ffn_up", "up"), ("ffn_down", "down"),
)  # fmt: skip
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}


def load_tower(checkpoint: Path, which: str = "average") -> VisionModel:
    """The averaged weights of a checkpoint, on the CPU."""
    state = torch.load(checkpoint, map_location="cpu")["modules"][which]
    tower = VisionModel(CONFIG)
    tower.load_state_dict(state)
    return tower.eval()


def add(writer: gguf.GGUFWriter, name: str, tensor: Tensor, quant: str) -> None:
    """Matrices as `quant`; vectors, positions and the patch embedding stay F32."""
    data = np.ascontiguousarray(tensor.detach().float().numpy())
    if quant == "f32" or data.ndim != 2 or name.startswith("v.position"):
        writer.add_tensor(name, data)
    elif quant == "f16":
        writer.add_tensor(name, data.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(data, Q.Q8_0), raw_dtype=Q.Q8_0)


def add_metadata(writer: gguf.GGUFWriter, quant: str) -> None:
    c = CONFIG
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(NAME)
    writer.add_description(ABOUT)
    writer.add_license("MIT")
    writer.add_file_type(FILE_TYPES[quant])
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.JANUS_PRO)
    writer.add_vision_image_size(c.image)
    writer.add_vision_patch_size(c.patch)
    writer.add_vision_embedding_length(c.width)
    writer.add_vision_feed_forward_length(c.hidden)
    writer.add_vision_block_count(c.layers)
    writer.add_vision_head_count(c.heads)
    writer.add_vision_projection_dim(c.out)
    writer.add_vision_attention_layernorm_eps(c.eps)
    writer.add_vision_image_mean([0.5, 0.5, 0.5])
    writer.add_vision_image_std([0.5, 0.5, 0.5])
    writer.add_vision_use_gelu(True)


def export(tower: VisionModel, path: Path, quant: str) -> None:
    """Write under a temporary name, then rename."""
    partial = path.with_name(f"partial-{path.name}")
    writer = gguf.GGUFWriter(str(partial), "clip")
    add_metadata(writer, quant)
    add(writer, "v.patch_embd.weight", tower.patch.weight, quant)
    add(writer, "v.patch_embd.bias", tower.patch.bias, quant)
    add(writer, "v.position_embd.weight", tower.positions, quant)
    named = [
        (f"v.blk.{i}.{name}", getattr(layer, attribute))
        for i, layer in enumerate(tower.layers)
        for name, attribute in PARTS
    ]
    ends = [("v.post_ln", tower.post_ln), ("mm.0", tower.mm0), ("mm.1", tower.mm1)]
    for name, module in [*named, *ends]:
        add(writer, f"{name}.weight", module.weight, quant)
        add(writer, f"{name}.bias", module.bias, quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
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
