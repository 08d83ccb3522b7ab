from __future__ import annotations

import pytest

from fastanchor.lib.networks import DIRECT, Front, NoRange, address_of, is_within, range_of, ranges_of

PROXIED = Front(is_proxied=True)
KNOWN = Front(is_proxied=True, proxies=ranges_of(["10.0.0.0/8", "fd00::/8"]))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7:5123 ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", "None"),
        ("", "None"),
    ],
)
def test_an_address_is_read_however_it_is_written(text: str, address: str) -> None:
    assert str(address_of(text)) == address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::/0", "::/0"),
    ],
)
def test_a_range_has_one_spelling(text: str, network: str) -> None:
    assert str(range_of(text)) == network


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("203.0.113.7/24", "Write 203.0.113.0/24"),
        ("home", "no address or range"),
        ("1.2.3.4/33", "no address"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(NoRange, match=advice):
        range_of(text)


def test_an_ipv4_address_is_in_no_ipv6_range_and_the_other_way_round() -> None:
    assert not is_within(address_of("203.0.113.7"), ranges_of(["::/0"]))
    assert not is_within(address_of("2001:db8::1"), ranges_of(["0.0.0.0/0"]))
    assert not is_within(None, ranges_of(["0.0.0.0/0", "::/0"]))


@pytest.mark.parametrize(
    ("front", "peer", "forwarded", "client"),
    [
        (DIRECT, "198.51.100.1", "203.0.113.7", "198.51.100.1"),
        (PROXIED, "198.51.100.1", "", "198.51.100.1"),
        (PROXIED, "198.51.100.1", "192.0.2.66, 203.0.113.7", "203.0.113.7"),
        (PROXIED, "198.51.100.1", "203.0.113.7, junk", "None"),
        (KNOWN, "10.0.0.1", "192.0.2.66, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
        (KNOWN, "198.51.100.1", "203.0.113.7", "198.51.100.1"),
        (KNOWN, "fd00::1", "2001:db8::1", "2001:db8::1"),
        (KNOWN, "10.0.0.1", "10.2.2.2", "10.0.0.1"),
    ],
)
def test_only_what_proxies_in_front_of_us_say_is_believed(
    front: Front, peer: str, forwarded: str, client: str
) -> None:
    assert str(front.client(peer, forwarded)) == client
