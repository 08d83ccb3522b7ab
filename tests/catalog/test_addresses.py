"""Upstream addresses: one normal form, and nothing that leads inside."""

from __future__ import annotations

import pytest

from catalog.addresses import BadAddress, normal_base_url, refuse_private, resolve_host
from fastanchor.lib.public import is_public


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        (" https://API.OpenAI.com/v1/ ", "https://api.openai.com/v1"),
        ("https://api.anthropic.com/v1//", "https://api.anthropic.com/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("https://[2606:4700::1111]:443/v1", "https://[2606:4700::1111]:443/v1"),
        ("HTTPS://example.org", "https://example.org"),
    ],
)
def test_a_base_url_has_one_normal_form(text: str, normal: str) -> None:
    assert normal_base_url(text) == normal
    assert normal_base_url(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com/v1",
        "ftp://example.org/v1",
        "file:///etc/passwd",
        "https:///v1",
        "https://user@example.org/v1",
        "https://user:secret@example.org/v1",
        "https://example.org/v1?key=1",
        "https://example.org/v1#part",
        "https://example.org:99999/v1",
        "https://example.org:x/v1",
        "https://exa mple.org/v1",
        "https://[::1/v1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        normal_base_url(text)


INSIDE = [
    "0.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_leads_inside_is_refused_as_such_and_after_resolution(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address

    assert not is_public(address)
    with pytest.raises(BadAddress):
        refuse_private(f"https://{literal}/v1", lambda _: ["8.8.8.8"])
    with pytest.raises(BadAddress):
        refuse_private("https://innocent.example/v1", lambda _: [address])


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(address)
    refuse_private("https://upstream.example/v1", lambda _: [address])


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(BadAddress, match=r"10\.1\.2\.3"):
        refuse_private("https://mixed.example/v1", lambda _: ["8.8.8.8", "10.1.2.3"])


def test_a_host_without_an_address_is_refused() -> None:
    with pytest.raises(BadAddress):
        refuse_private("https://nowhere.example/v1", lambda _: [])


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"])
def test_other_ways_to_write_loopback_are_seen_through_by_the_system_resolver(host: str) -> None:
    with pytest.raises(BadAddress):
        refuse_private(f"http://{host}/v1", resolve_host)


def test_a_name_that_does_not_resolve_is_refused() -> None:
    with pytest.raises(BadAddress, match="resolved"):
        resolve_host("no-such-host.invalid")
