"""Text to tokens and back, and grammars over tokens.

Only the chat template may produce control tokens: in all other text, a `BREAK` keeps the text of a
control token from being tokenised as one.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from ....core.errors import ModelError
from .library import Floats, TextModel, forget_errors, library, native_detail

_CONTROL_OR_UNKNOWN = 1 << 3 | 1 << 0  # llama.h: token attributes that parse_special acts on
BREAK = "\ue0f0"
"""A private-use character that `Vocabulary.escape` puts inside the text of a control token. Text is
split there before it is tokenised, so that the parts never form the control token."""
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def split_at_breaks(text: str) -> list[str]:
    """The parts of rendered text that are tokenised one by one."""
    return [part for part in text.split(BREAK) if part]


class Vocabulary:
    """Tokeniser of a loaded model. Tokens are ints, text is str, a token's piece is bytes."""

    def __init__(self, model: TextModel) -> None:
        self._llama: Any = model.lib.llama
        self._clock = model.clock
        self.pointer: Any = model.vocab
        self.size = model.n_vocab
        self.adds_bos = bool(self._llama.llama_vocab_get_add_bos(self.pointer))
        self.bos: int = self._llama.llama_vocab_bos(self.pointer)
        self.eos: int = self._llama.llama_vocab_eos(self.pointer)
        eot: int = self._llama.llama_vocab_eot(self.pointer)
        self.eot = eot if eot >= 0 else self.eos
        self._buffer = (ctypes.c_int32 * 1024)()
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Tokens of `text` alone (no BOS); `special` lets control tokens' text become them."""
        raw = text.encode("utf-8")
        while True:
            with self._clock:
                n: int = self._llama.llama_tokenize(
                    self.pointer, raw, len(raw), self._buffer, len(self._buffer), False, special
                )
            if n >= 0:
                return list(self._buffer[:n])
            self._buffer = (ctypes.c_int32 * -n)()

    def tokenize_rendered(self, text: str) -> list[int]:
        """Tokens of rendered chat text, control tokens included, split at every `BREAK`."""
        return [
            token for part in split_at_breaks(text) for token in self.tokenize(part, special=True)
        ]

    def escape(self, content: str) -> str:
        """`content` with a `BREAK` inside the text of every control token; unchanged, with the
        tokens of the plain string, where there is none (nearly always)."""
        if BREAK in content:
            content = content.replace(BREAK, "")
        if self.tokenize(content, special=True) == self.tokenize(content, special=False):
            return content
        for text in self._control_texts():
            if text in content:
                content = content.replace(text, text[0] + BREAK + text[1:])
        return content

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, special=False)
        return known

    def text(self, token: int) -> str:
        """A token's text, control tokens included; empty for a negative token (none defined)."""
        return self._piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    def is_control(self, token: int) -> bool:
        """Whether the token stands for itself in rendered text, whatever is beside it."""
        attributes = self._llama.llama_vocab_get_attr(self.pointer, token)
        return bool(attributes & _CONTROL_OR_UNKNOWN)

    def ends(self, token: int) -> bool:
        """Whether the token ends a generation (end of turn, of text, ...)."""
        known = self._ends.get(token)
        if known is None:
            known = bool(self._llama.llama_vocab_is_eog(self.pointer, token))
            self._ends[token] = known
        return known

    def _piece(self, token: int, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        n: int = self._llama.llama_token_to_piece(self.pointer, token, buffer, 256, 0, special)
        if n < 0:
            buffer = ctypes.create_string_buffer(-n)
            n = self._llama.llama_token_to_piece(self.pointer, token, buffer, -n, 0, special)
        return buffer.raw[:n]

    @lru_cache(maxsize=1)  # noqa: B019 - one vocabulary per model, freed with it
    def _control_texts(self) -> tuple[str, ...]:
        """Texts of two characters or more of all control tokens, the longest first."""
        texts = []
        for token in range(self.size):
            if self._llama.llama_vocab_get_attr(self.pointer, token) & _CONTROL_OR_UNKNOWN:
                raw = self._llama.llama_vocab_get_text(self.pointer, token)
                if raw and len(raw) > 1:
                    texts.append(raw.decode("utf-8", "replace"))
        return tuple(sorted(texts, key=len, reverse=True))


class Grammar:
    """A GBNF grammar that constrains one generation. Raises `ModelError` if it does not parse."""

    def __init__(self, text: str, vocab: Any) -> None:
        self._llama: Any = library().llama
        forget_errors()
        self._pointer: Any = self._llama.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self._pointer:
            raise ModelError(f"the grammar is not valid GBNF{native_detail()}; fix its rules")

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
