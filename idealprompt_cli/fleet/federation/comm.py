"""Questions and answers as bytes, over Dask's comm layer (TCP or TLS), and nothing else.

A box is no Dask worker: a worker runs whatever code its scheduler sends. Here only bytes travel in
messages of MessagePack, and unpickling, which Dask's messages allow, is switched off in the
process (`without_pickle`). While a box computes, it sends a sign of life every two seconds.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...core.errors import ServerError
from ..network import TlsFiles

_ALIVE_EVERY = 2.0
_CONNECT_SECONDS = 5.0
_RETRY_SECONDS = 0.5
MOST_BYTES = 8 << 20
"""Of a question or an answer."""


@dataclass(frozen=True)
class BoxAddress:
    """Where a box listens. `token` is the shared secret of connections without TLS."""

    name: str
    url: str
    token: str = ""


@contextmanager
def without_pickle() -> Iterator[None]:
    """No pickled object in a message is loaded, whoever sent it."""
    from distributed.protocol import pickle

    def refuse(*_: Any, **__: Any) -> Any:
        raise ServerError("a message with code was refused")

    before = pickle.loads
    pickle.loads = refuse
    try:
        yield
    finally:
        pickle.loads = before


def connection_args(tls: TlsFiles, role: str) -> dict[str, Any]:
    """What Dask's connections are made with; `role` is "client" or "worker" (who listens)."""
    security = tls.security()
    if security is None:
        return {}
    if role == "client":
        return dict(security.get_connection_args("client"))
    return dict(security.get_listen_args("worker"))


# --- the box's side -------------------------------------------------------------------------------


async def serve(
    address: str,
    answer: Callable[[bytes], bytes],
    tls: TlsFiles,
    token: str,
    started: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Answer questions at an address until `stop` is set; `started` gets the address with its
    port. Questions are answered one at a time. Raises `OSError` where it cannot listen."""
    from distributed.comm import listen

    worker = ThreadPoolExecutor(max_workers=1)

    async def handle(comm: Any) -> None:
        try:
            while True:
                message = await comm.read()
                await comm.write(await _answered(comm, message))
        except (OSError, ServerError):
            comm.abort()

    async def _answered(comm: Any, message: Any) -> dict[str, Any]:
        if not isinstance(message, dict) or not _is_ours(message, token):
            return {"refused": "the token is not this box's"}
        data = bytes(message["data"])
        loop = asyncio.get_running_loop()
        waiting = loop.run_in_executor(worker, answer, data)
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=_ALIVE_EVERY)
            if done:
                return {"data": waiting.result()}
            await comm.write({"busy": True})

    listener = listen(address, handle, deserialize=False, **connection_args(tls, "worker"))
    await listener.start()
    try:
        started(listener.contact_address)
        await stop.wait()
    finally:
        listener.stop()
        worker.shutdown(wait=False, cancel_futures=True)


def _is_ours(message: dict[str, Any], token: str) -> bool:
    given, data = message.get("token"), message.get("data")
    fits = isinstance(given, str) and hmac.compare_digest(given, token)
    return fits and isinstance(data, bytes) and len(data) <= MOST_BYTES


# --- the coordinator's side -----------------------------------------------------------------------


class Lost(Exception):
    """A box that does not answer, and why."""


class Link:
    """The connection to one box. Lives in the coordinator's event loop."""

    def __init__(self, address: BoxAddress, tls: TlsFiles, patience: float) -> None:
        self.address = address
        self._args = connection_args(tls, "client")
        self._patience = patience
        self._comm: Any = None

    async def ask(self, data: bytes) -> bytes:
        """The answer. A lost connection is made again for as long as the patience lasts, and the
        question repeated: answers are kept on the box. Raises `Lost`."""
        end = time.monotonic() + self._patience
        while True:
            try:
                return await self._once(data)
            except asyncio.TimeoutError:
                self.close()
                raise Lost(f"gave no sign of life for {self._patience:.0f} seconds") from None
            except OSError as error:
                self.close()
                if time.monotonic() > end:
                    why = " ".join(str(error).split())[:100]
                    raise Lost(f"cannot be reached ({why})") from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def _once(self, data: bytes) -> bytes:
        from distributed.comm import connect

        if self._comm is None:
            self._comm = await connect(
                self.address.url, timeout=_CONNECT_SECONDS, deserialize=False, **self._args
            )
        await self._comm.write({"data": data, "token": self.address.token})
        while True:
            message = await asyncio.wait_for(self._comm.read(), self._patience)
            if "data" in message:
                return bytes(message["data"])
            if "refused" in message:
                raise Lost(f"refused the question: {str(message['refused'])[:100]}")

    def close(self) -> None:
        if self._comm is not None:
            self._comm.abort()
            self._comm = None
