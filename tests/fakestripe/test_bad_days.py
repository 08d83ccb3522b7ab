"""Stripe having a bad day, as tests order it; and who may order."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stripe

from fastanchor.local.fakestripe.control import is_from_here
from tests.fakestripe.buying import charge_now, start_checkout
from tests.fakestripe.running import KEY, RunningStripe
from tests.live.programs import Program, free_port, wait_until


def _pay(client: stripe.StripeClient, key: str) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "return_url": "http://127.0.0.1:9/back",
        },
        {"idempotency_key": key},
    )


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_before_the_effect_leaves_nothing(
    fake: RunningStripe, client: stripe.StripeClient, status: int
) -> None:
    fake.order("faults", {"faults": [{"status": status, "count": 1}]})

    with pytest.raises(stripe.APIError) as failed:
        _pay(client, "k_1")
    assert client.v1.charges.list().data == []
    paid = _pay(client, "k_1")

    assert failed.value.http_status == status
    assert paid.status == "succeeded"


def test_an_error_after_the_effect_is_kept_by_its_key(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    fake.order("faults", {"faults": [{"status": 500, "when": "after", "count": 1, "method": "POST"}]})

    for _ in range(2):
        with pytest.raises(stripe.APIError):
            _pay(client, "k_1")

    assert len(client.v1.charges.list().data) == 1


def test_a_retry_finds_the_answer_that_was_lost(fake: RunningStripe) -> None:
    fake.order("faults", {"faults": [{"hang_s": 0.1, "when": "after", "count": 1, "method": "POST"}]})

    paid = _pay(fake.client(retries=2), "k_1")

    assert paid.status == "succeeded"
    assert len(fake.client().v1.charges.list().data) == 1


def test_an_error_that_nobody_remembers_is_repaired_by_a_retry(fake: RunningStripe) -> None:
    fault = {"status": 503, "when": "after", "count": 1, "method": "POST"}
    fake.order("faults", {"faults": [fault]})

    paid = _pay(fake.client(retries=2), "k_1")

    assert paid.status == "succeeded"
    assert len(fake.client().v1.charges.list().data) == 1


def test_too_many_calls_are_told_of(fake: RunningStripe, client: stripe.StripeClient) -> None:
    fake.order("faults", {"faults": [{"status": 429, "path": "/v1/events", "count": 1}]})

    assert client.v1.customers.list().data == []
    with pytest.raises(stripe.RateLimitError):
        client.v1.events.list()
    assert client.v1.events.list().data == []


def test_a_rate_strikes_its_share_by_its_seed(fake: RunningStripe, client: stripe.StripeClient) -> None:
    outcomes = []
    for _ in range(2):
        fake.order("faults", {"faults": [{"status": 500, "rate": 0.3}], "seed": 11})
        outcomes.append([_fails(client) for _ in range(30)])
    fake.order("faults", {"faults": []})

    assert outcomes[0] == outcomes[1]
    assert 3 <= sum(outcomes[0]) <= 16


def _fails(client: stripe.StripeClient) -> bool:
    try:
        client.v1.balance.retrieve()
    except stripe.APIError:
        return True
    return False


def test_somebody_may_delete_a_customer_on_the_dashboard(
    fake: RunningStripe, client: stripe.StripeClient
) -> None:
    ada = client.v1.customers.create()

    fake.order(f"customers/{ada.id}", method="DELETE")

    assert client.v1.customers.retrieve(ada.id).deleted is True
    assert client.v1.events.list().data[0].type == "customer.deleted"


def test_an_order_that_makes_no_sense_is_refused(fake: RunningStripe) -> None:
    wrong = [
        ("faults", {"faults": [{"statsu": 1}]}),
        ("nonsense", {}),
        ("refunds/re_none", {"status": "failed"}),
    ]

    for path, told in wrong:
        answer = fake.browser.post(f"{fake.base_url}/_control/{path}", json=told)
        assert answer.status_code == 400, path


@pytest.mark.parametrize(("client", "host"), [("127.0.0.1", "127.0.0.1:8003"), ("::1", "localhost:8003")])
def test_orders_come_from_this_machine(client: str, host: str) -> None:
    assert is_from_here((client, 1), host)


@pytest.mark.parametrize(
    ("client", "host"),
    [
        ("10.0.0.7", "127.0.0.1:8003"),
        ("127.0.0.1", "evil.example:8003"),
        ("127.0.0.1", ""),
        ("", "127.0.0.1"),
    ],
)
def test_nobody_elses_order_is_heard(client: str, host: str) -> None:
    assert not is_from_here((client, 1), host)


def test_a_foreign_page_cannot_give_orders(fake: RunningStripe) -> None:
    answer = fake.browser.post(f"{fake.base_url}/_control/reset", headers={"host": "evil.example"})

    assert answer.status_code == 404


def test_a_restart_remembers_everything(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "stripe.json"
    arguments = ["-m", "fastanchor.local.fakestripe", "--port", str(port), "--data", str(data)]
    program = Program(arguments, log=tmp_path / "log")
    addresses: stripe.StripeClient = stripe.StripeClient(
        KEY, base_addresses={"api": f"http://127.0.0.1:{port}"}, max_network_retries=0
    )
    try:
        wait_until(lambda: "serving" in program.output(), what="the fake serves")
        ada = addresses.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k_1"})
        session = start_checkout(addresses, customer=ada.id)
        paid = charge_now(addresses)
        program.kill()
        program.restart()
        wait_until(lambda: program.output().count("serving") == 2, what="the fake serves again")

        assert addresses.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k_1"}).id == ada.id
        assert addresses.v1.checkout.sessions.retrieve(session.id).status == "open"
        assert addresses.v1.payment_intents.retrieve(paid.id).status == "succeeded"
    finally:
        program.stop()

    assert data.stat().st_mode & 0o777 == 0o600
    assert json.loads(data.read_text())["tables"]["customer"][ada.id]["name"] == "Ada"


def test_a_taken_port_is_one_line(fake: RunningStripe) -> None:
    port = fake.base_url.rsplit(":", 1)[1]

    done = subprocess.run(
        [sys.executable, "-m", "fastanchor.local.fakestripe", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    data = tmp_path / "stripe.json"
    data.write_text('{"tables": 1}')

    done = subprocess.run(
        [sys.executable, "-m", "fastanchor.local.fakestripe", "--port", "0", "--data", data],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "remove it to begin anew" in done.stderr


def test_silence_lasts_as_long_as_ordered(fake: RunningStripe, client: stripe.StripeClient) -> None:
    fake.order("faults", {"faults": [{"hang_s": 0.3, "count": 1}]})
    start = time.monotonic()

    with pytest.raises(stripe.APIConnectionError):
        client.v1.customers.create()

    assert time.monotonic() - start >= 0.3
    assert client.v1.customers.list().data == []
