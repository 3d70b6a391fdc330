"""The vocabulary of a model behind a llama-server, requested over HTTP and cached."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .connection import Connection


class RemoteVocabulary:
    """The vocabulary interface of `llama_cpp.scheduling.request_plan.Planner`. Tokens are ints.

    A server takes text, not tokens, and parses control tokens anywhere in it: nothing can keep a
    user's text from being parsed as one.
    """

    escape = staticmethod(str)

    def __init__(self, connection: Connection, model: str, bos: str, eos: str) -> None:
        self._connection, self._model = connection, model
        self._texts: dict[int, str] = {}
        self._ends: dict[int, bool] = {}
        self.bos = self._special(bos)
        self.eot = self._special(eos)
        self.adds_bos = self.bos >= 0 and self._ask("", special=True, add=True)[:1] == [self.bos]
        self.tokenize = lru_cache(maxsize=8192)(self._tokenize)

    def tokenize_rendered(self, text: str) -> list[int]:
        """Tokens of rendered chat text, special ones included."""
        return self.tokenize(text, True) if text else []

    def text(self, token: int) -> str:
        """The text of a special token that the server named; empty for any other."""
        return self._texts.get(token, "")

    def is_control(self, token: int) -> bool:
        """Whether a token is one of the special ones that the server named."""
        return token in self._texts

    def ends(self, token: int) -> bool:
        """Whether a token can end a turn. Called only for the first token that the template writes
        after an answer: it does if it is a special token."""
        if token not in self._ends:
            found = self._connection.post("/detokenize", self._with_model(tokens=[token]))
            text = str(found.get("content", ""))
            special = bool(text) and self.tokenize(text, True) != self.tokenize(text, False)
            self._ends[token] = special
        return self._ends[token]

    def _tokenize(self, text: str, special: bool) -> list[int]:
        return self._ask(text, special)

    def _special(self, text: str) -> int:
        """The one token that a special text is, -1 if there is none."""
        tokens = self._ask(text, special=True) if text else []
        if len(tokens) != 1:
            return -1
        self._texts[tokens[0]] = text
        return tokens[0]

    def _ask(self, text: str, special: bool, add: bool = False) -> list[int]:
        body = self._with_model(content=text, parse_special=special, add_special=add)
        return [int(token) for token in self._connection.post("/tokenize", body)["tokens"]]

    def _with_model(self, **body: Any) -> dict[str, Any]:
        return {**body, "model": self._model} if self._model else body
