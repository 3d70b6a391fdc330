"""The models of the benchmark: the demonstration model, SmolLM2 with its published weights and the
vision tower of this package, and random weights in true sizes.

`files(name, cache)` gives (text GGUF, mmproj GGUF), written into the cache once. Random weights
cost exactly what trained ones do; what such a model says means nothing. Sizes are those of the
published configurations of SmolVLM-256M-Instruct and Qwen2-VL-2B-Instruct. Where a Q4_0 file's
output matrix would be Q6_K, it is Q8_0 here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from idealprompt_cli.engines.llama_cpp.native import library
from idealprompt_cli.runs.models import NAMED

from .workload import words
from .writer import Kind, Shape, Writer, add_vocabulary, vocabulary

DEMO = Path(__file__).resolve().parent.parent.parent / "idealprompt_cli" / "models" / "demo"
SMOLLM2 = "smollm2"
EDITION = 3
"""Raised when the files change, so that cached ones are written again."""

SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
CHATML_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A published model's sizes and conventions. `tied`: the output matrix is the embedding's."""

    name: str
    arch: str
    text: Shape
    vocab: int
    rope_base: float
    tied: bool
    template: str
    specials: tuple[str, ...]
    end: str
    vision: Callable[[Writer, int], None]
    vision_shape: Shape


def names() -> list[str]:
    """All models, the smallest first."""
    return [
        "demo",
        SMOLLM2,
        *(f"{family}-{kind}" for family in FAMILIES for kind in ("q8_0", "q4_0")),
    ]


def files(name: str, cache: Path) -> tuple[Path, Path]:
    """(text GGUF, mmproj GGUF) of a model, written if they are not there yet."""
    if name == "demo":
        return DEMO / "model.gguf", DEMO / "mmproj.gguf"
    if name == SMOLLM2:
        pair = NAMED[SMOLLM2]()
        assert pair.mmproj is not None
        return pair.text, pair.mmproj
    family, _, kind = name.rpartition("-")
    spec = FAMILIES[family]
    folder = cache / f"models-{EDITION}"
    folder.mkdir(parents=True, exist_ok=True)
    text, mmproj = folder / f"{name}.gguf", folder / f"mmproj-{family}.gguf"
    if not text.is_file():
        weights: Kind = "Q4_0" if kind == "q4_0" else "Q8_0"
        _write_whole(text, lambda path: write_text(spec, path, weights))
    if not mmproj.is_file():
        _write_whole(mmproj, lambda path: write_vision(spec, path))
    return text, mmproj


