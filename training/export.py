"""Write a checkpoint as two GGUF files that any llama.cpp loads.

`python -m training.export --checkpoint C --tokenizer T --out FOLDER [--f32]`. Matrices become
Q8_0 (a matrix whose rows are no multiple of 32 stays F16); norms, biases, the patch embedding and
the positions stay F32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q
from torch import Tensor

from training.model import TextModel, VisionConfig, VisionModel, load_models
from training.tokens import CHAT_TEMPLATE, SPECIALS, START, TURN_END

NAME = "IdealPrompt Demo VLM"
CONTEXT = 2048
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
VISION_PARTS = (
    ("ln1", "ln1"), ("ln2", "ln2"), ("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"),
    ("attn_out", "o"), ("ffn_up", "up"), ("ffn_down", "down"),
)  # fmt: skip


def add(writer: gguf.GGUFWriter, name: str, tensor: Tensor, quant: str) -> None:
    """Add one tensor: matrices as `quant`, or F16 where a row does not divide into its blocks;
    vectors, positions and the patch embedding stay F32."""
    data = tensor.detach().float().numpy()
    if quant == "f32" or data.ndim != 2 or name.startswith("v.position"):
        writer.add_tensor(name, np.ascontiguousarray(data))
    elif quant == "f16" or data.shape[1] % 32:
        writer.add_tensor(name, np.ascontiguousarray(data.astype(np.float16)))
    else:
        writer.add_tensor(name, gguf.quants.quantize(data, Q.Q8_0), raw_dtype=Q.Q8_0)


def close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer: gguf.GGUFWriter, tokenizer: Path) -> None:
    """Byte-level BPE as llama.cpp's `gpt2` tokenizer."""
    model = json.loads(tokenizer.read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in SPECIALS else normal for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(model["vocab"][START])
    writer.add_eos_token_id(model["vocab"][TURN_END])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def export_text(model: TextModel, tokenizer: Path, path: Path, quant: str) -> None:
    c = model.c
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_name(NAME)
    writer.add_description("Small demonstration VLM trained by this repository's training/ folder")
    writer.add_license("MIT")
    writer.add_file_type(FILE_TYPES[quant])
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(c.width)
    writer.add_block_count(c.layers)
    writer.add_feed_forward_length(c.hidden)
    writer.add_head_count(c.heads)
    writer.add_head_count_kv(c.heads)
    writer.add_layer_norm_rms_eps(c.eps)
    writer.add_rope_freq_base(c.rope_base)
    add_vocabulary(writer, tokenizer)
    add(writer, "token_embd.weight", model.embed.weight, quant)
    add(writer, "output_norm.weight", model.norm.weight, quant)
    for i, layer in enumerate(model.layers):
        p = f"blk.{i}."
        add(writer, p + "attn_norm.weight", layer.attn_norm.weight, quant)
        add(writer, p + "ffn_norm.weight", layer.ffn_norm.weight, quant)
        for name in ("q", "k", "v"):
            add(writer, p + f"attn_{name}.weight", getattr(layer, name).weight, quant)
            add(writer, p + f"attn_{name}.bias", getattr(layer, name).bias, quant)
        add(writer, p + "attn_output.weight", layer.o.weight, quant)
        for name in ("gate", "up", "down"):
            add(writer, p + f"ffn_{name}.weight", getattr(layer, name).weight, quant)
    close(writer)


def add_vision_metadata(writer: gguf.GGUFWriter, c: VisionConfig, quant: str) -> None:
    """All that llama.cpp reads of the tower, beside the names."""
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


def add_vision_tensors(writer: gguf.GGUFWriter, model: VisionModel, quant: str) -> None:
    """The tower and its projector under llama.cpp's names."""
    add(writer, "v.patch_embd.weight", model.patch.weight, quant)
    add(writer, "v.patch_embd.bias", model.patch.bias, quant)
    add(writer, "v.position_embd.weight", model.positions, quant)
    named = [
        (f"v.blk.{i}.{name}", getattr(layer, attribute))
        for i, layer in enumerate(model.layers)
        for name, attribute in VISION_PARTS
    ]
    ends = [("v.post_ln", model.post_ln), ("mm.0", model.mm0), ("mm.1", model.mm1)]
    for name, module in [*named, *ends]:
        add(writer, f"{name}.weight", module.weight, quant)
        add(writer, f"{name}.bias", module.bias, quant)


def export_vision(model: VisionModel, path: Path, quant: str) -> None:
    writer = gguf.GGUFWriter(str(path), "clip")
    writer.add_type(gguf.GGUFType.MMPROJ)
    writer.add_name(NAME)
    add_vision_metadata(writer, model.c, quant)
    add_vision_tensors(writer, model, quant)
    close(writer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--f32", action="store_true")
    options = parser.parse_args()
    text, vision = load_models(options.checkpoint)
    quant = "f32" if options.f32 else "q8_0"
    options.out.mkdir(parents=True, exist_ok=True)
    export_text(text, options.tokenizer, options.out / "model.gguf", quant)
    export_vision(vision, options.out / "mmproj.gguf", quant)
    for path in (options.out / "model.gguf", options.out / "mmproj.gguf"):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
