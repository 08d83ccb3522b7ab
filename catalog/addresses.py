"""Which upstream addresses are allowed: public ones, unless a setting permits private ones.

Pure functions; whoever calls passes the resolver in. The same rule is applied when a channel is saved and can
be applied again when a connection is made, because a name may resolve differently later.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit, urlunsplit

Resolve = Callable[[str], Iterable[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_COMPATIBLE = ipaddress.ip_network("::/96")
# Not public although some Python versions call them global: local NAT64, site-local, documentation and
# protocol addresses (where clouds keep metadata), and the address of Azure's host agent.
_NEVER = [
    ipaddress.ip_network(text)
    for text in ("64:ff9b:1::/48", "fec0::/10", "3fff::/20", "192.0.0.0/24", "168.63.129.16/32")
]


class BadAddress(Exception):
    """An upstream address that is malformed or not allowed; the message can be shown to staff."""


def normal_base_url(text: str) -> str:
    """Return a base URL in normal form, without a trailing slash; raises ``BadAddress``."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadAddress("The base URL cannot be read.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise BadAddress("The base URL must start with https:// or http:// and name a host.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise BadAddress("The base URL must not hold a user, a password, a query or a fragment.")
    if any(character.isspace() or not character.isprintable() for character in text.strip()):
        raise BadAddress("The base URL must not hold spaces or control characters.")
    return urlunsplit((parts.scheme, _netloc(host, port), parts.path.rstrip("/"), "", ""))


def _netloc(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def refuse_private(base_url: str, resolve: Resolve) -> None:
    """Raise ``BadAddress`` unless every address of the URL's host is public."""
    host = urlsplit(base_url).hostname or ""
    addresses = [host] if _address(host) else list(resolve(host))
    if not addresses:
        message = f"The host {host} has no address."
        raise BadAddress(message)
    for address in addresses:
        if not is_public(address):
            message = f"The host {host} leads to {address}, which is not a public address."
            raise BadAddress(message)


def is_public(text: str) -> bool:
    """Tell whether an IP address in text form is routed on the public internet, whatever form hides it."""
    address = _address(text)
    if address is None:
        return False
    return all(_is_global(form) for form in _forms(address))


def resolve_host(host: str) -> list[str]:
    """Ask the operating system for a host's addresses; raises ``BadAddress`` when there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        message = f"The host {host} cannot be resolved."
        raise BadAddress(message) from None
    return sorted({str(entry[4][0]) for entry in found})


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_global(address: Address) -> bool:
    if any(address in network for network in _NEVER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _forms(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address wraps, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return [*address.teredo]
    if address in _NAT64 or address in _V4_COMPATIBLE:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address]
