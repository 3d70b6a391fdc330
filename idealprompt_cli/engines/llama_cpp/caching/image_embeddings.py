"""Heads as values, their sizes, and their pictures' embeddings: encoded once per content.

An embedding is found by the picture file's bytes and its place among the tiles that the model's
preprocessing cuts it into: in RAM first, then in a store on disk, else it is encoded.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ....io.images import content_hash, image_size
from ..native.vision import Chunk, Embedding, Picture, Vision
from ..scheduling.request_plan import head_parts

Key = bytes | str


class Sized(Protocol):
    """What takes up memory."""

    @property
    def nbytes(self) -> int: ...


Item = TypeVar("Item", bound=Sized)


class Bounded(Generic[Item]):
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
    """Where encoded pictures are kept between processes."""

    def get(self, key: str) -> Embedding | None: ...

    def put(self, key: str, embedding: Embedding) -> None: ...


@dataclass(frozen=True)
class Head:
    """Text before each picture, the pictures, and the identity of their contents."""

    text: tuple[str, ...]
    images: tuple[Path, ...]
    hashes: tuple[str, ...]
    key: Key

    def parts(self) -> list[str | Picture]:
        """What mtmd tokenises, in reading order."""
        parts: list[str | Picture] = []
        for text, image, digest in zip(self.text, self.images, self.hashes, strict=True):
            parts.extend(head_parts(text))
            parts.append(Picture(image, digest))
        return parts


EMPTY = Head((), (), (), b"")


@dataclass(frozen=True)
class Part:
    """One stretch of a head: text `tokens`, or a picture's `embedding` (n_tokens, width). `chunk`
    is the library's own view of it, good only while the head is held."""

    tokens: tuple[int, ...] | None
    n_tokens: int
    n_pos: int
    embedding: Embedding | None
    chunk: Chunk | None = None


@dataclass(frozen=True)
class EncodedHead:
    """A head ready to be decoded. `native`: its pictures have positions in several dimensions or
    see all of themselves, and are decoded by the library's own helper while it is held."""

    head: Head
    parts: tuple[Part, ...]
    native: bool

    def n_bytes(self) -> int:
        """What the embeddings take."""
        return sum(part.embedding.nbytes for part in self.parts if part.embedding is not None)


def make_head(text: tuple[str, ...], images: Sequence[Path]) -> Head:
    """A head keyed by the bytes of its pictures and its text. Raises `ImageError`."""
    if not images:
        return EMPTY
    hashes = tuple(content_hash(image) for image in images)
    digest = hashlib.blake2b(digest_size=16)
    for piece, picture in zip(text, hashes, strict=True):
        digest.update(f"{len(piece)}:{piece}{picture}".encode())
    return Head(text, tuple(images), hashes, digest.digest())


class Pictures:
    """Measures heads and supplies their chunks with embeddings."""

    def __init__(self, vision: Vision, ram_bytes: int, disk: EmbeddingStore | None = None) -> None:
        self._vision, self._disk = vision, disk
        self._kept: Bounded[Embedding] = Bounded(ram_bytes)
        self._image_sizes: dict[str, tuple[int, int]] = {}
        self._sizes: dict[object, tuple[int, int]] = {}

    def measure(self, head: Head) -> tuple[int, int]:
        """(cells, positions) that a head takes, without encoding. Raises `ImageError`."""
        if not head.images:
            return 0, 0
        key = (head.text, tuple(map(self._image_size, head.hashes, head.images)))
        known = self._sizes.get(key)
        if known is None:
            with self._vision.chunks(head.parts(), measure=True) as chunks:
                known = sum(c.n_tokens for c in chunks), sum(c.n_pos for c in chunks)
            self._sizes[key] = known
        return known

    def known(self, image: Path) -> bool:
        """Whether a picture's embeddings are kept, on its own at least. Raises `ImageError`."""
        with self._vision.chunks([Picture(image, content_hash(image))], measure=True) as chunks:
            return all(c.tokens is not None or self._find(c) is not None for c in chunks)

    @contextmanager
    def encoded(self, head: Head) -> Iterator[EncodedHead]:
        """The head's parts in order, each picture part with its embedding (n_tokens, width).
        Pixels are read and preprocessed only if an embedding is not known."""
        with self._vision.chunks(head.parts(), measure=True) as chunks:
            known = [None if c.tokens is not None else self._find(c) for c in chunks]
            if all(
                e is not None or c.tokens is not None for c, e in zip(chunks, known, strict=True)
            ):
                yield self._together(head, chunks, known)
                return
        with self._vision.chunks(head.parts()) as chunks:
            yield self._together(head, chunks, self._encode(chunks, known))

    def _together(
        self, head: Head, chunks: list[Chunk], embeddings: list[Embedding | None]
    ) -> EncodedHead:
        pictures = [chunk for chunk in chunks if chunk.tokens is None]
        native = self._vision.mrope or any(map(self._vision.non_causal, pictures))
        parts = tuple(
            Part(chunk.tokens, chunk.n_tokens, chunk.n_pos, embedding, chunk if native else None)
            for chunk, embedding in zip(chunks, embeddings, strict=True)
        )
        return EncodedHead(head, parts, native)

    def _encode(self, chunks: list[Chunk], known: list[Embedding | None]) -> list[Embedding | None]:
        """`known` with what was missing encoded, several tiles at a time where that is possible."""
        missing = [c for c, e in zip(chunks, known, strict=True) if c.tokens is None and e is None]
        fresh = {}
        for chunk, embedding in self._vision.encode(missing):
            fresh[chunk.name] = embedding
            self._kept.put(chunk.name, embedding)
            if self._disk is not None:
                self._disk.put(chunk.name, embedding)
        return [fresh.get(c.name, e) for c, e in zip(chunks, known, strict=True)]

    def _find(self, chunk: Chunk) -> Embedding | None:
        embedding = self._kept.get(chunk.name)
        if embedding is None and self._disk is not None:
            embedding = self._disk.get(chunk.name)
            if embedding is not None and embedding.shape != (chunk.n_tokens, self._vision.width):
                embedding = None
            if embedding is not None:
                self._kept.put(chunk.name, embedding)
        return embedding

    def _image_size(self, digest: str, path: Path) -> tuple[int, int]:
        size = self._image_sizes.get(digest)
        if size is None:
            size = self._image_sizes[digest] = image_size(path)
        return size
