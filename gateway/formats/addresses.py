"""Addresses of pictures and documents in a body: public ones only, because some upstreams stand in our own network.

What a name resolves to is for the upstream to check that fetches it; here is what can be told from the address alone.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from gateway.errors import InvalidRequest

_OURS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def refuse_private(address: str, param: str) -> None:
    """Raise ``InvalidRequest`` for an address that is no public one of the web; data in its place may be any."""
    if address.startswith("data:"):
        return
    try:
        parts = urlsplit(address)
        is_public = parts.scheme in {"http", "https"} and _is_public((parts.hostname or "").rstrip("."))
    except ValueError:
        is_public = False
    if not is_public:
        raise InvalidRequest(
            f"'{param}' must be a public http or https address, or hold the data itself.", param=param
        )


def _is_public(host: str) -> bool:
    # Numbers in any other spelling than the usual are for resolvers alone.
    if ":" in host or host.rpartition(".")[2][:1].isdigit():
        return ipaddress.ip_address(host).is_global
    return "." in host and not host.endswith(_OURS)
