"""From where a key may be used: what the gateway's application sees of a connection and of its proxies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastanchor.lib.networks import Front, ranges_of
from gateway.app import handle
from tests.gateway.conftest import Build
from tests.gateway.house import House

RANGES = ("203.0.113.0/24", "2001:db8::/32")


async def ask(house: House, peer: str, *forwarded: str) -> tuple[int, dict[str, Any]]:
    """Call as a server would for this peer, with these lines of ``X-Forwarded-For``."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    lines = [
        (b"authorization", f"Bearer {house.token}".encode()),
        (b"content-type", b"application/json"),
        *((b"x-forwarded-for", line.encode()) for line in forwarded),
    ]
    scope = {
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": lines,
        "client": (peer, 1) if peer else None,
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    await handle(house.gateway, scope, receive, send)
    await house.settled()
    return sent[0]["status"], json.loads(b"".join(each.get("body", b"") for each in sent))


@pytest.fixture
async def house(build: Build) -> House:
    house = await build()
    house.networks = ranges_of(RANGES)
    return house


@pytest.mark.parametrize("peer", ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::5"])
async def test_a_key_works_from_its_ranges(house: House, peer: str) -> None:
    status, _ = await ask(house, peer)

    assert status == 200


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db9::1", "2001:db9::1"),
        ("", "an address that we cannot see"),
    ],
)
async def test_from_elsewhere_it_is_refused_with_the_address_that_was_seen(
    house: House, peer: str, shown: str
) -> None:
    status, answer = await ask(house, peer)

    assert status == 403
    assert answer["error"]["code"] == "permission_denied"
    assert f"from {shown}." in answer["error"]["message"]
    assert not house.holds


async def test_nobody_is_believed_who_only_says_where_they_are(house: House) -> None:
    status, answer = await ask(house, "198.51.100.1", "203.0.113.7")

    assert status == 403
    assert "198.51.100.1" in answer["error"]["message"]


async def test_behind_a_proxy_the_last_line_counts_that_it_wrote(house: House) -> None:
    house.gateway.front = Front(is_proxied=True)

    assert (await ask(house, "10.0.0.1", "198.51.100.1", "203.0.113.7"))[0] == 200
    assert (await ask(house, "10.0.0.1", "203.0.113.7", "198.51.100.1"))[0] == 403


async def test_known_proxies_in_a_row_are_passed_over_and_others_are_not(house: House) -> None:
    house.gateway.front = Front(is_proxied=True, proxies=ranges_of(["10.0.0.0/8"]))

    assert (await ask(house, "10.0.0.1", "203.0.113.7", "10.0.0.2"))[0] == 200
    assert (await ask(house, "198.51.100.9", "203.0.113.7"))[0] == 403


async def test_a_key_without_ranges_works_from_everywhere(build: Build) -> None:
    house = await build()

    assert (await ask(house, "198.51.100.1"))[0] == 200
