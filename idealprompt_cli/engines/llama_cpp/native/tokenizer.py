"""Text to tokens and back, with a wall between template text and everybody else's text."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from .library import TextModel

_CONTROL_OR_UNKNOWN = 1 << 3 | 1 << 0  # llama.h: token attributes that parse_special acts on
WALL = "\ue0f0"
"""A private-use character put inside a control token's text that stands in a prompt; the text is
cut there before it is tokenised, so that the pieces can never form the control token."""


class Vocabulary:
    """Tokeniser of a loaded model. Tokens are ints, text is str, pieces are bytes."""

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

    def tokenize_walled(self, text: str) -> list[int]:
        """Tokens of rendered chat text, special ones included, cut at every `WALL`."""
        tokens: list[int] = []
        for piece in text.split(WALL):
            if piece:
                tokens.extend(self.tokenize(piece, special=True))
        return tokens

    def wall(self, content: str) -> str:
        """`content` with a `WALL` inside every control token's text; unchanged when it has none,
        which is nearly always, and then the tokens are those of the plain string."""
        if WALL in content:
            content = content.replace(WALL, "")
        if self.tokenize(content, special=True) == self.tokenize(content, special=False):
            return content
        for text in self._control_texts():
            if text in content:
                content = content.replace(text, text[0] + WALL + text[1:])
        return content

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; control tokens are nothing."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, special=False)
        return known

    def text(self, token: int) -> str:
        """A token's text, control tokens included; empty for a token that there is not."""
        return self._piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

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
