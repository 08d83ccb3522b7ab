"""Customers' own keys of providers, through the running gateways: whom they serve, how soon changes hold, and the books."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.live.product import CHANGES_ARRIVE_S, LiveProduct
from tests.live.programs import wait_until
from tests.live.sandbox import LiveSandbox

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

MODEL = "gpt-4o"
_ADD = """
from accounts.models import Organization
from catalog import own_keys
from catalog.models import Provider
organization = Organization.objects.get(pk={organization!r})
openai = Provider.objects.get(pk="openai")
openai.base_url = {base_url!r}
channel = own_keys.add(
    organization=organization, provider=openai, secret="sk-of-this-customer-0001", use={use!r},
    by=organization.members.get(),
)
print("added", channel.pk)
"""
_CHANGE = """
from catalog import own_keys
from catalog.models import Channel
channel = Channel.objects.get(pk={channel!r})
own_keys.{what}(channel=channel, by=channel.dedicated_to.members.get())
"""
_ANNOUNCE = "from catalog.publish import announce_catalog; announce_catalog()"


class Customer:
    """An organization with a key of its own at OpenAI, which is played by a sandbox of its own."""

    def __init__(self, product: LiveProduct, provider: LiveSandbox, *, use: str, credit_cents: int) -> None:
        self.product = product
        self.organization, self.key = product.new_customer(credit_cents=credit_cents)
        base_url = provider.base_url_of("openai_responses")
        told = product.command(
            "shell", "-c", _ADD.format(organization=self.organization, base_url=base_url, use=use)
        )
        self.channel = told.split()[-1]
        time.sleep(CHANGES_ARRIVE_S)

    def change(self, what: str) -> None:
        """Let the owner change the key."""
        self.product.command("shell", "-c", _CHANGE.format(channel=self.channel, what=what))


def ask(base_url: str, key: str) -> httpx2.Response:
    """Ask one gateway a short question."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    return httpx2.post(
        f"{base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}, timeout=30
    )


def everywhere(product: LiveProduct, key: str) -> list[httpx2.Response]:
    return [ask(base_url, key) for base_url in product.base_urls]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[LiveSandbox]:
    sandbox = LiveSandbox(tmp_path / "provider.log")
    yield sandbox
    sandbox.stop()


def test_it_serves_its_organization_alone_whatever_is_reloaded_and_costs_nothing(
    product: LiveProduct, provider: LiveSandbox
) -> None:
    owner = Customer(product, provider, use="only", credit_cents=0)
    strangers = [product.new_customer() for _ in range(3)]
    keys = [owner.key, *(key for _, key in strangers)] * 12

    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(ask, product.base_urls[number % len(product.base_urls)], key)
            for number, key in enumerate(keys)
        ]
        while not all(each.done() for each in asked):
            product.command("shell", "-c", _ANNOUNCE)

    assert {each.result().status_code for each in asked} == {200}
    assert {each.result().headers["x-fa-cost-nano"] for each in asked[:: len(strangers) + 1]} == {"0"}
    assert len(provider.log()) == 12
    product.wait_settled(owner.organization, rows=12)
    own = product.usage_rows(owner.organization)
    assert {(row["channel_id"], row["is_own_key"], row["cost_nano"]) for row in own} == {
        (owner.channel, True, 0)
    }
    assert all(row["output_tokens"] for row in own)
    for organization, _ in strangers:
        product.wait_settled(organization, rows=12)
        rows = product.usage_rows(organization)
        assert not any(row["is_own_key"] or row["channel_id"] == owner.channel for row in rows)
        assert all(row["cost_nano"] for row in rows)
    assert product.balance(owner.organization) == 0
    product.command("billing_verify")


def test_switched_off_and_removed_hold_everywhere_within_a_second(
    product: LiveProduct, provider: LiveSandbox
) -> None:
    owner = Customer(product, provider, use="only", credit_cents=1000)
    assert {each.status_code for each in everywhere(product, owner.key)} == {200}

    owner.change("switch_off")
    time.sleep(CHANGES_ARRIVE_S)
    off = everywhere(product, owner.key)
    owner.change("remove")
    time.sleep(CHANGES_ARRIVE_S)
    removed = everywhere(product, owner.key)

    assert {(each.status_code, each.json()["error"]["code"]) for each in off} == {(403, "permission_denied")}
    assert {each.status_code for each in removed} == {200}
    assert all(int(each.headers["x-fa-cost-nano"]) for each in removed)
    assert len(provider.log()) == 2


def test_a_refused_key_is_out_everywhere_and_credit_serves_only_where_it_may(
    product: LiveProduct, provider: LiveSandbox
) -> None:
    only = Customer(product, provider, use="only", credit_cents=1000)
    first = Customer(product, provider, use="first", credit_cents=1000)
    provider.fail(401, count=-1)

    refused, served = ask(product.base_url, only.key), ask(product.base_url, first.key)
    _wait_out(product, only, first)
    everywhere_refused, everywhere_served = everywhere(product, only.key), everywhere(product, first.key)

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
    assert "Your own OpenAI key was refused by the provider (401)." in refused.json()["error"]["message"]
    assert {each.status_code for each in everywhere_refused} == {403}
    assert served.status_code == 200
    assert {each.status_code for each in everywhere_served} == {200}
    assert len(provider.log()) == 2
    product.wait_settled(first.organization, rows=3)
    assert not any(row["is_own_key"] for row in product.usage_rows(first.organization))
    product.command("billing_verify")


def _wait_out(product: LiveProduct, *customers: Customer) -> None:
    channels = [customer.channel for customer in customers]
    query = "SELECT id FROM catalog_credential WHERE NOT is_enabled AND channel_id = ANY(%s)"
    wait_until(lambda: len(product.rows(query, channels)) == len(channels), what="the keys are out")
    time.sleep(CHANGES_ARRIVE_S)
