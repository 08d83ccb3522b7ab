"""Requests that failed, from the caller's answer through spool and shipper to the record, the receipt and the health."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest

from gateway.health import RETRY_SHARE
from tests.contract.conftest import Customer
from tests.live.product import LiveProduct

pytestmark = pytest.mark.timeout(180)


def _ask(http: httpx2.Client, model: str, order: str, **fields: Any) -> httpx2.Response:
    messages = [{"role": "user", "content": f"[[sandbox {order}]] Hello."}]
    return http.post("/chat/completions", json={"model": model, "messages": messages, **fields})


def _earn_a_retry(product: LiveProduct) -> None:
    """Let somebody make requests that go well: retries are a share of those, and other tests may have spent them all."""
    _, key = product.new_customer()
    with httpx2.Client(base_url=product.base_url, headers={"Authorization": f"Bearer {key}"}) as other:
        for _ in range(round(1 / RETRY_SHARE) + 1):
            assert _ask(other, "gpt-4o", "tokens=3").status_code == 200


def _receipt(http: httpx2.Client, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 20
    while (answer := http.get(f"/generations/{request_id}")).status_code == 404 and time.monotonic() < until:
        time.sleep(0.1)
    return dict(answer.json()["data"])


def _health(product: LiveProduct, model: str) -> set[tuple[int, int]]:
    """Return what is counted of a model in its hour and in its day, which is the same."""
    rows = product.rows("SELECT served, failed FROM billing_health WHERE model_id = %s", model)
    return {(row["served"], row["failed"]) for row in rows}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_a_request_that_every_upstream_fails_is_recorded_told_and_free(
    http: httpx2.Client, product: LiveProduct, customer: Customer, *, is_stream: bool
) -> None:
    model = product.spare_model(*(sandbox.base_url for sandbox in product.sandboxes))
    before, known = product.balance(customer.organization), _health(product, model)

    answer = _ask(http, model, "error=500", stream=is_stream)

    product.wait_settled(customer.organization, rows=1)
    (record,) = product.usage_rows(customer.organization)
    told = _receipt(http, answer.headers["x-request-id"])
    assert (answer.status_code, record["outcome"], record["status"], record["cost_nano"]) == (
        500,
        "failed",
        500,
        0,
    )
    assert (told["is_charged"], told["charged_nano_usd"], told["lines"]) == (False, 0, [])
    assert told["why"] == "No provider served this request, so nothing was charged."
    assert [each["error_code"] for each in told["attempts_made"]] == ["upstream_error"] * record["attempts"]
    assert product.balance(customer.organization) == before
    assert (known, _health(product, model)) == (set(), {(0, 1)})


def test_a_request_that_the_second_upstream_serves_lists_both(
    http: httpx2.Client, product: LiveProduct, customer: Customer
) -> None:
    model = product.spare_model(*(sandbox.base_url for sandbox in product.sandboxes))
    _earn_a_retry(product)
    product.sandboxes[0].fail(503, count=1)

    answer = _ask(http, model, "tokens=3")

    product.wait_settled(customer.organization, rows=1)
    (record,) = product.usage_rows(customer.organization)
    told = _receipt(http, answer.headers["x-request-id"])["attempts_made"]
    assert [(each["status"], each["error_code"]) for each in told] == [(503, "upstream_error"), (200, None)]
    assert not any("chan" in name for each in told for name in each)
    assert [each[1] for each in record["attempts_made"]][-1] == record["channel_id"]
    assert _health(product, model) == {(1, 0)}


def test_what_the_upstream_finds_wrong_is_recorded_and_no_failure_of_ours(
    http: httpx2.Client, product: LiveProduct, customer: Customer
) -> None:
    model = product.spare_model(*(sandbox.base_url for sandbox in product.sandboxes))

    answer = _ask(http, model, "error=400")

    product.wait_settled(customer.organization, rows=1)
    told = _receipt(http, answer.headers["x-request-id"])
    assert (answer.status_code, told["outcome"], told["status"], told["charged_nano_usd"]) == (
        400,
        "failed",
        400,
        0,
    )
    assert told["why"].startswith("The provider refused the request as it was asked")
    assert _health(product, model) == set()
