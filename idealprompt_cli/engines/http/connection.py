"""One connection to a server: JSON out, JSON in, and every fault as a one-line `ServerError`.

Kept alive between calls. Proxy variables are ignored, redirects are refused, and the key
(`IDEALPROMPT_API_KEY`) goes into a header and nowhere else. Not thread-safe.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.errors import ContextError, ServerError
from ...core.interfaces import Notice
from ...io.terminal import one_line
from .address import Address

KEY = "IDEALPROMPT_API_KEY"
PATIENCE = 60.0
"""Seconds for which a server that is still loading its model (503) is asked again."""
_PAUSE = 0.5
_MOST_BYTES = 64 << 20
_SHOWN = 200
_CONTEXT_WORDS = ("context size", "context length", "context window", "exceed_context")

Json = Any


@dataclass(frozen=True)
class Endpoint:
    """The server that several connections share. `timeout` is in seconds, for each answer."""

    address: Address
    timeout: float
    notice: Notice
    patience: float = PATIENCE
    key: str = field(default_factory=lambda: os.environ.get(KEY, ""), repr=False)

    @property
    def url(self) -> str:
        return self.address.url

    def clean(self, text: str) -> str:
        """A server's words as one short line, without the key."""
        line = one_line(text)
        if self.key:
            line = line.replace(self.key, "***")
        return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


class Connection:
    """A connection, opened when first used."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._http: _HttpConnection | None = None
        self._aborted = self._expired = False

    def get(self, path: str) -> Json:
        """The JSON that `path` holds. Raises `ServerError`."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Json]) -> Json:
        """The JSON answer to a JSON body. Raises `ServerError`, or `ContextError` for a prompt
        that the server finds too long."""
        return self._call("POST", path, json.dumps(body).encode())

    def close(self) -> None:
        """Close it; the next call opens it again."""
        opened, self._http = self._http, None
        if opened is not None:
            opened.close()

    def abort(self) -> None:
        """Make a call that waits in another thread fail now, until `resume`."""
        self._aborted = True
        self._shut_down()

    def resume(self) -> None:
        """Take calls again."""
        self._aborted = False

    def _call(self, method: str, path: str, body: bytes | None) -> Json:
        waited, notified = 0.0, False
        while True:
            status, data = self._send(method, path, body)
            if status != 503 or waited >= self.endpoint.patience or self._aborted:
                return self._answer(status, data, path, waited)
            if not notified:
                self.endpoint.notice(
                    f"{self.endpoint.url} is not ready ({self.endpoint.clean(_message_of(data))}); "
                    f"asking again for up to {self.endpoint.patience:g} seconds"
                )
                notified = True
            time.sleep(_PAUSE)
            waited += _PAUSE

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        """Shut the connection down when an answer as a whole takes too long: a socket's own timeout
        starts again with every byte, and with every `100 Continue`."""
        self._expired = False
        timer = threading.Timer(self.endpoint.timeout, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._expired = True
        self._shut_down()

    def _shut_down(self) -> None:
        opened = self._http
        if opened is not None and opened.latest is not None:
            with contextlib.suppress(OSError):
                opened.latest.shutdown(socket.SHUT_RDWR)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and body. A kept connection that the server has closed is opened again, once."""
        kept = self._http is not None
        try:
            with self._deadline():
                return self._exchange(method, path, body)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if not kept or self._aborted or self._expired:
                raise self._broken(error) from error
        try:
            with self._deadline():
                return self._exchange(method, path, body)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise self._broken(error) from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        endpoint = self.endpoint
        if self._http is None:
            self._http = _HttpConnection(endpoint.address, endpoint.timeout)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        try:
            self._http.request(method, endpoint.address.prefix + path, body, headers)
            response = self._http.getresponse()
            data = response.read(_MOST_BYTES + 1)
            if self._expired:  # what was read up to then looks like a whole answer
                raise TimeoutError
        except (http.client.RemoteDisconnected, ConnectionError):
            raise
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise self._broken(error) from error
        if response.will_close or len(data) > _MOST_BYTES:
            self.close()
        if response.status in (301, 302, 303, 307, 308):
            place = endpoint.clean(response.headers.get("Location", "elsewhere"))
            raise ServerError(
                f"{endpoint.url}: redirects to {place}: give the final address "
                "(redirects are refused)",
                response.status,
            )
        return response.status, data

    def _broken(self, error: Exception) -> ServerError:
        url = self.endpoint.url
        if isinstance(error, TimeoutError) or self._expired:
            return ServerError(
                f"{url}: no answer within {self.endpoint.timeout:g} seconds: give the server more "
                "time with --server-timeout"
            )
        if isinstance(error, ConnectionRefusedError):
            return ServerError(f"{url}: connection refused: start the server, or check --server")
        if isinstance(error, ssl.SSLError):
            return ServerError(f"{url}: no secure connection ({self.endpoint.clean(str(error))})")
        why = self.endpoint.clean(str(error)) or type(error).__name__
        return ServerError(f"{url}: the connection failed ({why}): see the server's log")

    def _answer(self, status: int, data: bytes, path: str, waited: float) -> Json:
        if status == 200:
            try:
                return json.loads(data, parse_constant=_not_json)
            except (ValueError, RecursionError) as error:
                raise ServerError(
                    f"{self.endpoint.url}{path}: the answer is not JSON: "
                    "is this an inference server?",
                    status,
                ) from error
        said, url = self.endpoint.clean(_message_of(data)), self.endpoint.url
        if status in (400, 413, 422) and any(w in _raw(data) for w in _CONTEXT_WORDS):
            raise ContextError(
                f"{url}: {said}: shorten the prompt, or start the server with a larger context"
            )
        if status in (401, 403):
            raise ServerError(
                f"{url}: needs a key ({status}: {said}): set the variable {KEY}", status
            )
        if status == 503:
            raise ServerError(
                f"{url}: still not ready after {waited:g} seconds (503: {said}); wait until its "
                "model is loaded, or see its log",
                status,
            )
        raise ServerError(f"{url}{path}: the server answered {status}: {said}", status)


class _HttpConnection(http.client.HTTPConnection):
    """To the IP addresses that were checked; the name is used for the certificate only. `latest` is
    its socket, which `sock` no longer is while a last answer is being read."""

    latest: socket.socket | None = None

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address.host, address.port, timeout=timeout)
        self._address = address
        self._tls = ssl.create_default_context() if address.scheme == "https" else None

    def connect(self) -> None:
        """Tries the addresses in turn."""
        fault: OSError | None = None
        for number in self._address.numbers:
            try:
                made = socket.create_connection((number, self.port), self.timeout)
                break
            except OSError as error:
                fault = error
        else:
            raise fault or ConnectionRefusedError
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host = self._address.host
        self.sock = self._tls.wrap_socket(made, server_hostname=host) if self._tls else made
        self.latest = self.sock


def _not_json(name: str) -> float:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


def _raw(data: bytes) -> str:
    return data[:4096].decode("utf-8", "replace").lower()


def _message_of(data: bytes) -> str:
    """The message in an error's body, whichever form it has."""
    text = data[:4096].decode("utf-8", "replace")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return text or "no explanation"
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return found if isinstance(found, str) else json.dumps(found)
