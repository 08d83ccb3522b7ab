"""Which IP addresses are public: everything that is not leads inside, whatever form hides it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_COMPATIBLE = ipaddress.ip_network("::/96")
# Not public although some Python versions call them global: local NAT64, site-local, documentation and
# protocol addresses (where clouds keep metadata), and the address of Azure's host agent.
_NEVER = [
    ipaddress.ip_network(text)
    for text in ("64:ff9b:1::/48", "fec0::/10", "3fff::/20", "192.0.0.0/24", "168.63.129.16/32")
]


class NotPublic(OSError):
    """A name leads, or leads also, to an address that is not public."""


async def public_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, to connect to these very ones: asked again, a name may lead elsewhere.

    Raises ``NotPublic`` where one of them is not, and what the resolver raises.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(is_public(address) for address in addresses):
        raise NotPublic(host)
    return addresses


def is_public(text: str) -> bool:
    """Tell whether an IP address in text form is routed on the public internet, whatever form hides it."""
    address = address_in(text)
    if address is None:
        return False
    return all(_is_global(form) for form in _forms(address))


def address_in(text: str) -> Address | None:
    """Return the address that a text is, or nothing."""
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
