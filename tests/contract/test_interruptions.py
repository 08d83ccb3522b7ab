"""Calls that do not run to their end: who notices, who pays, and that a cut is never taken for an end."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.contract.conftest import Customer
from tests.contract.test_chat import body
from tests.live.product import LiveProduct
from tests.live.programs import wait_until

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

# A port nobody listens on.
NOBODY = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """Return the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.fixture
def ready_to_retry(product: LiveProduct) -> None:
    """Serve so many requests that each process may retry twice: retries are at most a fifth of its own load."""
    _, key = product.new_customer()
    # A connection that stays open would bring all of them to one process.
    afresh = {"Connection": "close"}
    with OpenAI(base_url=product.base_url, api_key=key, default_headers=afresh) as client:
        for _ in range(30):
            client.chat.completions.create(**body("[[sandbox tokens=1]] Hello."))


def outcomes(product: LiveProduct, nonce: str) -> list[str]:
    return [entry["outcome"] for sandbox in product.sandboxes for entry in sandbox.log(nonce)]


def the_row(product: LiveProduct, customer: Customer) -> dict[str, Any]:
    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    return row


@pytest.mark.parametrize("after", [0, 5])
def test_a_stream_the_caller_leaves_has_one_usage_record(
    client: OpenAI, product: LiveProduct, customer: Customer, after: int
) -> None:
    before = product.balance(customer.organization)
    prompt = "[[sandbox nonce=n1 tokens=40 delay_ms=10]] Hello."
    stream = client.chat.completions.create(**body(prompt, stream=True))
    for _, _chunk in zip(range(after + 1), stream, strict=False):
        pass
    stream.close()

    row = the_row(product, customer)
    assert row["outcome"] == "client_left"
    # The upstream is read to its end, because only then it says what it charges us.
    assert (row["output_tokens"], row["is_estimated"]) == (40, False)
    assert outcomes(product, "n1") == ["finished"]
    assert before - product.balance(customer.organization) == row["cost_nano"] > 0


async def test_a_call_the_caller_cancels_has_one_usage_record(
    async_client: AsyncOpenAI, product: LiveProduct, customer: Customer
) -> None:
    prompt = "[[sandbox nonce=n1 tokens=40 delay_ms=10]] Hello."
    with pytest.raises(openai.APITimeoutError):
        await async_client.with_options(timeout=0.2).chat.completions.create(**body(prompt))

    row = the_row(product, customer)
    assert (row["outcome"], row["output_tokens"]) == ("client_left", 40)


@pytest.mark.parametrize("directive", ["close_after=5", "error_after=5", "tokens=5 no_finish=1 no_done=1"])
def test_a_stream_that_breaks_raises_an_error_after_what_was_delivered(
    client: OpenAI, product: LiveProduct, customer: Customer, directive: str
) -> None:
    stream = client.chat.completions.create(**body(f"[[sandbox {directive}]] Hello.", stream=True))
    received: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        received.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    row = the_row(product, customer)
    assert len("".join(received)) > 4
    assert caught.value.code == "upstream_error"
    assert row["outcome"] == "upstream_died"
    assert 0 < row["cost_nano"] <= row["hold_nano"]


def test_a_stream_that_breaks_at_its_last_token_is_not_taken_for_whole(client: OpenAI) -> None:
    stream = client.chat.completions.create(**body("[[sandbox tokens=5 close_after=5]] Hello.", stream=True))

    with pytest.raises(openai.APIError):
        list(stream)


@pytest.mark.usefixtures("ready_to_retry")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [500, 503, 429, 401])
def test_another_channel_answers_when_one_fails(
    client: OpenAI, product: LiveProduct, customer: Customer, status: int, *, stream: bool
) -> None:
    east, west = product.sandboxes
    model = product.spare_model(east.base_url, west.base_url)
    east.fail(status, count=1)

    fields = {**body("[[sandbox nonce=n1 tokens=9]] Hello.", stream=stream), "model": model}
    reply = client.chat.completions.create(**fields)

    assert list(reply) if stream else reply.choices
    row = the_row(product, customer)
    assert (row["output_tokens"], row["attempts"]) == (9, 2)
    assert [entry["status"] for entry in east.log("n1")] == [status]
    assert [entry["outcome"] for entry in west.log("n1")] == ["finished"]


