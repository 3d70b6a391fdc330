"""Which cluster a run is spread over: workers on this machine, or a Dask scheduler's address."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...core.errors import ServerError, UsageError
from ..network import TlsFiles, checked_address, need_distributed

if TYPE_CHECKING:
    from distributed import Client

MOST_WORKERS = 64
_SECONDS_TO_CONNECT = 15


@dataclass(frozen=True)
class ClusterChoice:
    """The cluster that is asked for; none where neither `address` nor `local_workers` is given.
    `patience`: seconds without a sign of life, or beyond what the others took, after which a worker
    is left out."""

    address: str = ""
    local_workers: int = 0
    send_pictures: bool = False
    patience: float = 30.0
    allow_network: bool = False
    tls: TlsFiles = field(default_factory=TlsFiles)

    def __bool__(self) -> bool:
        return bool(self.address or self.local_workers)

    @property
    def option(self) -> str:
        return "--cluster" if self.address else "--local-workers"

    def check(self) -> None:
        """Raise `UsageError` for options that do not go together, before anything slow."""
        if not self:
            given = {"--send-pictures": self.send_pictures, "--tls-ca": bool(self.tls)}
            for option in (name for name, used in given.items() if used):
                raise UsageError(f"{option}: is for a cluster: give --cluster or --local-workers")
            return
        if self.address and self.local_workers:
            raise UsageError("--cluster and --local-workers exclude each other: give one of them")
        if self.local_workers > MOST_WORKERS:
            raise UsageError(
                f"--local-workers {self.local_workers}: at most {MOST_WORKERS} processes"
            )
        self.tls.check()
        if self.local_workers and self.tls:
            raise UsageError(
                "--tls-ca: is for --cluster: local workers get certificates of their own"
            )
        need_distributed(self.option)
        if self.address:
            checked_address("--cluster", self.address, self.tls, self.allow_network)


@contextmanager
def connected(choice: ClusterChoice) -> Iterator[Client]:
    """A Dask client on the cluster; what was started here ends with it. Raises `ServerError` where
    no scheduler answers."""
    import dask
    from distributed import Client

    quiet: dict[str, Any] = {
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.comm.timeouts.connect": "60s",
        "distributed.worker.daemon": True,
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(quiet))
        stack.enter_context(_silent_logs())
        if choice.local_workers:
            cluster = stack.enter_context(_local(choice.local_workers))
            yield stack.enter_context(Client(cluster, direct_to_workers=True))
            return
        address = checked_address("--cluster", choice.address, choice.tls, choice.allow_network)
        try:
            # The default client: actors find it as that.
            client = Client(address, security=choice.tls.security(), timeout=_SECONDS_TO_CONNECT)
        except (OSError, TimeoutError) as error:
            raise ServerError(
                f"--cluster {choice.address}: no Dask scheduler answers there: start one with "
                "dask scheduler, or check the address"
            ) from error
        yield stack.enter_context(client)


@contextmanager
def _local(workers: int) -> Iterator[Any]:
    """Worker processes on the loopback interface, behind certificates that only this run has:
    otherwise any user of this machine could send them code."""
    from distributed import LocalCluster
    from distributed.security import Security

    try:
        security: Any = Security.temporary()
    except ImportError as error:
        raise UsageError(
            "--local-workers: needs the package cryptography: pip install 'idealprompt[fleet]'"
        ) from error
    with ExitStack() as stack:
        with _ctrl_c_later():
            cluster = LocalCluster(
                n_workers=workers,
                processes=True,
                threads_per_worker=1,
                host="tls://127.0.0.1",
                protocol="tls://",
                security=security,
                dashboard_address="127.0.0.1:0",
                silence_logs=60,
                memory_limit=0,
            )
            stack.enter_context(cluster)
        yield cluster


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Ctrl-C takes effect when the block has ended. Threads and processes that are started in it
    never get one: a terminal sends it to all processes, and the coordinator ends the workers."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - not on Windows
        yield
        return
    from multiprocessing import resource_tracker  # costs every command 15 ms at the top

    pressed: list[int] = []
    resource_tracker.ensure_running()  # which would unblock it in the thread that starts it
    handler = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Dask reports lost connections on stderr; what matters of them is stated by the pool."""
    import logging

    names = ("distributed", "tornado.application", "asyncio")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
