"""Rotation and IP ranges of keys, through the running gateways."""

from __future__ import annotations

import json
import time

import httpx2
import pytest

from tests.contract.conftest import Customer
from tests.live.product import CHANGES_ARRIVE_S, LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

OVERLAP_S = 6


def asked(product: LiveProduct, secret: str) -> list[httpx2.Response]:
    """Ask every gateway which key this secret is of."""
    headers = {"authorization": f"Bearer {secret}"}
    return [httpx2.get(f"{base_url}/key", headers=headers, timeout=30) for base_url in product.base_urls]


def statuses(product: LiveProduct, secret: str) -> set[int]:
    return {each.status_code for each in asked(product, secret)}


def rotate(product: LiveProduct, key_id: str, overlap_s: int) -> str:
    told = product.command("apikey_rotate", key_id, f"--overlap-seconds={overlap_s}", "--json")
    return str(json.loads(told)["secret"])


def id_of(product: LiveProduct, secret: str) -> str:
    return str(asked(product, secret)[0].json()["data"]["id"])


def test_the_old_secret_works_until_its_time_and_the_new_one_goes_on(
    product: LiveProduct, customer: Customer
) -> None:
    old, key_id = customer.key, id_of(product, customer.key)
    assert statuses(product, old) == {200}
    rotated_at = time.monotonic()
    new = rotate(product, key_id, OVERLAP_S)

    told = [each.json()["data"] for each in asked(product, old)]
    assert statuses(product, new) == {200}
    # What was cached before the rotation is forgotten within a second.
    time.sleep(max(0.0, rotated_at + CHANGES_ARRIVE_S - time.monotonic()))
    in_time = statuses(product, old)
    is_in_time = time.monotonic() < rotated_at + OVERLAP_S - 1
    time.sleep(max(0.0, rotated_at + OVERLAP_S + 2 - time.monotonic()))

    assert {each["id"] for each in told} == {key_id}
    assert in_time == {200} or not is_in_time
    assert statuses(product, old) == {401}
    assert statuses(product, new) == {200}


def test_a_revocation_ends_both_secrets(product: LiveProduct, customer: Customer) -> None:
    key_id = id_of(product, customer.key)
    new = rotate(product, key_id, 3600)
    assert statuses(product, customer.key) == statuses(product, new) == {200}

    product.command("apikey_revoke", key_id)
    time.sleep(CHANGES_ARRIVE_S)

    assert statuses(product, customer.key) == statuses(product, new) == {401}


def test_a_key_tells_its_ranges_and_is_refused_from_elsewhere(
    product: LiveProduct, customer: Customer
) -> None:
    here = product.new_key(customer.organization, "--ips=127.0.0.0/8,2001:db8::/32")
    elsewhere = product.new_key(customer.organization, "--ips=203.0.113.0/24")

    [told, *_] = asked(product, here)
    refused = httpx2.post(
        f"{product.base_url}/chat/completions",
        headers={"authorization": f"Bearer {elsewhere}", "x-forwarded-for": "203.0.113.7"},
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
    )

    assert told.json()["data"]["allowed_ip_ranges"] == ["127.0.0.0/8", "2001:db8::/32"]
    assert statuses(product, elsewhere) == {403}
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "permission_denied"
    assert "from 127.0.0.1." in refused.json()["error"]["message"]
