"""A sequence's saved state, in a form that a context with another number of sequences takes too.

llama.cpp writes (llama-context.cpp, llama-kv-cache.cpp) a magic number, the sequence's id and the
number of streams, then for each stream a count of cells and, where that is not 0, the cells. One
sequence fills one stream, so what depends on the context is the head of 12 bytes and the zeros
around the cells. That form is checked on saving; a state that does not have it (windowed or
recurrent memories write several such parts) is only good for as many sequences as it was made with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_HEAD = 12
_WORD = 4
MOST_STREAMS = 256  # LLAMA_MAX_SEQ


@dataclass(frozen=True)
class State:
    """`buffer` holds head, cells and spare zeros; the cells are `size` bytes after the head.
    `slots` is the number of sequences that it is good for, 0 any."""

    buffer: Bytes
    size: int
    slots: int

    @property
    def nbytes(self) -> int:
        return self.buffer.nbytes

    @property
    def content(self) -> Bytes:
        """Head and cells: what is kept on disk."""
        return self.buffer[: _HEAD + self.size]

    def for_slots(self, slots: int) -> Bytes | None:
        """The bytes to give to a context of so many sequences, None if it is not good for it."""
        if self.slots:
            return self.buffer[: _HEAD + self.size] if self.slots == slots else None
        self.buffer[2 * _WORD : _HEAD].view(np.uint32)[0] = slots
        return self.buffer[: _HEAD + self.size + _WORD * (slots - 1)]


def room(size: int) -> Bytes:
    """A buffer for a state of `size` bytes as the library writes it."""
    buffer = np.empty(size + _WORD * MOST_STREAMS, np.uint8)
    buffer[size:] = 0
    return buffer


def saved(buffer: Bytes, size: int, slot: int, slots: int, simple: bool) -> State:
    """The state that the library wrote into the first `size` bytes of a buffer made by `room`.
    `simple` says that the memory is one cache, so that the form above is to be expected."""
    first, last = _HEAD + _WORD * slot, size - _WORD * (slots - 1 - slot)
    plain = (
        simple and last > first and not buffer[_HEAD:first].any() and not buffer[last:size].any()
    )
    if not plain or buffer[2 * _WORD : _HEAD].view(np.uint32)[0] != slots:
        return State(buffer, size - _HEAD, slots)
    begin = first - _HEAD
    moved = buffer[begin:]
    moved[:_HEAD] = buffer[:_HEAD].copy()
    return State(moved, last - first, 0)


def restored(buffer: Bytes, size: int, slots: int) -> State:
    """A state from its `content` in the first `size` bytes of a buffer made by `room`, as it was
    kept on disk, and what it said of `slots`."""
    return State(buffer, size - _HEAD, slots)