def bfloat16(path: Path, cache: Path) -> Path:
    """The copy in bfloat16 of a model's file; what `--weights bf16` computes with."""
    copy = cache / f"models-{EDITION}" / f"{path.stem}-bf16.gguf"
    copy.parent.mkdir(parents=True, exist_ok=True)
    if not copy.is_file():
        _write_whole(copy, lambda new: library.write_bfloat16(path, new, 1))
    return copy


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        write(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_text(spec: Family, path: Path, kind: Kind) -> None:
    """The text half, matrices in `kind`."""
    writer = Writer(path, spec.arch, spec.name + "text", spec.text)
    shape, known = spec.text, words()
    base = len(vocabulary(known, spec.specials)[0])
    add_vocabulary(writer.file, known, spec.specials, spec.vocab - base, spec.end, None)
    writer.file.add_chat_template(spec.template)
    writer.meta(general__name=f"{spec.name}-shaped", general__file_type=2 if kind == "Q4_0" else 7)
    writer.meta(
        context_length=shape.context,
        embedding_length=shape.width,
        block_count=shape.layers,
        feed_forward_length=shape.feed,
        attention__head_count=shape.heads,
        attention__head_count_kv=shape.kv_heads,
        attention__layer_norm_rms_epsilon=1e-5,
        rope__freq_base=spec.rope_base,
        rope__dimension_count=shape.head,
        vocab_size=spec.vocab,
    )
    if spec.arch == "qwen2vl":
        third = shape.head // 16
        writer.meta(rope__dimension_sections=[2 * third, 3 * third, 3 * third, 0])
    writer.blocks("token_embd.weight", spec.vocab, shape.width, "Q8_0" if spec.tied else kind)
    for layer in range(shape.layers):
        _text_layer(writer, f"blk.{layer}", kind, bias=spec.arch == "qwen2vl")
    writer.norm("output_norm", shape.width)
    if not spec.tied:
        writer.blocks("output.weight", spec.vocab, shape.width, "Q8_0")
    writer.close()


def _text_layer(writer: Writer, name: str, kind: Kind, bias: bool) -> None:
    width, feed, kv = writer.shape.width, writer.shape.feed, writer.shape.kv
    writer.norm(f"{name}.attn_norm", width)
    writer.norm(f"{name}.ffn_norm", width)
    for part, rows in (("attn_q", width), ("attn_k", kv), ("attn_v", kv)):
        writer.blocks(f"{name}.{part}.weight", rows, width, kind)
        if bias:
            writer.bias(f"{name}.{part}.bias", rows)
    writer.blocks(f"{name}.attn_output.weight", width, width, kind)
    writer.blocks(f"{name}.ffn_gate.weight", feed, width, kind)
    writer.blocks(f"{name}.ffn_up.weight", feed, width, kind)
    writer.blocks(f"{name}.ffn_down.weight", width, feed, kind)


def write_vision(spec: Family, path: Path) -> None:
    """The vision half, matrices in Q8_0."""
    writer = Writer(path, "clip", spec.name + "vision", spec.vision_shape)
    spec.vision(writer, spec.text.width)
    writer.close()


def _tower(writer: Writer, projector: str, projected: int) -> None:
    """What both vision towers share: patches, pre-norm layers, a last norm."""
    shape = writer.shape
    writer.key("clip.has_vision_encoder", True)
    writer.key("clip.projector_type", projector)
    writer.meta(general__file_type=7, general__type="mmproj")
    for name, value in {
        "image_size": shape.image, "patch_size": shape.patch, "embedding_length": shape.width,
        "feed_forward_length": shape.feed, "block_count": shape.layers,
        "projection_dim": projected, "attention.head_count": shape.heads,
        "attention.layer_norm_epsilon": 1e-6, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }.items():  # fmt: skip
        writer.key(f"clip.vision.{name}", value)
    writer.weight("v.patch_embd.weight", shape.width, 3, shape.patch, shape.patch)
    for layer in range(shape.layers):
        name = f"v.blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            _linear(writer, f"{name}.{part}", shape.width, shape.width)
        writer.norm(f"{name}.ln1", shape.width, bias=True)
        writer.norm(f"{name}.ln2", shape.width, bias=True)
        _linear(writer, f"{name}.ffn_up", shape.feed, shape.width)
        _linear(writer, f"{name}.ffn_down", shape.width, shape.feed)
    writer.norm("v.post_ln", shape.width, bias=True)


def _linear(writer: Writer, name: str, out: int, into: int) -> None:
    writer.blocks(f"{name}.weight", out, into, "Q8_0")
    writer.bias(f"{name}.bias", out)


def _idefics3(writer: Writer, projected: int) -> None:
    """SigLIP with learned positions; 16 patches become one token; tiles and an overview. The
    longest edge is two tiles: 2x2 tiles and the overview for these pictures, 320 tokens."""
    shape = writer.shape
    _tower(writer, "idefics3", projected)
    writer.key("clip.use_gelu", True)
    writer.key("clip.vision.projector.scale_factor", 4)
    writer.key("clip.vision.preproc_image_size", 2 * shape.image)
    writer.bias("v.patch_embd.bias", shape.width)
    writer.weight("v.position_embd.weight", (shape.image // shape.patch) ** 2, shape.width)
    writer.blocks("mm.model.fc.weight", projected, 16 * shape.width, "Q8_0")


def _qwen2vl(writer: Writer, projected: int) -> None:
    """Pictures of any size, rotary positions, quick GELU; four patches become one token."""
    shape = writer.shape
    _tower(writer, "qwen2vl_merger", projected)
    writer.weight("v.patch_embd.weight.1", shape.width, 3, shape.patch, shape.patch)
    _linear(writer, "mm.0", 4 * shape.width, 4 * shape.width)
    _linear(writer, "mm.2", projected, 4 * shape.width)


_TILES = tuple(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))

FAMILIES: dict[str, Family] = {
    "smolvlm-256m": Family(
        name="smolvlm-256m",
        arch="llama",
        text=Shape(width=576, layers=30, heads=9, kv_heads=3, feed=1536, context=8192),
        vocab=49280,
        rope_base=100000.0,
        tied=False,
        template=SMOLVLM_TEMPLATE,
        specials=(
            "<|im_start|>",
            "<fake_token_around_image>",
            "<global-img>",
            *_TILES,
            "<end_of_utterance>",
        ),
        end="<end_of_utterance>",
        vision=_idefics3,
        vision_shape=Shape(width=768, layers=12, heads=12, feed=3072, image=512, patch=16),
    ),
    "qwen2vl-2b": Family(
        name="qwen2vl-2b",
        arch="qwen2vl",
        text=Shape(width=1536, layers=28, heads=12, kv_heads=2, feed=8960, context=32768),
        vocab=151936,
        rope_base=1e6,
        tied=True,
        template=CHATML_TEMPLATE,
        specials=("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
        end="<|im_end|>",
        vision=_qwen2vl,
        vision_shape=Shape(width=1280, layers=32, heads=16, feed=5120, image=560, patch=14),
    ),
}
