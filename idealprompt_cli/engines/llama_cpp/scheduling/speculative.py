"""Speculative decoding from the last answer for the same prefix.

The last answer is the draft for the next prompt: it is decoded together with that prompt, and the
logits show how much of it was right, which need not be decoded token by token. A wrong draft costs
its tokens, never the answer.
"""

from __future__ import annotations

from collections import OrderedDict

from .request_plan import Key
from .sequence_groups import DecodeCost
from .token_trie import Tokens

_KEPT = 4096
_WINDOW = 512


class Speculation:
    """The last answer for each prefix, and how often such drafts were accepted. `drafted` and
    `accepted` count the tokens of all drafts, decoded or not."""

    def __init__(self) -> None:
        self._last: OrderedDict[Key, Tokens] = OrderedDict()
        self._accepted, self._drafted = 1.0, 1.0
        self.accepted, self.drafted = 0, 0

    def draft(self, key: Key, most: int) -> Tokens:
        """Draft tokens for the next answer for this prefix, at most `most`."""
        return self._last.get(key, ())[:most]

    def pays(self, cost: DecodeCost, sequences: int) -> bool:
        """Whether decoding drafts with prompts is cheaper than token by token, for so many
        sequences at a time."""
        step = cost.fixed / sequences + cost.per_sequence + cost.per_token
        return self._accepted * step > self._drafted * cost.per_token

    def learn(self, key: Key, draft: Tokens, answer: Tokens) -> None:
        """Record the answer that followed a draft, whether the draft was decoded or not."""
        pairs = enumerate(zip(draft, answer, strict=False))
        accepted = next((i for i, (a, b) in pairs if a != b), min(len(draft), len(answer)))
        self.accepted += accepted
        self.drafted += len(draft)
        self._accepted += accepted
        self._drafted += len(draft)
        if self._drafted > _WINDOW:
            self._accepted, self._drafted = self._accepted / 2, self._drafted / 2
        self._last[key] = answer
        self._last.move_to_end(key)
        if len(self._last) > _KEPT:
            self._last.popitem(last=False)
