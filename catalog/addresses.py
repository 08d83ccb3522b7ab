"""Which upstream addresses are allowed: public ones, unless a setting permits private ones.

Pure functions; whoever calls passes the resolver in. The rule is applied when a channel is saved, and again by the
gateway's client at every connection, because a name may resolve differently later.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit, urlunsplit

from fastanchor.lib.public import address_in, is_public

Resolve = Callable[[str], Iterable[str]]

# Below it stand mail, name and file servers.
_FIRST_FREE_PORT = 1024


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
    addresses = [host] if address_in(host) else list(resolve(host))
    if not addresses:
        message = f"The host {host} has no address."
        raise BadAddress(message)
    for address in addresses:
        if not is_public(address):
            message = f"The host {host} leads to {address}, which is not a public address."
            raise BadAddress(message)


def refuse_unsafe(base_url: str) -> None:
    """Raise ``BadAddress`` unless the URL is https, on its own port or one that no other protocol is known by."""
    parts = urlsplit(base_url)
    if parts.scheme != "https":
        raise BadAddress("The base URL must start with https://.")
    if parts.port not in {None, 443} and (parts.port or 0) < _FIRST_FREE_PORT:
        raise BadAddress("The base URL may name port 443, or one from 1024 on.")


def resolve_host(host: str) -> list[str]:
    """Ask the operating system for a host's addresses; raises ``BadAddress`` when there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        message = f"The host {host} cannot be resolved."
        raise BadAddress(message) from None
    return sorted({str(entry[4][0]) for entry in found})
