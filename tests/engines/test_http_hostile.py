"""Servers that drip, loop or lie, and addresses that are none: one line, in bounded time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import IdealPromptError, ServerError
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.engines import EngineOptions, ServerRef, open_engine
from idealprompt_cli.engines.http.address import locate
from idealprompt_cli.engines.http.connection import Connection, Endpoint

from ..conftest import MakePicture
from ..support.toy_server import Behaviour, serving
from .test_http_engine import OPTIONS, ask

Talk = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def raw_server(talk: Talk) -> Iterator[str]:
    """A server that says what `talk` sends, whatever it is asked."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not ended.is_set():
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client:
                try:
                    client.recv(65536)
                    talk(client)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()


def drips_its_body(client: socket.socket) -> None:
    client.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    for _ in range(600):
        client.sendall(b" ")
        time.sleep(0.05)


def drips_without_a_length(client: socket.socket) -> None:
    client.sendall(OK + b'Connection: close\r\n\r\n{"a": 1}')
    for _ in range(600):
        client.sendall(b" ")
        time.sleep(0.05)


def drips_its_headers(client: socket.socket) -> None:
    client.sendall(OK)
    for number in range(600):
        client.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.05)


def continues_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def says_nothing(client: socket.socket) -> None:
    time.sleep(30)


@pytest.mark.parametrize(
    "talk",
    [
        drips_its_body,
        drips_without_a_length,
        drips_its_headers,
        continues_for_ever,
        says_nothing,
    ],
)
def test_the_timeout_bounds_the_whole_answer(talk: Talk) -> None:
    with raw_server(talk) as url:
        connection = Connection(Endpoint(locate(url, allow_network=False), 0.5, print))
        started = time.monotonic()
        with pytest.raises(ServerError, match=r"no answer within 0\.5 seconds"):
            connection.get("/props")
        assert time.monotonic() - started < 5.0
        connection.close()


def of(body: bytes, status: bytes = b"200 OK") -> Talk:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    return lambda client: client.sendall(head + body)


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        (of(b"[" * 200_000), "the answer is not JSON"),
        (of(b'{"a": NaN}'), "the answer is not JSON"),
        (of(b"\xff\xfe\x00"), "the answer is not JSON"),
        (of(b"{" * 100_000, b"500 Oops"), "the server answered 500"),
        (of(b"\x1b[2J\x9b0m\xe2\x80\xae", b"500 Oops"), r"\\x1b\[2J"),
        (lambda client: client.sendall(b"SSH-2.0-OpenSSH\r\n"), "the connection failed"),
        (lambda client: client.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500), "failed"),
    ],
)
def test_hostile_answers_are_one_line(talk: Talk, message: str) -> None:
    with raw_server(talk) as url:
        connection = Connection(Endpoint(locate(url, allow_network=False), 5.0, print))
        with pytest.raises(ServerError, match=message) as caught:
            connection.get("/props")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        connection.close()


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "http://", "://", "http://[::1", "http://[]", "http://a b/", "http://\x00",
        "http://host:99999", "http://host:-1", "http://" + "a" * 300, "http://a..b", "http://.",
        "ftp://127.0.0.1", "file:///etc/passwd", "127.0.0.1:port", "http://user:pass@127.0.0.1",
        "http://127.0.0.1/?q", "http://127.0.0.1/#x", "http://127.0.0.1\r\nX: y", "http://\ud800",
        "http://" + "é" * 100, "[", "http://999.999.999.999", "http://0x7f000001.x",
    ],
)  # fmt: skip
def test_odd_addresses_are_one_line(address: str) -> None:
    with pytest.raises(IdealPromptError) as caught:
        open_engine("http", ServerRef(address), EngineOptions(timeout=2.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("logprobs", [True, False])
def test_an_empty_reply_is_an_error(
    logprobs: bool, make_picture: MakePicture, tmp_path: Path
) -> None:
    """A thinking model that spends its tokens on hidden thoughts scores no labels evenly."""
    behaviour = Behaviour(kind="openai", logprobs=logprobs)
    picture = make_picture(tmp_path / "a.png", 1)
    empty = '{"choices": [{"message": {"content": ""}, "finish_reason": "length"}], "usage": {}}'
    with serving(behaviour) as url:
        engine = open_engine("http", ServerRef(url), EngineOptions(timeout=5.0))
        behaviour.faults["/v1/chat/completions"] = [(200, empty)] * 20
        with pytest.raises(ServerError, match="the model's reply is empty"):
            engine.score([ScoreRequest(ask("Q?"), (picture,), OPTIONS)])
        engine.close()


def test_ollama_is_asked_not_to_think() -> None:
    behaviour = Behaviour(kind="ollama")
    with serving(behaviour) as url:
        engine = open_engine("http", ServerRef(url), EngineOptions(timeout=5.0))
        engine.close()
    bodies = behaviour.bodies("/v1/chat/completions")
    assert [body["reasoning_effort"] for body in bodies] == ["none"] * len(bodies)
    refused = Behaviour(kind="ollama")
    refused.faults["/v1/chat/completions"] = [(400, '{"error": "unknown effort"}')]
    with serving(refused) as url:
        open_engine("http", ServerRef(url), EngineOptions(timeout=5.0)).close()
    first, *others = refused.bodies("/v1/chat/completions")
    assert first["reasoning_effort"] == "none"
    assert others
    assert all("reasoning_effort" not in body for body in others)
