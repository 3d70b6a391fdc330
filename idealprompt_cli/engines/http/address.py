"""A server's address: parsed, resolved once, and restricted to this machine.

The connection uses the IP addresses that were checked here, so that a name cannot resolve to one
machine when it is checked and to another when it is used.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...core.errors import ServerError, UsageError
from ...io.terminal import one_line

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A server's address. `numbers` are its IP addresses, `prefix` comes before every path."""

    scheme: str
    host: str
    port: int
    prefix: str
    numbers: tuple[str, ...]

    @property
    def url(self) -> str:
        """The address as a user writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def locate(text: str, allow_network: bool) -> Address:
    """The address that `text` names ("http://127.0.0.1:8080", "localhost:11434/v1").

    Raises `UsageError` for anything else, and `ServerError` where the name cannot be resolved, or
    resolves to another machine while `allow_network` is False.
    """
    scheme, host, port, prefix = _parts(text)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # ValueError: a name that no resolver takes
        raise ServerError(
            f"{text}: the host name {host} cannot be resolved: check --server"
        ) from error
    numbers = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    outside = [number for number in numbers if not is_loopback(number)]
    if outside and not allow_network:
        named = outside[0] if host == outside[0] else f"{host} is {outside[0]}, which"
        raise ServerError(
            f"{text}: {named} is another machine, and private data would leave this one: "
            "add --allow-network if that is intended"
        )
    return Address(scheme, host, port, prefix, numbers)


def is_loopback(number: str) -> bool:
    """Whether an IP address is this machine's own (including IPv4 addresses mapped into IPv6)."""
    address = ipaddress.ip_address(number.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def _parts(text: str) -> tuple[str, str, int, str]:
    """(scheme, host, port, prefix); a trailing /v1 is taken off, since paths begin with it."""
    wanted = "use the form http://127.0.0.1:8080"
    if any(letter.isspace() or not letter.isprintable() for letter in text):
        raise UsageError(f"--server {one_line(text)}: not the address of a server: {wanted}")
    try:
        split = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise UsageError(f"--server {text}: not the address of a server: {wanted}") from error
    try:
        port = split.port
    except ValueError as error:
        raise UsageError(
            f"--server {text}: the port is not a number from 0 to 65535: {wanted}"
        ) from error
    if split.username or split.password:
        raise UsageError(
            "--server: an address must not contain a user name or password: set the variable "
            "IDEALPROMPT_API_KEY"
        )
    if split.scheme not in _PORTS or not split.hostname or split.query or split.fragment:
        raise UsageError(f"--server {text}: not the address of a server: {wanted}")
    prefix = split.path.rstrip("/").removesuffix("/v1")
    return split.scheme, split.hostname, port or _PORTS[split.scheme], prefix
