"""Writing GGUF files of random weights: sizes, numbers, names and a made-up vocabulary.

Used by the tests for tiny models and by the benchmark for models of true size, so tensors are
drawn one at a time while the file is written.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal["F32", "F16", "Q8_0", "Q4_0"]
_SPREAD = {"Q8_0": 73.9, "Q4_0": 4.18}  # standard deviation of a block's integers
_BLOCK, _BLOCK_BYTES = 32, {"Q8_0": 34, "Q4_0": 18}


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


class Writer:
    """A GGUF file being written, with its own random numbers. `quantise` makes matrices Q8_0."""

    def __init__(self, path: Path, arch: str, seed: str, shape: Shape, scale: float = 1.0) -> None:
        self.path, self.arch, self.shape = path, arch, shape
        self.file = gguf.GGUFWriter(str(path), arch)
        self.rng = np.random.default_rng(zlib.crc32(seed.encode()))
        self.scale = scale
        self.quantise = False
        self._draw: list[Callable[[], Array]] = []

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
        looked_up = "position" in name  # ggml adds these as they are
        blocks = len(shape) == 2 and shape[1] % _BLOCK == 0 and not looked_up
        kind: Kind = "Q8_0" if self.quantise and blocks else "F32"
        self._declare(name, shape, kind, lambda: _encoded(self._normal(shape), kind))

    def blocks(self, name: str, rows: int, columns: int, kind: Kind) -> None:
        """A large random matrix whose bytes are drawn as they are: uniform integers and one scale
        for all, of the same spread as `weight`. F32 and F16 go through `weight`'s numbers."""
        if kind in _BLOCK_BYTES and columns % _BLOCK == 0:
            self._declare(
                name, (rows, columns), kind, lambda: self._random_blocks(rows, columns, kind)
            )
        else:
            plain: Kind = "F32" if kind == "F32" else "F16"
            shape = rows, columns
            self._declare(name, shape, plain, lambda: _encoded(self._normal(shape), plain))

    def bias(self, name: str, size: int) -> None:
        self._declare(name, (size,), "F32", lambda: self._small(size))

    def norm(self, name: str, size: int, bias: bool = False) -> None:
        self._declare(f"{name}.weight", (size,), "F32", lambda: np.ones(size, np.float32))
        if bias:
            self.bias(f"{name}.bias", size)

    def linear(self, name: str, out: int, into: int, bias: bool = True) -> None:
        self.weight(f"{name}.weight", out, into)
        if bias:
            self.bias(f"{name}.bias", out)

    def close(self) -> Path:
        """Draw and write the tensors in the order in which they were declared."""
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_ti_data_to_file()
        for draw in self._draw:
            self.file.write_tensor_data(draw())
        self.file.close()
        return self.path

    def _declare(
        self, name: str, shape: tuple[int, ...], kind: Kind, draw: Callable[[], Array]
    ) -> None:
        raw = gguf.GGMLQuantizationType[kind]
        values = int(np.prod(shape))
        sizes = {"F32": 4 * values, "F16": 2 * values}
        n_bytes = sizes.get(kind) or values // _BLOCK * _BLOCK_BYTES[kind]
        self.file.add_tensor_info(name, shape, np.dtype(np.float32), n_bytes, raw)
        self._draw.append(draw)

    def _normal(self, shape: tuple[int, ...]) -> Array:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        values: Array = self.rng.standard_normal(shape) * self.scale / np.sqrt(fan_in)
        return np.asarray(values, np.float32)

    def _small(self, size: int) -> Array:
        values: Array = (self.rng.standard_normal(size) * 0.05).astype(np.float32)
        return values

    def _random_blocks(self, rows: int, columns: int, kind: Kind) -> Array:
        size = _BLOCK_BYTES[kind]
        count = rows * columns // _BLOCK
        data = np.frombuffer(self.rng.bytes(count * size), np.uint8).reshape(count, size).copy()
        if kind == "Q4_0":  # no -8, which has no +8 beside it: the mean stays nought
            data |= ((data & 0x0F) == 0).astype(np.uint8) << 3
            data |= ((data & 0xF0) == 0).astype(np.uint8) << 7
        step = np.float16(self.scale / np.sqrt(columns) / _SPREAD[kind])
        data[:, :2] = np.frombuffer(step.tobytes(), np.uint8)
        return data.reshape(rows, -1)


def vocabulary(
    words: Iterable[str], specials: tuple[str, ...], fill: int = 0
) -> tuple[list[str], list[int], list[str]]:
    """(tokens, types, merges) of a byte-level BPE: bytes, `words` as single tokens with and
    without a space before them, `fill` made-up tokens, control tokens."""
    tokens = [*_byte_characters().values(), "ĊĊ"]
    ranks = {("Ċ", "Ċ"): 0}
    for word in words:
        for spelled in (word, "Ġ" + word):
            pieces = _pieces(spelled, ranks)
            while len(pieces) > 1:
                ranks[pieces[0], pieces[1]] = len(ranks)
                tokens.append(pieces[0] + pieces[1])
                pieces = _pieces(spelled, ranks)
    merges = [" ".join(pair) for pair in ranks]
    tokens += [f"zq{number}" for number in range(fill)]
    types = [1] * len(tokens) + [3] * len(specials)
    return tokens + list(specials), types, merges


def add_vocabulary(
    file: Any, words: Iterable[str], specials: tuple[str, ...], fill: int, end: str, bos: str | None
) -> list[str]:
    """Write a `vocabulary` with its end-of-turn and first tokens -> the tokens. `bos` is put
    before every prompt where there is one."""
    tokens, types, merges = vocabulary(words, specials, fill)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types(types)
    file.add_token_merges(merges)
    file.add_eos_token_id(tokens.index(end))
    file.add_bos_token_id(tokens.index(bos or end))
    file.add_add_bos_token(bos is not None)
    return tokens


def _encoded(values: Array, kind: Kind) -> Array:
    if kind == "Q8_0":
        quantised: Array = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
        return quantised
    return values.astype(np.float16) if kind == "F16" else values


def _pieces(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """A word as byte-pair encoding cuts it: the merge of the lowest rank first, and so on."""
    pieces = list(word)
    while known := [pair for pair in pairwise(pieces) if pair in ranks]:
        best, joined = min(known, key=lambda pair: ranks[pair]), []
        while pieces:
            size = 2 if tuple(pieces[:2]) == best else 1
            joined.append("".join(pieces[:size]))
            pieces = pieces[size:]
        pieces = joined
    return pieces


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
