"""The engine on a server: the same requests and answers as in the process, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ...core.errors import ModelError, UsageError
from ...core.interfaces import Notice
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ...core.task import ModelRef
from ..options import EngineOptions, ServerRef
from .address import locate
from .chat_protocol import Chat
from .chat_server import ChatServer
from .connection import Line, Wire
from .connection_pool import Lanes
from .llama_server import LlamaServer, takes_tokens
from .server import Server, meet

_MOST_LANES = 16


class Backend(Protocol):
    """How one kind of server is asked."""

    def count_tokens(self, messages: Sequence[Message]) -> int: ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]: ...

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]: ...

    def close(self) -> None: ...


class HttpEngine:
    """An `Engine` on a server. Made by `open_http`.

    Unlike an engine in the process, it learns from the server's refusal that a prompt does not fit,
    so `ContextError` may come after other requests of the call were computed.
    """

    def __init__(self, server: Server, backend: Backend, mode: str) -> None:
        self._server, self._backend, self._mode = server, backend, mode
        self._closed = False

    def info(self) -> ModelInfo:
        """Identity of the server's model; `path` is the server's address."""
        return self._server.info(self._mode)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the rendered chat; an estimate where the server does not count them."""
        self._check_open()
        return self._backend.count_tokens(messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options. Raises `ServerError`, `ContextError`,
        `ImageError`."""
        self._check(requests)
        return self._backend.score(requests) if requests else []

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations. Raises as `score` does."""
        self._check(requests)
        return self._backend.generate(requests) if requests else []

    def close(self) -> None:
        """Hang up. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._backend.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("the model is closed; open it again")

    def _check(self, requests: Sequence[ScoreRequest] | Sequence[GenerateRequest]) -> None:
        self._check_open()
        for request in requests:
            slots = sum(not isinstance(p, str) for m in request.messages for p in m.content)
            if slots != len(request.images):
                raise ModelError(
                    f"a prompt has {slots} picture slots and was given {len(request.images)} "
                    "pictures; give it one for each"
                )
            if slots and self._server.vision is False:
                cure = (
                    "start llama-server with --mmproj"
                    if self._server.kind == "llama-server"
                    else "choose a model that does with --server-model"
                )
                raise ModelError(
                    f"{self._server.url}: the model {self._server.model} takes no pictures; {cure}"
                )


def open_http(
    ref: ModelRef | ServerRef | Path, options: EngineOptions, notice: Notice
) -> HttpEngine:
    """Meet a server. Raises `UsageError` for what is no address, `ServerError` (one line) for a
    server that is not there, not ready, not on this machine, or without the model."""
    if not isinstance(ref, ServerRef):
        raise UsageError(f"{ref}: the http engine needs the address of a server")
    line = Line(locate(ref.url, ref.allow_network), options.timeout, notice)
    wire = Wire(line)
    try:
        server = meet(wire, ref.model)
        notice(f"Using {server.model} on the {server.kind} at {server.url}.")
        backend, mode = _backend(wire, line, server, options, notice)
    except BaseException:
        wire.close()
        raise
    return HttpEngine(server, backend, mode)


def _backend(
    wire: Wire, line: Line, server: Server, options: EngineOptions, notice: Notice
) -> tuple[Backend, str]:
    """How to ask this server, and the name of that way."""
    lanes = Lanes(line, min(server.slots, _MOST_LANES), wire)
    if server.kind == "llama-server":
        model = server.routed
        if takes_tokens(wire, model):
            template = options.chat_template
            return LlamaServer(wire, lanes, server.props, model, template, notice), "exact"
        notice(
            "this llama-server is too old to be asked for the exact scores of labels; they are "
            "taken from the likeliest tokens that it lists"
        )
    if options.chat_template:
        raise UsageError("--chat-template: this server applies its own; set it where it is started")
    chat = Chat(server)
    chat.probe(wire)
    return ChatServer(wire, lanes, chat, notice), "listed" if chat.abilities.top else "chosen"
