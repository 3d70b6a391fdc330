"""Pictures to embeddings: owner of mtmd's context, bitmaps and chunks."""

from __future__ import annotations

import ctypes
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ....core.errors import ImageError, ModelError
from ....io.images import image_size, open_rgb
from .library import Clock, Floats, TextModel, forget_errors, native_detail

Embedding = Floats
"""(n_tokens, width)"""
Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True)
class Picture:
    """A picture in a prompt: the file and the hash of its contents. It is scaled to `size`, where
    that is given, and then the file need not be read to measure it."""

    path: Path
    digest: str
    size: Size | None = None


@dataclass(frozen=True)
class Chunk:
    """A borrowed chunk of a tokenised prompt: text `tokens`, or a picture when they are None.
    `n_pos` is by how much it advances the position (differs from `n_tokens` under M-RoPE). `name`
    identifies a picture chunk: file contents, which tile, how many tokens."""

    pointer: Any
    tokens: tuple[int, ...] | None
    n_tokens: int
    n_pos: int
    name: str = ""


class Vision:
    """Owner of an `mtmd_context`. `image_tokens` are the least and the most tokens of a picture (0:
    the model's own). Raises `ModelError` when the projector does not fit."""

    def __init__(
        self,
        path: Path,
        model: TextModel,
        threads: int,
        use_gpu: bool,
        clock: Clock,
        image_tokens: tuple[int, int] = (0, 0),
    ) -> None:
        self.lib, self._clock = model.lib, clock
        mtmd = self.lib.mtmd
        params = mtmd.mtmd_context_params_default()
        params.use_gpu = use_gpu
        params.print_timings = False
        params.n_threads = threads
        params.warmup = False
        params.image_min_tokens, params.image_max_tokens = (n or -1 for n in image_tokens)
        if not (use_gpu and self.lib.llama.llama_supports_gpu_offload()):
            params.batch_max_tokens = 1  # on a CPU, tiles side by side only take more memory
        forget_errors()
        with clock:
            self.pointer: Any = mtmd.mtmd_init_from_file(str(path).encode(), model.pointer, params)
        if not self.pointer:
            raise ModelError(
                f"{path}: this mmproj cannot be used with that text model{native_detail()}; "
                "pass the mmproj that was published with it"
            )
        if not mtmd.mtmd_support_vision(self.pointer):
            self.close()
            raise ModelError(f"{path}: this mmproj has no vision part; pass the vision mmproj")
        self.width: int = model.n_embd_inp
        self.mrope = bool(mtmd.mtmd_decode_use_mrope(self.pointer))

    def close(self) -> None:
        if self.pointer:
            self.lib.mtmd.mtmd_free(self.pointer)
            self.pointer = None

    @contextmanager
    def chunks(
        self, parts: Sequence[str | Picture], measure: bool = False
    ) -> Iterator[list[Chunk]]:
        """Tokenise text and pictures in reading order; the chunks live inside the block.

        Control tokens in text are tokenised as such. With `measure`, pictures are represented by
        their sizes and cannot be encoded.
        """
        mtmd = self.lib.mtmd
        with ExitStack() as stack:
            structs = [self._input_part(part, measure, stack) for part in parts]
            array = (ctypes.POINTER(mtmd.mtmd_input_part) * len(structs))(
                *[ctypes.pointer(struct) for struct in structs]
            )
            output = mtmd.mtmd_input_chunks_init()
            stack.callback(mtmd.mtmd_input_chunks_free, output)
            forget_errors()
            with self._clock:
                code = mtmd.mtmd_tokenize_from_parts(
                    self.pointer, output, array, len(structs), False
                )
            if code != 0:
                names = ", ".join(str(p.path) for p in parts if isinstance(p, Picture))
                raise ImageError(
                    f"{names}: the model's image processor rejects it{native_detail()}; "
                    "use a larger image or less extreme proportions"
                )
            seen: Counter[str] = Counter()
            size = mtmd.mtmd_input_chunks_size(output)
            yield [self._chunk(output, index, seen) for index in range(size)]

    def encode(self, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Embedding]]:
        """Run the vision model on picture chunks -> (n_tokens, width) float32 each, copies. Chunks
        that fit the model's batch are encoded together."""
        rest = list(chunks)
        while rest:
            taken = self._encode_batch(rest)
            yield from zip(rest, taken, strict=False)
            rest = rest[len(taken) :]

    def _encode_batch(self, chunks: Sequence[Chunk]) -> list[Embedding]:
        """Embeddings of as many leading chunks as one batch takes, at least one."""
        mtmd, started = self.lib.mtmd, time.perf_counter()
        batch = mtmd.mtmd_batch_init(self.pointer)
        try:
            forget_errors()
            with self._clock as clock:
                taken = 0
                while taken < len(chunks) and not mtmd.mtmd_batch_add_chunk(
                    batch, chunks[taken].pointer
                ):
                    taken += 1
                code = mtmd.mtmd_batch_encode(batch) if taken else 1
            clock.images_encoded += taken
            clock.encode_seconds += time.perf_counter() - started
            if code != 0:
                raise ModelError(f"an image could not be encoded{native_detail()}")
            return [self._output(batch, chunk) for chunk in chunks[:taken]]
        finally:
            mtmd.mtmd_batch_free(batch)

    def _output(self, batch: Any, chunk: Chunk) -> Embedding:
        data = self.lib.mtmd.mtmd_batch_get_output_embd(batch, chunk.pointer)
        return np.ctypeslib.as_array(data, shape=(chunk.n_tokens, self.width)).copy()

    def longest_whole(self) -> int:
        """Tokens of the longest picture chunk that must be decoded as a whole, 0 if there is none;
        measured on a large picture, without pixels."""
        large = Picture(Path("large"), "large", (2048, 2048))
        with self.chunks([large], measure=True) as chunks:
            whole = [c.n_tokens for c in chunks if c.tokens is None and self.non_causal(c)]
        return max(whole, default=0)

    def non_causal(self, chunk: Chunk) -> bool:
        """Whether this chunk must be decoded whole, each of its tokens seeing all of them."""
        return bool(self.lib.mtmd.mtmd_decode_use_non_causal(self.pointer, chunk.pointer))

    def _input_part(self, part: str | Picture, measure: bool, stack: ExitStack) -> Any:
        mtmd = self.lib.mtmd
        struct = mtmd.mtmd_input_part()
        if isinstance(part, str):
            raw = part.encode("utf-8")
            text = mtmd.mtmd_input_text(raw, len(raw), False, True)
            struct.text = ctypes.pointer(text)
            struct._keep = (raw, text)
        else:
            struct.bitmap = self._bitmap(part, measure)
            stack.callback(mtmd.mtmd_bitmap_free, struct.bitmap)
            mtmd.mtmd_bitmap_set_id(struct.bitmap, part.digest.encode())
        return struct

    def _bitmap(self, picture: Picture, measure: bool) -> Any:
        mtmd = self.lib.mtmd
        if measure:
            size = picture.size or image_size(picture.path)
            return mtmd.mtmd_bitmap_init(*size, None)
        image = open_rgb(picture.path)
        if picture.size is not None:
            image = image.resize(picture.size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        pixels = np.ascontiguousarray(image)
        data = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        return mtmd.mtmd_bitmap_init(image.width, image.height, data)

    def _chunk(self, chunks: Any, index: int, seen: Counter[str]) -> Chunk:
        mtmd = self.lib.mtmd
        pointer = mtmd.mtmd_input_chunks_get(chunks, index)
        n_tokens: int = mtmd.mtmd_input_chunk_get_n_tokens(pointer)
        n_pos: int = mtmd.mtmd_input_chunk_get_n_pos(pointer)
        if mtmd.mtmd_input_chunk_get_type(pointer) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            count = ctypes.c_size_t()
            data = mtmd.mtmd_input_chunk_get_tokens_text(pointer, ctypes.byref(count))
            return Chunk(pointer, tuple(data[: count.value]), n_tokens, n_pos)
        digest = (mtmd.mtmd_input_chunk_get_id(pointer) or b"").decode()
        name = f"{digest}-{seen[digest]}-{n_tokens}"
        seen[digest] += 1
        return Chunk(pointer, None, n_tokens, n_pos, name)
