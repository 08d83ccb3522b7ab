"""A price that staff changes: every process uses it within a second, for requests that start after it and no other."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest

from tests.contract.test_receipts import receipt
from tests.live.product import LiveProduct

pytestmark = pytest.mark.timeout(180)

MODEL = "gpt-5.1"
MOST_S = 1.0
# So long each process is asked on after the change.
_ASKED_ON_S = 1.5
# As a member of staff's page does it: the price is in force from the moment at which it is added.
_ADD = """
import json
from catalog.models import Price
from catalog.prices import add_price
from catalog.snapshot import Rates, Tier
price = add_price(price=Price(model_id={model!r}), tiers=[Tier(0, Rates({rate}, {rate}, {rate}, {rate}))])
print(json.dumps([price.pk, price.valid_from.timestamp()]))
"""


@dataclass(frozen=True)
class Asked:
    """One request: when it was sent and answered, by our clock, which is also that of the product."""

    id: str
    sent_at: float
    answered_at: float


def _ask(client: httpx2.Client, base_url: str, key: str) -> Asked:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "[[sandbox tokens=3]] Hello."}]}
    sent_at = time.time()
    answer = client.post(
        f"{base_url}/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.text
    return Asked(answer.headers["x-request-id"], sent_at, time.time())


def _change_price(product: LiveProduct, *, rate: int) -> tuple[str, float]:
    """Return the id of a price that holds from now on, and when it begins."""
    told = product.command("shell", "--no-imports", "-c", _ADD.format(model=MODEL, rate=rate))
    price_id, valid_from = json.loads(told)
    return price_id, valid_from


def _keep_asking(base_url: str, key: str, until: list[float]) -> list[Asked]:
    """Ask one process again and again until the moment that the list will hold."""
    asked: list[Asked] = []
    with httpx2.Client(timeout=10) as client:
        while not until or time.time() < until[0]:
            asked.append(_ask(client, base_url, key))
            time.sleep(0.01)
    return asked


def _price_id(product: LiveProduct, request_id: str) -> str:
    (row,) = product.rows("SELECT price_id FROM billing_usagerecord WHERE request_id = %s", request_id)
    return str(row["price_id"])


def test_a_new_price_holds_in_every_process_within_a_second_and_never_before_it_begins(
    product: LiveProduct,
) -> None:
    organization, key = product.new_customer(plan="enterprise", credit_cents=10_000)
    until: list[float] = []
    with ThreadPoolExecutor(len(product.base_urls)) as threads:
        asking = [threads.submit(_keep_asking, url, key, until) for url in product.base_urls]
        try:
            time.sleep(0.5)
            price_id, valid_from = _change_price(product, rate=7)
        finally:
            committed_at = time.time()
            until.append(committed_at + _ASKED_ON_S)
        by_process = [each.result() for each in asking]
    product.wait_settled(organization, rows=sum(map(len, by_process)))

    paid = {
        row["request_id"]: (row["price_id"], row["started_at"].timestamp())
        for row in product.usage_rows(organization)
    }
    for asked in by_process:
        first, last = asked[0], asked[-1]
        assert (paid[first.id][0] == price_id, paid[last.id][0] == price_id) == (False, True)
        late = [each for each in asked if each.sent_at > committed_at and paid[each.id][0] != price_id]
        assert all(each.sent_at < committed_at + MOST_S for each in late)
    early = [started for paid_by, started in paid.values() if paid_by == price_id and started < valid_from]
    assert early == []


def test_old_receipts_still_add_up_after_a_price_changed(product: LiveProduct) -> None:
    organization, key = product.new_customer()
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=product.base_url, headers=headers, timeout=30) as client:
        asked = _ask(client, product.base_url, key)
        before = receipt(client, asked.id)
        _change_price(product, rate=11_000_000)
        time.sleep(MOST_S)
        dearer = _ask(client, product.base_url, key)

        after = receipt(client, asked.id)
        assert after == before
        assert after["price"]["id"] == _price_id(product, asked.id)
        lines = sum(int(line["cost_pico_usd"]) for line in after["lines"])
        assert lines == int(after["cost_pico_usd"]) > 0
        (record,) = [row for row in product.usage_rows(organization) if row["request_id"] == asked.id]
        assert int(record["cost_picos"]) == lines
        assert receipt(client, dearer.id)["price"]["id"] != before["price"]["id"]
