"""GGUF headers, read without the native library, so that a wrong file gives an error line and
never a crash. Format: ggml's `gguf.md`, versions 2 and 3, little endian."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import BinaryIO

from ....core.errors import ModelError
from ....io.files import is_regular, open_file

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_BLOCKS = {  # ggml type -> (values per block, bytes per block), as in ggml.c
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4),
    27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
_SIZE_CLASSES = (
    (50, "tiny"), (400, "0.3b"), (800, "0.5b"), (1500, "1b"), (2700, "2b"), (5500, "4b"),
    (12_000, "8b"),
)  # fmt: skip
"""(upper limit in millions of parameters, name)"""
_MOST = {
    "embedding_length": 1 << 16,
    "block_count": 1 << 10,
    "attention.head_count": 1 << 12,
    "feed_forward_length": 1 << 20,
    "projection_dim": 1 << 18,
    "image_size": 1 << 14,
    "patch_size": 1 << 10,
}
"""Metadata of either part -> the greatest value that is believed."""
_MOST_DIMENSIONS, _MOST_DEPTH = 8, 4
_MOST_CHARACTERS = 1 << 26
_MOST_PAIRS, _MOST_TENSORS, _MOST_ITEMS = 1 << 16, 1 << 18, 1 << 22
"""Far more than any model has; items are those of arrays of strings or arrays. A file of zeros,
which takes no room on the disk, could claim any number."""
_WHOLE = 64 << 20
_SAMPLES, _SAMPLE = 64, 1 << 16
Value = str | int | float | bool


@dataclass(frozen=True)
class Header:
    """Metadata (scalars and strings; arrays are skipped), the size the file must have, how many
    values its tensors have, and how many of those are in quantised tensors."""

    path: Path
    meta: dict[str, Value]
    needs_bytes: int
    n_values: int = 0
    n_quantised: int = 0

    @property
    def architecture(self) -> str:
        return str(self.meta.get("general.architecture", ""))

    @property
    def is_projector(self) -> bool:
        """Whether this is an mmproj (vision or audio half) and not a text model."""
        return self.architecture == "clip" or self.meta.get("general.type") == "mmproj"

    @property
    def projector_type(self) -> str:
        """The kind of an mmproj's vision projector ("idefics3", "qwen2vl_merger", ...)."""
        kinds = ("clip.vision.projector_type", "clip.projector_type")
        return next((str(self.meta[key]) for key in kinds if self.meta.get(key)), "mlp")


def read_header(path: Path, what: str) -> Header:
    """Read and check a file; `what` names its part ("text model") in errors. `ModelError` if it
    is missing, not GGUF, or shorter than its tensors."""
    if not is_regular(path):
        kind = "is no file" if path.exists() else "no such file"
        kind = "is a folder, not a file" if path.is_dir() else kind
        raise ModelError(f"{path}: {kind}; pass the {what}'s GGUF file")
    try:
        with open_file(path) as file:
            header = _Reader(file, path, what).header()
    except PermissionError as error:
        raise ModelError(f"{path}: cannot be read; change its permissions") from error
    except (EOFError, OSError, struct.error, MemoryError, OverflowError, ValueError) as error:
        raise ModelError(
            f"{path}: the {what} is truncated or damaged in its header; download it again"
        ) from error
    _check_shape(header, what)
    size = path.stat().st_size
    if size < header.needs_bytes:
        raise ModelError(
            f"{path}: the {what} is truncated ({size:,} of {header.needs_bytes:,} bytes); "
            "download it again"
        )
    return header


def _check_shape(header: Header, what: str) -> None:
    """Raise `ModelError` for sizes that no model has, which the native library would abort on."""
    places = ("clip.vision", "clip.audio") if header.is_projector else (header.architecture,)
    for place, (key, most) in product(places, _MOST.items()):
        value = header.meta.get(f"{place}.{key}")
        least = key not in ("projection_dim", "image_size")  # 0 in some published projectors
        if value is not None and (not isinstance(value, int) or not least <= value <= most):
            raise ModelError(
                f"{header.path}: the {what}'s header is damaged ({place}.{key} is {value!r}, not "
                f"between {int(least)} and {most:,}); download it again"
            )
    width, heads = (
        header.meta.get(f"{header.architecture}.{key}")
        for key in ("embedding_length", "attention.head_count")
    )
    given = f"{header.architecture}.attention.key_length" in header.meta
    if isinstance(width, int) and isinstance(heads, int) and not given and width % heads:
        raise ModelError(
            f"{header.path}: the {what}'s header is damaged (a width of {width} is not divisible "
            f"by {heads} attention heads); download it again"
        )


