"""GBNF grammars that bind a generation."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ....core.errors import ModelError
from .context import Floats
from .library import forget_errors, library, native_detail

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """A GBNF grammar that follows one generation. Raises `ModelError` if it does not parse."""

    def __init__(self, text: str, vocab: Any) -> None:
        self._llama: Any = library().llama
        forget_errors()
        self._pointer: Any = self._llama.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self._pointer:
            raise ModelError(f"the grammar is not valid GBNF{native_detail()}; mend it")

    def choose(self, logits: Floats, best: int) -> int:
        """The best token that the grammar allows, or -1 if none is; logits (n_vocab,) with their
        greatest at `best`."""
        if self._allowed(np.array([best], np.int32), logits)[0] > -np.inf:
            return best
        allowed = self._allowed(np.arange(len(logits), dtype=np.int32), logits)
        best = int(allowed.argmax())
        return best if allowed[best] > -np.inf else -1

    def accept(self, token: int) -> None:
        self._llama.llama_sampler_accept(self._pointer, token)

    def close(self) -> None:
        if self._pointer:
            self._llama.llama_sampler_free(self._pointer)
            self._pointer = None

    def _allowed(self, ids: Any, logits: Floats) -> Floats:
        """Logits of `ids`, -inf where the grammar forbids."""
        candidates = np.zeros(len(ids), _CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits[ids]
        data = ctypes.cast(candidates.ctypes.data, ctypes.POINTER(self._llama.llama_token_data))
        array = self._llama.llama_token_data_array(data, len(ids), -1, False)
        self._llama.llama_sampler_apply(self._pointer, ctypes.byref(array))
        result = np.empty(len(ids), np.float32)
        result[:] = candidates["logit"]
        return result
