"""Answers expected: what was last said about a head is what the next prompt is likely to get.

An expected answer is decoded with the prompt, and the logits tell how much of it was right: that
much need not be decoded token by token. Being wrong costs the tokens, never the answer.
"""

from __future__ import annotations

from collections import OrderedDict

from ..caching.image_embeddings import Key
from .sequence_groups import DecodeCost
from .token_trie import Tokens

_KEPT = 4096
_WINDOW = 512


class Drafts:
    """The last answer to each head, and how often it was the next one too."""

    def __init__(self) -> None:
        self._last: OrderedDict[Key, Tokens] = OrderedDict()
        self._right, self._offered = 1.0, 1.0

    def guess(self, key: Key, most: int) -> Tokens:
        """The tokens after which the answer to this head's next prompt may end."""
        return self._last.get(key, ())[:most]

    def worth(self, cost: DecodeCost, lanes: int) -> bool:
        """Whether decoding guesses along with prompts is cheaper than token by token, `lanes`
        answers at a time."""
        step = cost.fixed / lanes + cost.per_sequence + cost.per_token
        return self._right * step > self._offered * cost.per_token

    def learn(self, key: Key, guess: Tokens, answer: Tokens) -> None:
        """Note what was decoded after `guess` was made, whether it was used or not."""
        pairs = enumerate(zip(guess, answer, strict=False))
        right = next((i for i, (a, b) in pairs if a != b), min(len(guess), len(answer)))
        self._right += right
        self._offered += len(guess)
        if self._offered > _WINDOW:
            self._right, self._offered = self._right / 2, self._offered / 2
        self._last[key] = answer
        self._last.move_to_end(key)
        if len(self._last) > _KEPT:
            self._last.popitem(last=False)
