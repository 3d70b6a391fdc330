"""Where a server is: its address parsed, resolved once, and kept to this machine.

The connection goes to the numbers that were checked here, so that a name cannot mean one machine
when it is checked and another when it is used.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...core.errors import ServerError, UsageError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A server's place. `numbers` are its IP addresses, `prefix` what stands before every path."""

    scheme: str
    host: str
    port: int
    prefix: str
    numbers: tuple[str, ...]

    @property
    def url(self) -> str:
        """The address as the user would write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def locate(text: str, allow_network: bool) -> Address:
    """The place that `text` names ("http://127.0.0.1:8080", "localhost:11434/v1").

    Raises `UsageError` for what is no such address, and `ServerError` where the name has no
    address, or one that is not this machine's while `allow_network` is False.
    """
    scheme, host, port, prefix = _parts(text)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"{text}: the name {host} has no address; check --server") from error
    numbers = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    outside = [number for number in numbers if not is_loopback(number)]
    if outside and not allow_network:
        named = outside[0] if host == outside[0] else f"{host} is {outside[0]}, which"
        raise ServerError(
            f"{text}: {named} is not this machine, and private data would leave it; "
            "give --allow-network if that is meant"
        )
    return Address(scheme, host, port, prefix, numbers)


def is_loopback(number: str) -> bool:
    """Whether an IP address is this machine's own (an IPv4 one inside IPv6 is looked into)."""
    address = ipaddress.ip_address(number.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def _parts(text: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, prefix); a trailing /v1 is taken off, since paths begin with it."""
    wanted = "give one like http://127.0.0.1:8080"
    split = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = split.port
    except ValueError as error:
        raise UsageError(f"--server {text}: the port is no number; {wanted}") from error
    if split.username or split.password:
        raise UsageError(
            "--server: no name or password belongs in an address; put a key into the variable "
            "IDEALPROMPT_API_KEY"
        )
    if split.scheme not in _PORTS or not split.hostname or split.query or split.fragment:
        raise UsageError(f"--server {text}: not the address of a server; {wanted}")
    prefix = split.path.rstrip("/").removesuffix("/v1")
    return split.scheme, split.hostname, port or _PORTS[split.scheme], prefix
