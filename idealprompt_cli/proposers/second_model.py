"""A second model writes: a larger one, or one on a server, beside the model under adaptation.

What is meant for it is addressed by a first message that names it, so that the run's memory and
budget account keep it apart from answers of the run's own model; `WithWriter`, below the metered
engine, removes the address and passes the request on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..core.interfaces import Engine, Notice, Proposer
from ..core.prompt import Message
from ..core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from .same_model import same_model

_SIGN = "\ue0f3writer:"
"""Begins an address; a private character, which no text of a user holds."""


@dataclass(frozen=True)
class WithWriter:
    """An engine with a writer at its side: addressed requests go there, all others to `engine`."""

    engine: Engine
    writer: Engine

    def info(self) -> ModelInfo:
        """That of the run's own model."""
        return self.engine.info()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self.engine.count_tokens(messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return self.engine.score(requests)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Texts in the order of the requests, whoever writes them."""
        for_writer = [i for i, request in enumerate(requests) if _addressed(request)]
        if not for_writer:
            return self.engine.generate(requests)
        own = [i for i in range(len(requests)) if i not in for_writer]
        bare = [replace(requests[i], messages=requests[i].messages[1:]) for i in for_writer]
        found = dict(zip(for_writer, self.writer.generate(bare), strict=True))
        if own:
            answers = self.engine.generate([requests[i] for i in own])
            found.update(zip(own, answers, strict=True))
        return [found[i] for i in range(len(requests))]

    def close(self) -> None:
        self.engine.close()
        self.writer.close()


def second_model(writer: ModelInfo, say: Notice) -> Callable[[Engine], Proposer | None]:
    """A maker for runs on a `WithWriter` with this writer; like `same_model`, its probe and all.
    `say` is called if the writer fails it."""
    address = (Message("system", (f"{_SIGN}{writer.fingerprint}",)),)

    def make(engine: Engine) -> Proposer | None:
        proposer = same_model(engine, address)
        if proposer is None:
            say(f"{writer.name} could not rephrase a simple question: continuing without it.")
        return proposer

    return make


def _addressed(request: GenerateRequest) -> bool:
    first = request.messages[0].content[:1]
    return bool(first) and isinstance(first[0], str) and first[0].startswith(_SIGN)
