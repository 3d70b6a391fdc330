"""Sizes of prefixes and the embeddings of their pictures, each encoded once per content.

The key of an embedding is the hash of the picture file's bytes and the number of the tile, where
the model splits pictures. Embeddings are looked up in RAM, then on disk, else encoded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ....core.errors import ModelError
from ....io.images import content_hash, image_size
from ..native.library import Floats
from ..native.vision import Chunk, Embedding, Picture, Size, Vision
from ..scheduling.request_plan import Key, Prefix

_ENLARGED = 4.0
"""To how many times its width and height a picture is scaled at most."""
_BISECTIONS = 12


def _scaled(size: Size, share: float) -> Size:
    """A size in the same proportions, one pixel a side at least."""
    width, height = (max(1, round(side * share)) for side in size)
    return width, height


class Sized(Protocol):
    """An item that takes up memory."""

    @property
    def nbytes(self) -> int: ...


Item = TypeVar("Item", bound=Sized)


class LruCache(Generic[Item]):
    """Items by key, the least recently used dropped when `limit` bytes are exceeded."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[Key, Item] = OrderedDict()

    def get(self, key: Key) -> Item | None:
        item = self._kept.get(key)
        if item is not None:
            self._kept.move_to_end(key)
        return item

    def put(self, key: Key, item: Item) -> None:
        if key in self._kept or item.nbytes > self.limit:
            return
        self._kept[key] = item
        self.used += item.nbytes
        while self.used > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self.used -= dropped.nbytes

    def clear(self) -> None:
        self._kept.clear()
        self.used = 0


class EmbeddingStore(Protocol):
    """Keeps encoded pictures between processes."""

    def get(self, key: str) -> Embedding | None: ...

    def put(self, key: str, embedding: Embedding) -> None: ...


@dataclass(frozen=True)
class PrefixPart:
    """A part of a prefix: text `tokens`, or a picture's `embedding` (n_tokens, width). `chunk` is
    the library's own view of it, valid inside the `ImageEmbeddings.encoded` block."""

    tokens: tuple[int, ...] | None
    n_tokens: int
    n_pos: int
    embedding: Embedding | None
    chunk: Chunk | None = None


@dataclass(frozen=True)
class EncodedPrefix:
    """A prefix ready to be decoded. `native`: its pictures have positions in several dimensions or
    non-causal attention, and are decoded by the library's own helper."""

    prefix: Prefix
    parts: tuple[PrefixPart, ...]
    native: bool

    def n_bytes(self) -> int:
        """Bytes of the embeddings."""
        return sum(part.embedding.nbytes for part in self.parts if part.embedding is not None)


