"""The key-value memory and the one call that computes: `llama_decode` on numpy batches.

A context has `slots` sequences, each in its own stream of `n_ctx` cells, so that attention runs
over one sequence's own cells only. The library computes streams together when their ids are
consecutive and their token counts are equal; `scheduling/sequence_groups.py` forms such batches.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ....core.errors import ModelError
from .library import Clock, Floats, TextModel, forget_errors, native_detail
from .sequence_state import SequenceState, allocate, from_native
from .vision import Chunk, Embedding, Vision


class Batch:
    """Reusable arrays behind a `llama_batch` of at most `capacity` tokens or embeddings."""

    def __init__(self, llama: Any, capacity: int, sequences: int, width: int) -> None:
        self.capacity = capacity
        self.token = np.zeros(capacity, np.int32)
        self.pos = np.zeros(capacity, np.int32)
        self.seq = np.zeros(capacity, np.uint64)
        self.logits = np.zeros(capacity, np.int8)
        self._width = width
        self._embd: Floats | None = None
        self._count = np.ones(capacity, np.int32)
        self._ids = np.arange(sequences, dtype=np.int32)
        self.address = (self._ids.ctypes.data + 4 * np.arange(sequences)).astype(np.uint64)
        self._llama = llama
        self.struct = self._struct("token", self.token)

    def embeddings(self) -> tuple[Any, Floats]:
        """A second `llama_batch` on the same arrays that takes vectors (capacity, width) instead
        of tokens, and those vectors. Made on first use."""
        if self._embd is None:
            self._embd = np.zeros((self.capacity, self._width), np.float32)
            self._embd_struct = self._struct("embd", self._embd)
        return self._embd_struct, self._embd

    def _struct(self, name: str, array: npt.NDArray[Any]) -> Any:
        struct = self._llama.llama_batch()
        for field, values in (
            (name, array),
            ("pos", self.pos),
            ("n_seq_id", self._count),
            ("seq_id", self.seq),
            ("logits", self.logits),
        ):
            kind = dict(self._llama.llama_batch._fields_)[field]
            setattr(struct, field, ctypes.cast(values.ctypes.data, kind))
        return struct


class Context:
    """Owner of a `llama_context`. Positions and token ids are plain ints."""

    def __init__(
        self,
        model: TextModel,
        *,
        n_ctx: int,
        slots: int,
        n_batch: int,
        n_ubatch: int,
        threads: int,
        flash: bool,
        clock: Clock,
    ) -> None:
        self._model = model
        self._llama: Any = model.lib.llama
        self.slots, self.clock = slots, clock
        params = self._llama.llama_context_default_params()
        params.n_ctx = n_ctx * slots
        params.n_seq_max = slots
        params.n_batch = n_batch
        params.n_ubatch = min(n_ubatch, n_batch)
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False
        params.swa_full = True
        params.flash_attn_type = -1 if flash else 0  # auto, or off
        params.no_perf = True
        forget_errors()
        with clock:
            self.pointer: Any = self._llama.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise ModelError(
                f"no context of {slots} x {n_ctx} tokens can be made{native_detail()}; "
                "use a smaller --n-ctx or --memory"
            )
        self.memory: Any = self._llama.llama_get_memory(self.pointer)
        self.n_ctx: int = self._llama.llama_n_ctx_seq(self.pointer)
        self.n_batch: int = self._llama.llama_n_batch(self.pointer)
        self.n_ubatch: int = self._llama.llama_n_ubatch(self.pointer)
        self.batch = Batch(self._llama, self.n_batch, slots, model.n_embd_inp)
        self._no_logits: Floats = np.empty((0, model.n_vocab), np.float32)

    def use_threads(self, threads: int) -> None:
        self._llama.llama_set_n_threads(self.pointer, threads, threads)

    def close(self) -> None:
        if self.pointer:
            with self.clock:
                self._llama.llama_free(self.pointer)
            self.pointer = None

    def decode(self, n: int, n_outputs: int) -> Floats:
        """Compute the first `n` tokens of `batch` -> logits (n_outputs, n_vocab) in batch order,
        a view that the next call overwrites. Raises `ModelError`."""
        return self._decode(self.batch.struct, n, n_outputs)

    def _decode(self, struct: Any, n: int, n_outputs: int) -> Floats:
        struct.n_tokens = n
        forget_errors()
        data = None
        with self.clock as clock:
            code = self._llama.llama_decode(self.pointer, struct)
            if code == 0 and n_outputs:
                data = self._llama.llama_get_logits(self.pointer)
        clock.decodes += 1
        clock.tokens += n
        if code != 0:
            raise ModelError(f"llama.cpp could not compute a batch (code {code}){native_detail()}")
        if data is None:
            return self._no_logits
        return np.ctypeslib.as_array(data, shape=(n_outputs, self._model.n_vocab))

    def decode_tokens(self, slot: int, tokens: Sequence[int], pos: int, outputs: int) -> Floats:
        """Append `tokens` to one sequence at `pos` -> logits (outputs, n_vocab) of the last
        `outputs` of them, at most a batch's capacity; a view that the next call overwrites."""
        batch, result = self.batch, self._no_logits
        before = len(tokens) - max(outputs, 1) if len(tokens) > batch.capacity else 0
        starts = [*range(0, before, batch.capacity), before]
        for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
            n, n_outputs = end - start, outputs if end == len(tokens) else 0
            batch.token[:n] = tokens[start:end]
            batch.pos[:n] = np.arange(pos + start, pos + start + n)
            batch.seq[:n] = batch.address[slot]
            batch.logits[: n - n_outputs], batch.logits[n - n_outputs : n] = 0, 1
            result = self.decode(n, n_outputs)
        return result

    def decode_embeddings(
        self, slots: Sequence[int], embeddings: Sequence[Embedding], positions: Sequence[int]
    ) -> None:
        """Append one embedding (n_tokens, width) of the same length to each sequence, all of them
        together, causally and with consecutive positions."""
        struct, vectors = self.batch.embeddings()
        length = len(embeddings[0])
        stride = max(1, self.n_ubatch // len(slots)) if len(slots) > 1 else self.n_batch
        for begin in range(0, length, stride):
            n = 0
            for slot, embedding, pos in zip(slots, embeddings, positions, strict=True):
                rows = embedding[begin : begin + stride]
                end = n + len(rows)
                vectors[n:end] = rows
                self.batch.pos[n:end] = np.arange(pos + begin, pos + begin + len(rows))
                self.batch.seq[n:end] = self.batch.address[slot]
                n = end
            self.batch.logits[:n] = 0
            self._decode(struct, n, 0)
            self.clock.image_tokens += n

    def decode_picture(
        self, vision: Vision, chunk: Chunk, embedding: Embedding, slot: int, pos: int
    ) -> int:
        """Append an encoded picture to a sequence at `pos` -> the next position."""
        self.check_whole(vision, chunk)
        mtmd, new_pos = vision.lib.mtmd, ctypes.c_int32(pos)
        forget_errors()
        with self.clock as clock:
            code = mtmd.mtmd_helper_decode_image_chunk(
                vision.pointer,
                self.pointer,
                chunk.pointer,
                embedding.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
                pos,
                slot,
                self.n_batch,
                ctypes.byref(new_pos),
                mtmd.mtmd_helper_post_decode_callback(),
                None,
            )
        clock.image_tokens += chunk.n_tokens
        if code != 0:
            raise ModelError(f"an image could not be decoded (code {code}){native_detail()}")
        return new_pos.value

    def check_whole(self, vision: Vision, chunk: Chunk) -> None:
        """Raise `ModelError` if a picture that must be computed as a whole does not fit one
        micro-batch (the library would abort the process)."""
        if chunk.tokens is None and chunk.n_tokens > self.n_ubatch and vision.non_causal(chunk):
            raise ModelError(
                f"an image of {chunk.n_tokens} tokens must be computed as a whole, and the "
                f"micro-batch holds {self.n_ubatch}; use a smaller image"
            )

    def last_logits(self) -> Floats:
        """Logits (n_vocab,) of the last output; a view."""
        data = self._llama.llama_get_logits_ith(self.pointer, -1)
        if not data:
            raise ModelError(f"the model returned no logits{native_detail()}")
        return np.ctypeslib.as_array(data, shape=(self._model.n_vocab,))

    def truncate(self, slot: int, pos: int) -> bool:
        """Drop a sequence's cells from `pos` on; False where the memory cannot be truncated there
        (recurrent layers)."""
        with self.clock:
            return bool(self._llama.llama_memory_seq_rm(self.memory, slot, pos, -1))

    def clear(self) -> None:
        """Drop all sequences."""
        with self.clock:
            self._llama.llama_memory_clear(self.memory, False)

    def size(self, slot: int) -> int:
        """Bytes of a sequence's saved state."""
        size: int = self._llama.llama_state_seq_get_size(self.pointer, slot)
        return size

    def save(self, slot: int) -> SequenceState:
        """A copy of one sequence's state, to `load` into any slot later."""
        forget_errors()
        with self.clock:
            size = self.size(slot)
            buffer = allocate(size)
            data = buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
            written: int = self._llama.llama_state_seq_get_data(self.pointer, data, size, slot)
        if written != size:
            raise ModelError(f"a prefix state could not be saved{native_detail()}")
        return from_native(buffer, size, slot, self.slots, self._model.one_cache)

    def load(self, slot: int, state: SequenceState) -> bool:
        """Fill an empty sequence from a saved state; False if the library refuses it."""
        content = state.for_slots(self.slots)
        if content is None:
            return False
        forget_errors()
        with self.clock:
            data = content.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
            read: int = self._llama.llama_state_seq_set_data(self.pointer, data, content.size, slot)
            if read == 0:
                self._llama.llama_memory_seq_rm(self.memory, slot, -1, -1)
        return read != 0