def fingerprint(*paths: Path) -> str:
    """16 hex digits that identify the files' contents: all bytes of a file up to 64 MiB, else its
    size, its ends and 64 samples between (a 4 GB model would take seconds otherwise)."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            if size <= _WHOLE:
                while block := file.read(1 << 20):
                    digest.update(block)
            else:
                for index in range(_SAMPLES + 1):
                    file.seek((size - _SAMPLE) * index // _SAMPLES)
                    digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def size_class(n_params: int) -> str:
    """A rough size ("0.3b") for naming a model family."""
    millions = n_params / 1_000_000
    return next((name for limit, name in _SIZE_CLASSES if millions < limit), "large")


class _Reader:
    """Reads one header from an open file. Raises `EOFError` where the file ends too early."""

    def __init__(self, file: BinaryIO, path: Path, what: str) -> None:
        self._file, self._path, self._what = file, path, what
        self._items = 0

    def header(self) -> Header:
        if self._file.read(4) != b"GGUF":
            raise ModelError(f"{self._path}: not a GGUF file; pass the {self._what}'s GGUF file")
        version = self._one("I")
        if version not in (2, 3):
            raise ModelError(
                f"{self._path}: GGUF version {version} (or byte order) is not supported; "
                "convert the model again"
            )
        n_tensors, n_pairs = self._one("Q"), self._one("Q")
        if n_tensors > _MOST_TENSORS or n_pairs > _MOST_PAIRS:
            raise EOFError
        meta: dict[str, Value] = {}
        for _ in range(n_pairs):
            key, kind = self._string(), self._one("I")
            value = self._value(kind)
            if value is not None:
                meta[key] = value
        alignment = int(meta.get("general.alignment", 32))
        if not 0 < alignment <= _WHOLE:
            raise EOFError
        return Header(self._path, meta, *self._tensors(n_tensors, alignment))

    def _tensors(self, count: int, alignment: int) -> tuple[int, int, int]:
        """The file size that the tensor table implies, all values and the quantised ones."""
        end = every = quantised = 0
        for _ in range(count):
            self._string()
            n_dimensions = self._one("I")
            if n_dimensions > _MOST_DIMENSIONS:
                raise EOFError
            shape = [self._one("Q") for _ in range(n_dimensions)]
            kind, offset = self._one("I"), self._one("Q")
            values, size = _BLOCKS.get(kind, (1, 0))
            count_here = math.prod(shape)
            end = max(end, offset + count_here // values * size)
            every += count_here
            quantised += count_here if values > 1 else 0
        start = -(-self._file.tell() // alignment) * alignment
        return start + end if count else self._file.tell(), every, quantised

    def _one(self, code: str) -> int:
        return int(self._scalar(code))

    def _scalar(self, code: str) -> Value:
        size = struct.calcsize("<" + code)
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError
        value: Value = struct.unpack("<" + code, data)[0]
        return value

    def _string(self) -> str:
        length = self._one("Q")
        if length > _MOST_CHARACTERS:
            raise EOFError
        data = self._file.read(length)
        if len(data) < length:
            raise EOFError
        return data.decode("utf-8", "replace")

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            self._skip_array()
            return None
        if kind not in _SCALARS:
            raise EOFError
        return self._scalar(_SCALARS[kind])

    def _skip_array(self, depth: int = 0) -> None:
        if depth > _MOST_DEPTH:
            raise EOFError
        kind, count = self._one("I"), self._one("Q")
        if kind in _SCALARS:
            self._file.seek(struct.calcsize("<" + _SCALARS[kind]) * count, 1)
            return
        self._items += count
        if self._items > _MOST_ITEMS:
            raise EOFError
        if kind == _STRING:
            for _ in range(count):
                self._file.seek(self._one("Q"), 1)
        else:
            for _ in range(count):
                self._skip_array(depth + 1)
