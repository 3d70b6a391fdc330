"""The vision halves of `tiny_models.py`: one function per projector, with llama.cpp's names."""

from __future__ import annotations

from benchmarks.engine.writer import Writer


def vit(
    writer: Writer, projector: str, positions: int | None = None, norm_bias: bool = True
) -> None:
    """The common vision tower: patches, learned positions, pre-norm layers, a last norm."""
    shape = writer.shape
    width = shape.width
    writer.key("clip.has_vision_encoder", True)
    writer.key("clip.projector_type", projector)
    writer.key("clip.use_gelu", True)
    writer.meta(general__file_type=0, general__type="mmproj")
    for name, value in {
        "image_size": shape.image, "patch_size": shape.patch, "embedding_length": width,
        "feed_forward_length": shape.feed, "block_count": shape.layers, "projection_dim": width,
        "attention.head_count": shape.heads, "attention.layer_norm_epsilon": 1e-6,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    }.items():  # fmt: skip
        writer.key(f"clip.vision.{name}", value)
    writer.weight("v.patch_embd.weight", width, 3, shape.patch, shape.patch)
    count = (shape.image // shape.patch) ** 2 if positions is None else positions
    if count:
        writer.weight("v.position_embd.weight", count, width)
    for layer in range(shape.layers):
        name = f"v.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            writer.linear(f"{name}.{part}", width, width)
        writer.norm(f"{name}.ln1", width, norm_bias)
        writer.norm(f"{name}.ln2", width, norm_bias)
        writer.linear(f"{name}.ffn_up", shape.feed, width)
        writer.linear(f"{name}.ffn_down", width, shape.feed)
    writer.norm("v.post_ln", width, norm_bias)


def janus(writer: Writer) -> None:
    """One picture, one token per patch, two linear layers."""
    width = writer.shape.width
    vit(writer, "janus_pro")
    writer.bias("v.patch_embd.bias", width)
    writer.linear("mm.0", width, width)
    writer.linear("mm.1", width, width)


def llava(writer: Writer) -> None:
    """LLaVA-1.5: a class token, the last layer left out, two linear layers."""
    shape = writer.shape
    vit(writer, "mlp", positions=(shape.image // shape.patch) ** 2 + 1)
    writer.bias("v.class_embd", shape.width)
    writer.norm("v.pre_ln", shape.width, bias=True)
    writer.linear("mm.0", shape.width, shape.width)
    writer.linear("mm.2", shape.width, shape.width)


def idefics3(writer: Writer) -> None:
    """SmolVLM: tiles of one size and an overview, four patches shuffled into one token."""
    shape = writer.shape
    vit(writer, "idefics3")
    writer.bias("v.patch_embd.bias", shape.width)
    writer.key("clip.vision.projector.scale_factor", 2)
    writer.key("clip.vision.preproc_image_size", 2 * shape.image)
    writer.linear("mm.model.fc", shape.width, 4 * shape.width, bias=False)


def qwen2vl(writer: Writer) -> None:
    """Qwen2-VL: any size, rotary positions in two dimensions, four patches to a token."""
    shape = writer.shape
    vit(writer, "qwen2vl_merger", positions=0)
    writer.weight("v.patch_embd.weight.1", shape.width, 3, shape.patch, shape.patch)
    writer.linear("mm.0", 4 * shape.width, 4 * shape.width)
    writer.linear("mm.2", shape.width, 4 * shape.width)


def qwen25vl(writer: Writer) -> None:
    """Qwen2.5-VL: as Qwen2-VL, with windowed attention and RMS norms."""
    shape = writer.shape
    vit(writer, "qwen2.5vl_merger", positions=0, norm_bias=False)
    writer.weight("v.patch_embd.weight.1", shape.width, 3, shape.patch, shape.patch)
    writer.key("clip.vision.n_wa_pattern", 2)
    for layer in range(shape.layers):
        writer.linear(f"v.blk.{layer}.ffn_gate", shape.feed, shape.width)
    writer.linear("mm.0", 4 * shape.width, 4 * shape.width)
    writer.linear("mm.2", shape.width, 4 * shape.width)


def gemma3(writer: Writer) -> None:
    """Gemma 3: patches pooled by two, normed, projected; decoded all at once."""
    width = writer.shape.width
    vit(writer, "gemma3")
    writer.bias("v.patch_embd.bias", width)
    writer.key("clip.vision.projector.scale_factor", 2)
    writer.weight("mm.input_projection.weight", width, width)
    writer.norm("mm.soft_emb_norm", width)


def internvl(writer: Writer) -> None:
    """InternVL: tiles by aspect ratio, a class token, layer scale, pixel shuffle, a normed MLP."""
    shape = writer.shape
    width = shape.width
    vit(writer, "internvl", positions=(shape.image // shape.patch) ** 2 + 1)
    writer.bias("v.patch_embd.bias", width)
    writer.bias("v.class_embd", width)
    for layer in range(shape.layers):
        writer.norm(f"v.blk.{layer}.ls1", width)
        writer.norm(f"v.blk.{layer}.ls2", width)
    writer.key("clip.vision.projector.scale_factor", 2)
    writer.key("clip.vision.preproc_max_tiles", 4)
    writer.norm("mm.model.mlp.0", 4 * width, bias=True)
    writer.linear("mm.model.mlp.1", width, 4 * width)
    writer.linear("mm.model.mlp.3", width, width)


def lfm2(writer: Writer) -> None:
    """LFM2-VL: any size, positions resized, four patches to a token, two linear layers."""
    width = writer.shape.width
    vit(writer, "lfm2")
    writer.bias("v.patch_embd.bias", width)
    writer.key("clip.vision.projector.scale_factor", 2)
    writer.norm("mm.input_norm", 4 * width, bias=True)
    writer.linear("mm.1", width, 4 * width)
    writer.linear("mm.2", width, width)


def minicpmv(writer: Writer) -> None:
    """MiniCPM-V 2.6: slices by aspect ratio and an overview, positions by place in a grid of 70,
    and a resampler whose few queries attend to all patches (one head of 128)."""
    width, queries = writer.shape.width, 8
    vit(writer, "resampler", positions=70 * 70)
    writer.bias("v.patch_embd.bias", width)
    writer.file.add_int32("clip.minicpmv_version", 3)
    writer.key("clip.minicpmv_query_num", queries)
    writer.weight("resampler.pos_embed_k", 16, width)  # loaded, but computed again
    writer.weight("resampler.query", queries, width)
    writer.weight("resampler.proj.weight", width, width)
    writer.weight("resampler.kv.weight", width, width)
    for part in ("q", "k", "v", "out"):
        writer.linear(f"resampler.attn.{part}", width, width)
    for part in ("q", "kv", "post"):
        writer.norm(f"resampler.ln_{part}", width, bias=True)
