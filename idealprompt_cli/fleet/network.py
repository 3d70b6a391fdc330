"""Which addresses may be used, and how connections are secured.

A name is resolved here once and the addresses found are checked: this machine only, unless
`--allow-network` is given, and then only with TLS.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..core.errors import ServerError, UsageError
from ..engines.http.address import is_loopback

if TYPE_CHECKING:
    from distributed.security import Security

PORT = 8786
"""Dask's own port of a scheduler."""
MISSING = "needs the package distributed: pip install 'idealprompt[fleet]'"


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the authority that both sides trust, and this side's certificate and key. All
    three or none."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __bool__(self) -> bool:
        return self.ca is not None

    def check(self) -> None:
        """Raise `UsageError` for files that are missing or incomplete."""
        named = {"--tls-ca": self.ca, "--tls-cert": self.cert, "--tls-key": self.key}
        given = [option for option, path in named.items() if path is not None]
        if given and len(given) < len(named):
            missing = next(option for option in named if option not in given)
            raise UsageError(f"{given[0]}: give {missing} too: TLS needs all three files")
        for option, path in named.items():
            if path is not None and not path.is_file():
                raise UsageError(f"{option} {path}: no such file")

    def security(self) -> Security | None:
        """What Dask is given: both sides show a certificate of the same authority. None: no TLS.
        Raises `UsageError` for files that are no certificates."""
        from distributed.security import Security

        if not self:
            return None
        files = {"tls_ca_file": self.ca, "tls_client_cert": self.cert, "tls_client_key": self.key}
        paths = {name: str(path) for name, path in files.items()}
        security = Security(require_encryption=True, **paths)
        for role in ("scheduler", "worker"):
            setattr(security, f"tls_{role}_cert", str(self.cert))
            setattr(security, f"tls_{role}_key", str(self.key))
        try:
            security.get_connection_args("client")
        except OSError as error:  # SSLError is one
            raise UsageError(
                f"--tls-cert {self.cert}: cannot be used with --tls-key and --tls-ca "
                f"({error.strerror or error}): give PEM files that belong together"
            ) from error
        return security


def need_distributed(option: str) -> None:
    """Raise `UsageError` where the extra is not installed."""
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise UsageError(f"{option}: {MISSING}")


def checked_address(option: str, text: str, tls: TlsFiles, allow_network: bool) -> str:
    """The address for Dask, as numbers, so that a name is resolved once.

    Raises `UsageError` for what is no address, a remote one without TLS or without
    `--allow-network`, and `ServerError` for a name that cannot be resolved.
    """
    scheme, host, port = _parts(option, text)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise ServerError(
            f"{option} {text}: the host name {host} cannot be resolved: check the address"
        ) from error
    numbers = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    outside = [number for number in numbers if not is_loopback(number)]
    if outside and not allow_network:
        raise ServerError(
            f"{option} {text}: {outside[0]} is another machine, and private data would leave this "
            "one: add --allow-network if that is intended"
        )
    if outside and not tls:
        raise UsageError(
            f"{option} {text}: {outside[0]} is another machine and the connection would not be "
            "encrypted: give --tls-ca, --tls-cert and --tls-key"
        )
    if scheme == "tls" and not tls:
        raise UsageError(f"{option} {text}: give --tls-ca, --tls-cert and --tls-key")
    number = f"[{numbers[0]}]" if ":" in numbers[0] else numbers[0]
    return f"{'tls' if tls else 'tcp'}://{number}:{port}"


def _parts(option: str, text: str) -> tuple[str, str, int]:
    """(scheme, host, port). Raises `UsageError`."""
    fix = f"use the form tls://host:{PORT}"
    try:
        split = urlsplit(text if "://" in text else f"tcp://{text}")
        port = split.port
    except ValueError as error:
        raise UsageError(f"{option} {text}: not an address: {fix}") from error
    plain = not (split.path or split.query or split.fragment or split.username)
    if split.scheme not in ("tcp", "tls") or not split.hostname or not plain:
        raise UsageError(f"{option} {text}: not an address: {fix}")
    return split.scheme, split.hostname, PORT if port is None else port
