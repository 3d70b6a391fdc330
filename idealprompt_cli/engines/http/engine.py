"""The engine on a server: the requests and answers of the in-process engine, over HTTP."""

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
from .connection import Connection, Endpoint
from .connection_pool import ConnectionPool
from .llama_server import LlamaServer, takes_tokens
from .server import Server, identify

_MOST_CONNECTIONS = 16


class Backend(Protocol):
    """How requests are made to one kind of server."""

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
        """Close the connections. Safe to call twice."""
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
                    f"a prompt has {slots} image slots and was given {len(request.images)} "
                    "images; give it one for each"
                )
            if slots and self._server.vision is False:
                fix = (
                    "start llama-server with --mmproj"
                    if self._server.kind == "llama-server"
                    else "choose a model that does with --server-model"
                )
                raise ModelError(
                    f"{self._server.url}: the model {self._server.model} takes no images: {fix}"
                )


def open_http(
    ref: ModelRef | ServerRef | Path, options: EngineOptions, notice: Notice
) -> HttpEngine:
    """Connect to a server. Raises `UsageError` for what is no address, `ServerError` (one line)
    for a server that is not there, not ready, not on this machine, or without the model."""
    if not isinstance(ref, ServerRef):
        raise UsageError(f"{ref}: the http engine needs the address of a server")
    endpoint = Endpoint(locate(ref.url, ref.allow_network), options.timeout, notice)
    connection = Connection(endpoint)
    try:
        server = identify(connection, ref.model)
        notice(f"Using {server.model} on the {server.kind} at {server.url}.")
        backend, mode = _backend(connection, endpoint, server, options, notice)
    except BaseException:
        connection.close()
        raise
    return HttpEngine(server, backend, mode)


def _backend(
    connection: Connection,
    endpoint: Endpoint,
    server: Server,
    options: EngineOptions,
    notice: Notice,
) -> tuple[Backend, str]:
    """The backend for this server, and the name of its mode."""
    pool = ConnectionPool(endpoint, min(server.slots, _MOST_CONNECTIONS), connection)
    if server.kind == "llama-server":
        model = server.routed
        if takes_tokens(connection, model):
            template = options.chat_template
            return LlamaServer(connection, pool, server.props, model, template, notice), "exact"
        notice(
            "this llama-server is too old for exact label scores; they are taken from the most "
            "likely tokens that it lists"
        )
    if options.chat_template:
        raise UsageError(
            "--chat-template: the server applies its own template: set it where the server starts"
        )
    chat = Chat(server)
    chat.probe(connection)
    return ChatServer(connection, pool, chat, notice), "listed" if chat.abilities.top else "chosen"
