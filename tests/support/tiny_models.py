"""Tiny vision-language models with random weights, written as GGUF pairs by llama.cpp's own
conventions: a hundred kilobytes each, and every mechanism of the real architecture in them.

The text half is a byte-level BPE of about 300 tokens and two layers; the vision half a two-layer
ViT. `write_pair("smolvlm", folder)` gives (text, mmproj). Weights depend on the name only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.writer import Shape, Writer, add_vocabulary

from . import tiny_vision as vision

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
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
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
class Spec:
    """One model: its text architecture with template and control tokens, and what writes the
    tensors of each half. `bos` is also put before every prompt."""

    arch: str
    template: str
    specials: tuple[str, ...]
    end: str
    vision: Callable[[Writer], None]
    text: Callable[[Writer, int], None]
    bos: str | None = None
    shape: Shape = field(default_factory=Shape)


def _text_half(spec: Spec, writer: Writer, template: str | None) -> Path:
    shape = writer.shape
    file = writer.file
    tokens = add_vocabulary(file, _WORDS, spec.specials, shape.words, spec.end, spec.bos)
    writer.meta(general__name="tiny", general__file_type=7 if writer.quantise else 0)
    writer.meta(
        context_length=shape.context,
        embedding_length=shape.width,
        block_count=shape.layers,
        feed_forward_length=shape.feed,
        attention__head_count=shape.heads,
        vocab_size=len(tokens),
    )
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


def _qwen2vl_text(writer: Writer, n_vocab: int) -> None:
    """Qwen2 with positions in three dimensions (half a head's size in all)."""
    third = writer.shape.head // 2 // 4
    writer.meta(rope__dimension_sections=[2 * third, third, third, 0])
    _llama_text(writer, n_vocab)


def _gemma3_text(writer: Writer, _n_vocab: int) -> None:
    """Norms after as well as before, normed queries and keys, every second layer windowed."""
    shape = writer.shape
    writer.meta(attention__layer_norm_rms_epsilon=1e-6, attention__head_count_kv=shape.kv_heads)
    writer.meta(attention__key_length=shape.head, attention__value_length=shape.head)
    writer.meta(attention__sliding_window=24, attention__sliding_window_pattern=2)
    writer.meta(rope__freq_base=1e6)
    for layer in range(shape.layers):
        name = f"blk.{layer}"
        _attention(writer, name)
        _gated(writer, name)
        writer.norm(f"{name}.attn_q_norm", shape.head)
        writer.norm(f"{name}.attn_k_norm", shape.head)
        writer.norm(f"{name}.post_attention_norm", shape.width)
        writer.norm(f"{name}.post_ffw_norm", shape.width)
    writer.norm("output_norm", shape.width)


def _lfm2_text(writer: Writer, _n_vocab: int) -> None:
    """A short convolution with a recurrent state, then attention: memory of both kinds."""
    shape = writer.shape
    recurrent = [layer % 2 == 0 for layer in range(shape.layers)]
    writer.meta(attention__layer_norm_rms_epsilon=1e-5, shortconv__l_cache=3)
    writer.meta(attention__head_count_kv=[0 if r else shape.kv_heads for r in recurrent])
    writer.meta(rope__freq_base=1e6)
    for layer, is_recurrent in enumerate(recurrent):
        name = f"blk.{layer}"
        _gated(writer, name)
        if is_recurrent:
            writer.norm(f"{name}.attn_norm", shape.width)
            writer.weight(f"{name}.shortconv.conv.weight", shape.width, 3)
            writer.linear(f"{name}.shortconv.in_proj", 3 * shape.width, shape.width, bias=False)
            writer.linear(f"{name}.shortconv.out_proj", shape.width, shape.width, bias=False)
        else:
            _attention(writer, name)
            writer.norm(f"{name}.attn_q_norm", shape.head)
            writer.norm(f"{name}.attn_k_norm", shape.head)
    writer.norm("token_embd_norm", shape.width)


_CHATML = ("<|im_start|>", "<|im_end|>")
_ROWS = tuple(f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3))
_LFM2_ROWS = tuple(f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2))
_SMOL = ("<fake_token_around_image>", "<global-img>", *_ROWS, "<end_of_utterance>")
_QWEN = ("<|vision_start|>", "<|vision_end|>")
_GEMMA = ("<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>")
_LFM2 = ("<|image_start|>", "<|image_end|>", "<|img_thumbnail|>", *_LFM2_ROWS)
_MINICPM = ("<image>", "</image>", "<slice>", "</slice>")
_POOLED = Shape(image=64)
_RESAMPLED = Shape(width=128, feed=64)

SPECS: dict[str, Spec] = {
    "janus": Spec("llama", CHATML, _CHATML, "<|im_end|>", vision.janus, _llama_text),
    "janus_qwen2": Spec("qwen2", CHATML, _CHATML, "<|im_end|>", vision.janus, _llama_text),
    "llava": Spec("llama", VICUNA, ("<s>", "</s>"), "</s>", vision.llava, _llama_text, "<s>"),
    "smolvlm": Spec(
        "llama",
        SMOLVLM,
        ("<|im_start|>", *_SMOL),
        _SMOL[-1],
        vision.idefics3,
        _llama_text,
        "<|im_start|>",
    ),
    "qwen2vl": Spec(
        "qwen2vl", CHATML, _CHATML + _QWEN, "<|im_end|>", vision.qwen2vl, _qwen2vl_text
    ),
    "qwen25vl": Spec(
        "qwen2vl", CHATML, _CHATML + _QWEN, "<|im_end|>", vision.qwen25vl, _qwen2vl_text
    ),
    "gemma3": Spec(
        "gemma3", GEMMA, _GEMMA, "<end_of_turn>", vision.gemma3, _gemma3_text, "<bos>", _POOLED
    ),
    "internvl": Spec(
        "qwen2", CHATML, (*_CHATML, "<img>", "</img>"), "<|im_end|>", vision.internvl, _llama_text
    ),
    "lfm2": Spec(
        "lfm2", CHATML, _CHATML + _LFM2, "<|im_end|>", vision.lfm2, _lfm2_text, None, _POOLED
    ),
    "minicpmv": Spec(
        "qwen2",
        CHATML,
        _CHATML + _MINICPM,
        "<|im_end|>",
        vision.minicpmv,
        _llama_text,
        None,
        _RESAMPLED,
    ),
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
