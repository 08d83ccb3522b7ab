"""From which address a client calls, and whether that is in a range; pure functions, no server's types.

An IPv4 address inside an IPv6 one (``::ffff:192.0.2.1``) is the IPv4 address: how a socket or a proxy writes it must
not matter.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
_MAPPED_BITS = 96


class NoRange(ValueError):
    """A text is no range of addresses; the message says what to write instead."""


@functools.lru_cache(maxsize=4096)
def address_of(text: str) -> Address | None:
    """Read an address as sockets and proxies write it, perhaps with a port or a zone; ``None`` for anything else."""
    bare = _without_port(text.strip()).partition("%")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def range_of(text: str) -> Network:
    """Read an address or a range in CIDR notation; raises ``NoRange``."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise NoRange(_complaint(text)) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        inner = network.network_address.ipv4_mapped
        return IPv4Network((inner or 0, network.prefixlen - _MAPPED_BITS))
    return network


def _complaint(text: str) -> str:
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"“{text[:60]}” is no address or range. Write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
    return f"“{text[:60]}” is an address inside a range. Write {meant}."


def ranges_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read several; raises ``NoRange``."""
    return tuple(map(range_of, texts))


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Tell whether an address is in any of the ranges; an unknown one never is."""
    return address is not None and any(address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Front:
    """What stands between clients and us, and is believed: nothing, one proxy whoever it is, or those at known addresses."""

    is_proxied: bool = False
    proxies: tuple[Network, ...] = ()

    def client(self, peer: str, forwarded: str) -> Address | None:
        """Return the client's address, by who is connected and what ``X-Forwarded-For`` says, if that may be believed.

        Each proxy adds the address that called it at the right; whatever stands further to the left anybody may have
        written.
        """
        connected = address_of(peer)
        if not self.is_proxied:
            return connected
        named = [address_of(part) for part in forwarded.split(",")] if forwarded.strip() else []
        if not self.proxies:
            return named[-1] if named else connected
        return next(
            (hop for hop in (connected, *reversed(named)) if not is_within(hop, self.proxies)), connected
        )


DIRECT = Front()


def neighbourhood(text: str) -> str:
    """Return the range that one subscriber or a small house can have at most: a /24, or a /48 of IPv6; empty if unknown."""
    address = address_of(text)
    if address is None:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
