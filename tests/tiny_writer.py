"""Writing GGUF files of random weights: sizes, numbers and names for `tiny_models.py`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


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
