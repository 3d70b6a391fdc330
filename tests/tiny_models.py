"""Tiny vision-language models with random weights, written as GGUF pairs by llama.cpp's own
conventions: a hundred kilobytes each, and every mechanism of the real architecture in them.

The text half is a byte-level BPE of about 300 tokens and two layers; the vision half a two-layer
ViT. `write_pair("smolvlm", folder)` gives (text, mmproj). Weights depend on the name only.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}<start_of_turn>"
    "{% if message['role'] == 'assistant' %}model{% else %}{{ message['role'] }}{% endif %}\n"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{{ part['text'] | trim }}{% endfor %}{% endif %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
VICUNA = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ message['content'] + ' ' }}"
    "{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}"
    "{% else %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

_PHRASES = (
    "What is in the picture Answer with label or one word red blue green cup hat yes no not "
    "striped dotted plain describe this item color object a an of and if it shows for"
)
_WORDS = _PHRASES.split()


@dataclass(frozen=True)
class Shape:
    """Sizes of both halves; `words` adds that many made-up tokens to the vocabulary."""

    width: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    feed: int = 128
    image: int = 32
    patch: int = 8
    words: int = 0
    context: int = 4096

    @property
    def head(self) -> int:
        return self.width // self.heads

    @property
    def kv(self) -> int:
        return self.head * self.kv_heads


@dataclass(frozen=True)
class Spec:
    """One model: `meta` and `tensors` add to the text half, `vision` writes the other half."""

    arch: str
    template: str
    specials: tuple[str, ...]
    end: str
    vision: Callable[[Writer], None]
    text: Callable[[Writer, int], None]
    bos: str | None = None
    shape: Shape = Shape()
    extra: dict[str, Any] = field(default_factory=dict)


class Writer:
    """A GGUF file being written, with its own random numbers."""

    def __init__(self, path: Path, arch: str, seed: str, shape: Shape, scale: float = 1.0) -> None:
        self.path, self.arch, self.shape = path, arch, shape
        self.file = gguf.GGUFWriter(str(path), arch)
        self.rng = np.random.default_rng(zlib.crc32(seed.encode()))
        self.scale = scale
        self.quantise = False

    def meta(self, **values: Any) -> None:
        """Keys with `__` for dots; under the architecture's name unless they say `general`."""
        for name, value in values.items():
            key = name.replace("__", ".")
            self.key(key if key.startswith(("general.", "clip.")) else f"{self.arch}.{key}", value)

    def key(self, key: str, value: Any) -> None:
        add = {bool: self.file.add_bool, int: self.file.add_uint32, float: self.file.add_float32}
        if isinstance(value, str):
            self.file.add_string(key, value)
        elif isinstance(value, (list, tuple)):
            self.file.add_array(key, list(value))
        else:
            add[type(value)](key, value)

    def weight(self, name: str, *shape: int) -> None:
        """A random matrix (rows, columns) that keeps the size of what goes through it."""
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        values = self.rng.standard_normal(shape) * self.scale / np.sqrt(fan_in)
        self._add(name, values.astype(np.float32))

    def bias(self, name: str, size: int) -> None:
        self._add(name, (self.rng.standard_normal(size) * 0.05).astype(np.float32))

    def norm(self, name: str, size: int, bias: bool = False) -> None:
        self._add(f"{name}.weight", np.ones(size, np.float32))
        if bias:
            self.bias(f"{name}.bias", size)

    def linear(self, name: str, out: int, into: int, bias: bool = True) -> None:
        self.weight(f"{name}.weight", out, into)
        if bias:
            self.bias(f"{name}.bias", out)

    def close(self) -> Path:
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()
        return self.path

    def _add(self, name: str, values: Array) -> None:
        looked_up = "position" in name  # ggml adds these as they are
        if self.quantise and values.ndim == 2 and values.shape[1] % 32 == 0 and not looked_up:
            kind = gguf.GGMLQuantizationType.Q8_0
            self.file.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            self.file.add_tensor(name, values)


def vocabulary(specials: tuple[str, ...], words: int = 0) -> tuple[list[str], list[int], list[str]]:
    """(tokens, types, merges) of a byte-level BPE: bytes, a few words, control tokens."""
    tokens = list(_byte_characters().values())
    merges: list[str] = []
    for word in _WORDS:
        for spelled in (word, "Ġ" + word):
            left = spelled[0]
            for character in spelled[1:]:
                if f"{left} {character}" not in merges:
                    merges.append(f"{left} {character}")
                left += character
                if left not in tokens:
                    tokens.append(left)
    tokens += [f"zq{number}" for number in range(words)]
    types = [1] * len(tokens) + [3] * len(specials)
    return tokens + list(specials), types, merges


