"""The model under adaptation writes, if a short probe shows that it can.

Models below 3B reflect poorly, and some cannot even reword a sentence: two rewordings of known
sentences, at most 24 tokens each, decide which, so that a rambling model costs almost nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.errors import ModelError
from ..core.interfaces import Engine, Proposer
from ..core.prompt import Message
from ..core.requests import GenerateRequest

# A sentence to reword, and words of which a rewording keeps at least one.
PROBES = (
    ("What is the color of the car?", ("color", "colour", "car", "vehicle")),
    ("How many people are in the room?", ("many", "number", "people", "persons", "room")),
)
PROBE_TOKENS = 24
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class SameModel:
    """Writes with the run's own engine: text in, text out, greedy. `address` goes before what is
    meant for a second model (see `second_model.py`)."""

    engine: Engine
    address: tuple[Message, ...] = ()

    def write(self, instruction: str, max_tokens: int = 64, grammar: str | None = None) -> str:
        """The model's answer to an instruction without a picture; one line."""
        messages = (*self.address, Message("user", (instruction,)))
        request = GenerateRequest(messages, (), max_tokens, stop=("\n",), grammar=grammar)
        return self.engine.generate([request])[0].text.strip()


def same_model(engine: Engine, address: tuple[Message, ...] = ()) -> Proposer | None:
    """A proposer on the run's model, or None where it fails a probe (or cannot do without a
    picture). OutOfBudget passes through."""
    proposer = SameModel(engine, address)
    try:
        able = all(_reworded(proposer, sentence, kept) for sentence, kept in PROBES)
    except ModelError:
        return None
    return proposer if able else None


def _reworded(proposer: Proposer, sentence: str, kept: tuple[str, ...]) -> bool:
    """Whether the answer is one new sentence about the same thing, without stuttering."""
    text = proposer.write(f"Say this question in other words: {sentence}", PROBE_TOKENS)
    words = [word.casefold() for word in _WORD.findall(text)]
    before = [word.casefold() for word in _WORD.findall(sentence)]
    fresh = words != before and 3 <= len(words) <= 18
    return fresh and len(set(words)) > 0.6 * len(words) and any(word in words for word in kept)