class ImageEmbeddings:
    """Measures prefixes and encodes their pictures."""

    def __init__(
        self, vision: Vision | None, ram_bytes: int, disk: EmbeddingStore | None = None
    ) -> None:
        self._loaded, self._disk = vision, disk
        self._kept: LruCache[Embedding] = LruCache(ram_bytes)
        self._pixels: dict[str, Size] = {}
        self._sizes: dict[object, tuple[int, int]] = {}
        self._fitted: dict[tuple[Size, int], Size | None] = {}

    def vision(self) -> Vision:
        """The projector. Raises `ModelError` for a text-only model."""
        if self._loaded is None:
            raise ModelError(
                "the model is open without a vision projector and takes no images; name one with "
                "--mmproj"
            )
        return self._loaded

    def measure(self, prefix: Prefix) -> tuple[int, int]:
        """(cells, positions) of a prefix, without encoding. Raises `ImageError`, or `ModelError`
        for pictures on a text-only model."""
        cells, n_pos = self._measure_pictures(prefix) if prefix.images else (0, 0)
        return cells + len(prefix.fields), n_pos + len(prefix.fields)

    def _measure_pictures(self, prefix: Prefix) -> tuple[int, int]:
        sizes = prefix.sizes or (None,) * len(prefix.images)
        pixels = (
            size or self._image_size(digest, image)
            for size, digest, image in zip(sizes, prefix.hashes, prefix.images, strict=True)
        )
        key = (prefix.text, tuple(pixels))
        known = self._sizes.get(key)
        if known is None:
            with self.vision().chunks(prefix.parts(), measure=True) as chunks:
                known = sum(c.n_tokens for c in chunks), sum(c.n_pos for c in chunks)
            self._sizes[key] = known
        return known

    def tokens(self, image: Path, limit: int = 0) -> int:
        """Tokens of a picture, on its own, where it may take at most `limit` (0: as the model
        chooses). Raises `ImageError`, or `ModelError` as `fitted` does."""
        size = self.fitted(image, limit) or self._image_size(content_hash(image), image)
        return self._tokens(size)

    def fitted(self, image: Path, limit: int) -> Size | None:
        """The size at which a picture takes as many tokens as `limit` allows; None for its own.
        Raises `ImageError`, and `ModelError` where it takes more at any size."""
        if not limit:
            return None
        pixels = self._image_size(content_hash(image), image)
        if (pixels, limit) not in self._fitted:
            self._fitted[pixels, limit] = self._fit(image, pixels, limit)
        return self._fitted[pixels, limit]

    def _fit(self, image: Path, pixels: Size, limit: int) -> Size | None:
        """The same, searched for by bisection: tokens grow with the size, and cost little to
        count."""
        shares = [0.0, 1.0 if self._tokens(pixels) > limit else _ENLARGED]
        for _ in range(_BISECTIONS):
            share = sum(shares) / 2
            shares[self._tokens(_scaled(pixels, share)) > limit] = share
        size = _scaled(pixels, shares[0])
        found = self._tokens(size)
        if found > limit:
            raise ModelError(
                f"{image}: takes {found} tokens of this model at the least, and the prompt allows "
                f"{limit} (image_tokens): remove that from the prompt"
            )
        return None if found == self._tokens(pixels) else size

    def _tokens(self, size: Size) -> int:
        """Tokens of a picture of that size, with those between its tiles."""
        picture = Picture(Path("picture"), "picture", size)
        with self.vision().chunks([picture], measure=True) as chunks:
            return sum(chunk.n_tokens for chunk in chunks)

    def known(self, image: Path) -> bool:
        """Whether a picture's embeddings are cached, on its own at least. Raises `ImageError`."""
        with self.vision().chunks([Picture(image, content_hash(image))], measure=True) as chunks:
            return all(c.tokens is not None or self._find(c) is not None for c in chunks)

    def pooled(self, image: Path) -> Floats:
        """(width,): the mean over a picture's tokens. Raises `ImageError`, or `ModelError` for a
        text-only model."""
        name, digest = str(image), content_hash(image)
        with self.encoded(Prefix(("",), (image,), (digest,), (), name)) as encoded:
            rows = [part.embedding for part in encoded.parts if part.embedding is not None]
            mean: Floats = np.concatenate(rows).mean(axis=0, dtype=np.float32)
            return mean

    @contextmanager
    def encoded(self, prefix: Prefix) -> Iterator[EncodedPrefix]:
        """The prefix's parts in order, each picture part with its embedding (n_tokens, width).
        Pixels are read and preprocessed only where an embedding is not cached."""
        with self.vision().chunks(prefix.parts(), measure=True) as chunks:
            known = [None if c.tokens is not None else self._find(c) for c in chunks]
            if all(
                e is not None or c.tokens is not None for c, e in zip(chunks, known, strict=True)
            ):
                yield self._together(prefix, chunks, known)
                return
        with self.vision().chunks(prefix.parts()) as chunks:
            yield self._together(prefix, chunks, self._encode(chunks, known))

    def _together(
        self, prefix: Prefix, chunks: list[Chunk], embeddings: list[Embedding | None]
    ) -> EncodedPrefix:
        pictures = [chunk for chunk in chunks if chunk.tokens is None]
        native = self.vision().mrope or any(map(self.vision().non_causal, pictures))
        parts = tuple(
            PrefixPart(
                chunk.tokens, chunk.n_tokens, chunk.n_pos, embedding, chunk if native else None
            )
            for chunk, embedding in zip(chunks, embeddings, strict=True)
        )
        return EncodedPrefix(prefix, parts, native)

    def _encode(self, chunks: list[Chunk], known: list[Embedding | None]) -> list[Embedding | None]:
        """`known` with missing embeddings encoded, several tiles at a time where possible."""
        missing = [c for c, e in zip(chunks, known, strict=True) if c.tokens is None and e is None]
        fresh = {}
        for chunk, embedding in self.vision().encode(missing):
            fresh[chunk.name] = embedding
            self._kept.put(chunk.name, embedding)
            if self._disk is not None:
                self._disk.put(chunk.name, embedding)
        return [fresh.get(c.name, e) for c, e in zip(chunks, known, strict=True)]

    def _find(self, chunk: Chunk) -> Embedding | None:
        embedding = self._kept.get(chunk.name)
        if embedding is None and self._disk is not None:
            embedding = self._disk.get(chunk.name)
            if embedding is not None and embedding.shape != (chunk.n_tokens, self.vision().width):
                embedding = None
            if embedding is not None:
                self._kept.put(chunk.name, embedding)
        return embedding

    def _image_size(self, digest: str, path: Path) -> Size:
        size = self._pixels.get(digest)
        if size is None:
            size = self._pixels[digest] = image_size(path)
        return size