def _byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in printable}
    spare = 256
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(spare)
            spare += 1
    return table


def _text_half(spec: Spec, writer: Writer, template: str | None) -> Path:
    shape = writer.shape
    tokens, types, merges = vocabulary(spec.specials, shape.words)
    writer.meta(general__name="tiny", general__file_type=7 if writer.quantise else 0)
    writer.meta(
        context_length=shape.context,
        embedding_length=shape.width,
        block_count=shape.layers,
        feed_forward_length=shape.feed,
        attention__head_count=shape.heads,
        vocab_size=len(tokens),
    )
    for name, value in spec.extra.items():
        writer.key(f"{spec.arch}.{name}", value)
    file = writer.file
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types(types)
    file.add_token_merges(merges)
    file.add_eos_token_id(tokens.index(spec.end))
    file.add_bos_token_id(tokens.index(spec.bos or spec.end))
    file.add_add_bos_token(spec.bos is not None)
    if template is None:
        file.add_chat_template(spec.template)
    elif template:
        file.add_chat_template(template)
    writer.weight("token_embd.weight", len(tokens), shape.width)
    spec.text(writer, len(tokens))
    return writer.close()


def _llama_text(writer: Writer, _n_vocab: int) -> None:
    """Llama's blocks; Qwen2's are the same with biases on query, key and value."""
    shape = writer.shape
    writer.meta(attention__layer_norm_rms_epsilon=1e-5, attention__head_count_kv=shape.kv_heads)
    writer.meta(rope__freq_base=10000.0, rope__dimension_count=shape.head)
    for layer in range(shape.layers):
        name = f"blk.{layer}"
        _attention(writer, name, bias=writer.arch.startswith("qwen2"))
        _gated(writer, name)
    writer.norm("output_norm", shape.width)


def _attention(writer: Writer, name: str, bias: bool = False) -> None:
    width, kv = writer.shape.width, writer.shape.kv
    writer.norm(f"{name}.attn_norm", width)
    writer.linear(f"{name}.attn_q", width, width, bias)
    writer.linear(f"{name}.attn_k", kv, width, bias)
    writer.linear(f"{name}.attn_v", kv, width, bias)
    writer.linear(f"{name}.attn_output", width, width, bias=False)


def _gated(writer: Writer, name: str) -> None:
    width, feed = writer.shape.width, writer.shape.feed
    writer.norm(f"{name}.ffn_norm", width)
    writer.linear(f"{name}.ffn_gate", feed, width, bias=False)
    writer.linear(f"{name}.ffn_up", feed, width, bias=False)
    writer.linear(f"{name}.ffn_down", width, feed, bias=False)


def _vit(writer: Writer, projector: str, positions: int | None = None) -> None:
    """The common vision tower: patches, learned positions, pre-norm layers."""
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
        writer.norm(f"{name}.ln1", width, bias=True)
        writer.norm(f"{name}.ln2", width, bias=True)
        writer.linear(f"{name}.ffn_up", shape.feed, width)
        writer.linear(f"{name}.ffn_down", width, shape.feed)


def _janus(writer: Writer) -> None:
    width = writer.shape.width
    _vit(writer, "janus_pro")
    writer.bias("v.patch_embd.bias", width)
    writer.norm("v.post_ln", width, bias=True)
    writer.linear("mm.0", width, width)
    writer.linear("mm.1", width, width)


_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

SPECS: dict[str, Spec] = {
    "janus": Spec("llama", CHATML, _CHATML_TOKENS, "<|im_end|>", _janus, _llama_text),
    "janus_qwen2": Spec("qwen2", CHATML, _CHATML_TOKENS, "<|im_end|>", _janus, _llama_text),
}


def write_pair(
    name: str,
    folder: Path,
    *,
    quantise: bool = False,
    template: str | None = None,
    shape: Shape | None = None,
) -> tuple[Path, Path]:
    """(text GGUF, mmproj GGUF) of `SPECS[name]` in `folder`. `quantise` makes matrices Q8_0;
    `template` replaces the chat template; an empty one leaves it out."""
    spec = SPECS[name]
    shape = shape or spec.shape
    folder.mkdir(parents=True, exist_ok=True)
    halves = []
    for half, arch, path in (
        ("text", spec.arch, folder / f"{name}.gguf"),
        ("vision", "clip", folder / f"mmproj-{name}.gguf"),
    ):
        writer = Writer(path, arch, name + half, shape, 1.5 if half == "text" else 1.0)
        writer.quantise = quantise
        halves.append(writer)
    text = _text_half(spec, halves[0], template)
    spec.vision(halves[1])
    return text, halves[1].close()
