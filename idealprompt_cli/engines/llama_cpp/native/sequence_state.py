"""A sequence's saved state, in a form that contexts with another number of sequences accept too.

llama.cpp writes (llama-context.cpp, llama-kv-cache.cpp) a magic number, the sequence's id and the
number of streams, then for each stream a count of cells and, where that is not 0, the cells. One
sequence fills one stream, so only the 12-byte header and the zeros around the cells depend on the
context. That form is checked on saving; a state that does not have it (windowed or recurrent
memories write several such parts) fits only contexts of as many sequences as it was made with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_HEADER = 12
_WORD = 4
MOST_STREAMS = 256  # LLAMA_MAX_SEQ


@dataclass(frozen=True)
class SequenceState:
    """`buffer` holds header, cells and spare zeros; the cells are `size` bytes after the header.
    `slots` is the number of sequences that it fits, 0 for any."""

    buffer: Bytes
    size: int
    slots: int

    @property
    def nbytes(self) -> int:
        return self.buffer.nbytes

    @property
    def content(self) -> Bytes:
        """Header and cells: what is kept on disk."""
        return self.buffer[: _HEADER + self.size]

    def for_slots(self, slots: int) -> Bytes | None:
        """The bytes to load into a context of `slots` sequences, None if the state does not fit."""
        if self.slots:
            return self.buffer[: _HEADER + self.size] if self.slots == slots else None
        self.buffer[2 * _WORD : _HEADER].view(np.uint32)[0] = slots
        return self.buffer[: _HEADER + self.size + _WORD * (slots - 1)]


def allocate(size: int) -> Bytes:
    """A buffer for a state of `size` bytes as the library writes it."""
    buffer = np.empty(size + _WORD * MOST_STREAMS, np.uint8)
    buffer[size:] = 0
    return buffer


def from_native(buffer: Bytes, size: int, slot: int, slots: int, simple: bool) -> SequenceState:
    """The state that the library wrote into the first `size` bytes of a buffer from `allocate`.
    `simple`: the memory is one cache, so that the form above is expected."""
    first, last = _HEADER + _WORD * slot, size - _WORD * (slots - 1 - slot)
    known = (
        simple and last > first and not buffer[_HEADER:first].any() and not buffer[last:size].any()
    )
    if not known or buffer[2 * _WORD : _HEADER].view(np.uint32)[0] != slots:
        return SequenceState(buffer, size - _HEADER, slots)
    begin = first - _HEADER
    moved = buffer[begin:]
    moved[:_HEADER] = buffer[:_HEADER].copy()
    return SequenceState(moved, last - first, 0)


def from_disk(buffer: Bytes, size: int, slots: int) -> SequenceState:
    """A state from its `content` in the first `size` bytes of a buffer from `allocate`, and its
    `slots`."""
    return SequenceState(buffer, size - _HEADER, slots)