@pytest.mark.usefixtures("ready_to_retry")
def test_no_charge_and_no_half_answer_when_every_channel_breaks_before_content(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    east, west = product.sandboxes
    model = product.spare_model(east.base_url, west.base_url)
    fields = {**body("[[sandbox nonce=n1 role_only_then_close=1]] Hello.", stream=True), "model": model}
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**fields)

    assert {"cut"} == set(outcomes(product, "n1"))
    assert len(east.log("n1")) >= 1
    assert len(west.log("n1")) >= 1
    product.wait_settled(customer.organization)
    assert all(row["cost_nano"] == 0 for row in product.usage_rows(customer.organization))


@pytest.mark.usefixtures("ready_to_retry")
def test_a_dead_upstream_is_passed_over(client: OpenAI, product: LiveProduct, customer: Customer) -> None:
    model = product.spare_model(NOBODY, product.sandboxes[1].base_url)

    reply = client.chat.completions.create(**{**body("Hello."), "model": model})

    assert reply.choices[0].message.content
    assert the_row(product, customer)["attempts"] == 2


@pytest.mark.usefixtures("ready_to_retry")
def test_another_channel_answers_when_one_is_silent(
    client: OpenAI, product: LiveProduct, silent: str
) -> None:
    model = product.spare_model(silent, product.sandboxes[1].base_url)

    started = time.monotonic()
    fields = {**body("Hello.", stream=True), "model": model}
    assert len(list(client.chat.completions.create(**fields))) > 20
    assert time.monotonic() - started > 2


def test_a_stalled_stream_ends_in_an_error(client: OpenAI, product: LiveProduct, customer: Customer) -> None:
    prompt = '[[sandbox nonce=n1 text="a b c d e" stall_after=3]] Hello.'
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(**body(prompt, stream=True)))

    row = the_row(product, customer)
    assert caught.value.code == "upstream_error"
    assert (row["outcome"], row["output_tokens"], row["is_estimated"]) == ("upstream_died", 3, True)
    wait_until(lambda: outcomes(product, "n1") == ["aborted"], what="the upstream is let go", within_s=2)


def test_a_stalled_stream_the_caller_leaves_is_let_go(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    prompt = "[[sandbox nonce=n1 tokens=9 stall_after=3]] Hello."
    stream = client.chat.completions.create(**body(prompt, stream=True))
    next(iter(stream))
    stream.close()

    wait_until(lambda: outcomes(product, "n1") == ["aborted"], what="the upstream is let go", within_s=10)
    row = the_row(product, customer)
    assert (row["outcome"], row["is_estimated"]) == ("client_left", True)
    assert row["cost_nano"] > 0


def test_silence_is_filled_with_comments_that_clients_ignore(client: OpenAI) -> None:
    fields = body("[[sandbox tokens=1 delay_ms=2200]] Hello.", stream=True)
    with client.chat.completions.with_streaming_response.create(**fields) as raw:
        text = "".join(raw.iter_text())
    chunks = list(client.chat.completions.create(**fields))

    assert re.search(r"^:", text, re.MULTILINE)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_revoked_key_is_refused_within_a_second_by_every_process(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    clients = [client.with_options(base_url=url) for url in product.base_urls]
    assert not any(map(_is_refused, clients))

    (key,) = product.rows("SELECT id FROM accounts_apikey WHERE organization_id = %s", customer.organization)
    product.command("apikey_revoke", key["id"])

    wait_until(lambda: all(map(_is_refused, clients)), what="both processes refuse the key", within_s=1.0)


def _is_refused(client: OpenAI) -> bool:
    try:
        client.chat.completions.create(**body("[[sandbox tokens=1]] Hello."))
    except openai.AuthenticationError:
        return True
    return False
