"""Stored responses through the official client and two gateway processes: whose they are, how long, what they cost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import psycopg
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseItemList
from psycopg import sql

from tests.contract.conftest import Customer
from tests.live.product import LiveProduct, live_product
from tests.live.programs import wait_until

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

# Its channels speak chat completions, so that the whole conversation is seen upstream.
MODEL = "claude-haiku-4-20250514"


@pytest.fixture
def elsewhere(product: LiveProduct, customer: Customer) -> Iterator[OpenAI]:
    """Return the customer's client at the other gateway process."""
    with OpenAI(base_url=product.base_urls[1], api_key=customer.key, max_retries=0) as client:
        yield client


@pytest.fixture
def stranger(product: LiveProduct) -> Iterator[OpenAI]:
    """Return another customer's client."""
    _, key = product.new_customer()
    with OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client:
        yield client


def ask(client: OpenAI, prompt: str = "Hello.", **fields: Any) -> Response:
    response = client.responses.create(**{"model": MODEL, "input": prompt} | fields)
    assert isinstance(response, Response)
    return response


def upstream_messages(product: LiveProduct, nonce: str) -> list[dict[str, Any]]:
    (entry,) = [entry for sandbox in product.sandboxes for entry in sandbox.log(nonce)]
    return list(entry["body"]["messages"])


def wait_status(client: OpenAI, response: Response, status: str) -> Response:
    wait_until(
        lambda: client.responses.retrieve(response.id).status == status, what=f"the response is {status}"
    )
    return client.responses.retrieve(response.id)


def refused(client: OpenAI, response_id: str) -> None:
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as caught:
            call(response_id)
        assert caught.value.code == "not_found"
        assert caught.value.response.headers["x-request-id"].startswith("req_")
    with pytest.raises(openai.NotFoundError):
        client.responses.input_items.list(response_id)
    with pytest.raises(openai.BadRequestError) as unknown:
        ask(client, previous_response_id=response_id)
    assert (unknown.value.code, unknown.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


def test_a_response_is_kept_and_found_in_every_process(client: OpenAI, elsewhere: OpenAI) -> None:
    response = ask(client, "Hello.", metadata={"a": "b"})

    found = elsewhere.responses.retrieve(response.id)

    assert found.to_dict() == response.to_dict()
    assert found.model_dump()["store"] is True


def test_a_streamed_response_is_kept_when_its_last_event_arrives(client: OpenAI, elsewhere: OpenAI) -> None:
    with client.responses.create(model=MODEL, input="Hello.", stream=True) as events:
        last = list(events)[-1]

    assert last.type == "response.completed"
    assert elsewhere.responses.retrieve(last.response.id).to_dict() == last.response.to_dict()


def test_store_false_keeps_nothing(client: OpenAI) -> None:
    response = ask(client, store=False)

    assert response.model_dump()["store"] is False
    refused(client, response.id)


def test_three_turns_through_two_processes(client: OpenAI, elsewhere: OpenAI, product: LiveProduct) -> None:
    first = ask(client, "[[sandbox text=one]] A?", instructions="Answer in one word.")
    second = ask(elsewhere, "[[sandbox text=two]] B?", previous_response_id=first.id)
    third = ask(client, "[[sandbox text=three nonce=turns]] C?", previous_response_id=second.id)

    said = [(each["role"], str(each["content"])) for each in upstream_messages(product, "turns")]
    assert [role for role, _ in said] == ["user", "assistant", "user", "assistant", "user"]
    for (_, content), wanted in zip(said, ("A?", "one", "B?", "two", "C?"), strict=True):
        assert wanted in content
    assert (third.previous_response_id, third.output_text) == (second.id, "three")
    assert first.usage is not None
    assert third.usage is not None
    assert third.usage.input_tokens > 2 * first.usage.input_tokens


def test_tools_are_called_and_answered_across_turns(client: OpenAI, http: httpx2.Client) -> None:
    tool: dict[str, Any] = {
        "type": "function",
        "name": "get_time",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False, "required": []},
        "strict": True,
    }
    first = ask(client, "[[sandbox call=get_time]] What time is it?", tools=[tool])
    (call,) = [item for item in first.output if item.type == "function_call"]

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "noon"}
    second = ask(client, "", input=[result], previous_response_id=first.id, tools=[tool])

    assert second.status == "completed"
    listed = http.get(f"/responses/{second.id}/input_items?order=asc").json()
    kinds = [item.type for item in ResponseItemList.model_validate(listed).data]
    assert [kind for kind in kinds if kind != "reasoning"] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_the_input_is_listed_in_pages(client: OpenAI) -> None:
    first = ask(client, "one")
    given = [
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "three"},
        {"role": "user", "content": [{"type": "input_text", "text": "four"}]},
    ]
    second = ask(client, "", input=given, previous_response_id=first.id)

    page = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert page.has_more is True
    listed = list(page)
    newest = client.responses.input_items.list(second.id).data

    ResponseItemList.model_validate(page.to_dict())
    shown = [item.to_dict() for item in listed]
    texts = [item["content"][0]["text"] for item in shown]  # type: ignore[index]
    assert texts == ["one", first.output_text, "two", "three", "four"]
    assert [item["role"] for item in shown] == ["user", "assistant", "user", "assistant", "user"]
    assert [item.id for item in newest] == [item.id for item in reversed(listed)]
    assert len({item.id for item in listed}) == 5
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.input_items.list(second.id, after="msg_unknown")
    assert caught.value.param == "after"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up"])
def test_a_list_that_cannot_be_is_refused_in_the_envelope(
    client: OpenAI, http: httpx2.Client, query: str
) -> None:
    response = ask(client)

    answer = http.get(f"/responses/{response.id}/input_items?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.split("=", maxsplit=1)[0]


def test_another_organization_cannot_have_it_and_another_key_of_ours_can(
    client: OpenAI, stranger: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    response = ask(client)

    refused(stranger, response.id)

    second_key = product.new_key(customer.organization)
    with OpenAI(base_url=product.base_url, api_key=second_key, max_retries=0) as colleague:
        assert colleague.responses.retrieve(response.id).id == response.id
        assert ask(colleague, previous_response_id=response.id).status == "completed"


def test_what_was_deleted_is_gone_and_later_turns_are_not(client: OpenAI, http: httpx2.Client) -> None:
    first = ask(client)
    second = ask(client, previous_response_id=first.id)

    answer = http.delete(f"/responses/{first.id}")

    assert answer.json() == {"id": first.id, "object": "response", "deleted": True}
    refused(client, first.id)
    assert ask(client, previous_response_id=second.id).status == "completed"


def test_what_has_expired_is_gone(client: OpenAI, product: LiveProduct) -> None:
    response = ask(client)
    expiry = "SELECT expires_at - created_at AS kept FROM accounts_storedresponse WHERE id = %s"
    (row,) = product.rows(expiry, response.id)
    assert row["kept"].days == 30

    product.rows(
        "UPDATE accounts_storedresponse SET expires_at = now() WHERE id = %s RETURNING id", response.id
    )

    refused(client, response.id)


def test_nothing_is_held_or_charged_for_an_unknown_previous_response(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    before = product.balance(customer.organization)

    refused(client, "resp_unknown")

    product.wait_settled(customer.organization)
    assert product.usage_rows(customer.organization) == []
    assert product.balance(customer.organization) == before


def test_input_tokens_are_estimated_with_what_came_before(client: OpenAI) -> None:
    first = ask(client, "x" * 4_000)

    short = client.responses.input_tokens.count(model=MODEL, input="Hello.")
    long = client.responses.input_tokens.count(model=MODEL, input="Hello.", previous_response_id=first.id)

    assert short.object == "response.input_tokens"
    assert 0 < short.input_tokens < 50
    assert long.input_tokens >= short.input_tokens + 1_000
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.input_tokens.count(model="no-such-model", input="Hello.")
    assert caught.value.code == "model_not_found"


def test_an_estimate_counts_as_a_request_and_costs_nothing(
    product: LiveProduct, client: OpenAI, customer: Customer
) -> None:
    limited = client.with_options(api_key=product.new_key(customer.organization, "--rpm=1"))

    limited.responses.input_tokens.count(model=MODEL, input="Hello.")
    with pytest.raises(openai.RateLimitError):
        limited.responses.input_tokens.count(model=MODEL, input="Hello.")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/responses/compact", 404),
        ("POST", "/responses/input_tokens", 400),
        ("GET", "/responses/{id}?stream=true", 400),
        ("GET", "/responses/{id}?starting_after=3", 400),
        ("POST", "/responses/{id}/cancel", 400),
        ("PUT", "/responses/{id}", 405),
        ("GET", "/responses/resp_%00", 404),
    ],
)
def test_what_is_not_offered_is_refused_in_the_envelope(
    client: OpenAI, http: httpx2.Client, method: str, path: str, status: int
) -> None:
    response = ask(client)

    answer = http.request(method, path.format(id=response.id))

    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("path", ["/responses/resp_1", "/responses/resp_1/input_items"])
def test_nobody_gets_in_without_a_key(product: LiveProduct, path: str) -> None:
    answer = httpx2.get(product.base_url + path)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


# In the background.


def test_background_work_is_polled_until_it_has_ended(
    client: OpenAI, elsewhere: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    started = time.monotonic()
    response = ask(client, "[[sandbox header_ms=1000 text=done]] Hello.", background=True)
    assert time.monotonic() - started < 0.9
    assert (response.status, response.background) == ("in_progress", True)
    assert elsewhere.responses.retrieve(response.id).status == "in_progress"

    ended = wait_status(elsewhere, response, "completed")

    assert (ended.id, ended.output_text, ended.background) == (response.id, "done", True)
    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert (row["outcome"], row["is_estimated"]) == ("completed", False)
    assert client.responses.cancel(response.id).status == "completed"


def test_background_work_is_cancelled_in_whichever_process_it_runs(
    client: OpenAI, elsewhere: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    response = ask(client, "[[sandbox header_ms=60000]] Hello.", background=True)

    cancelled = elsewhere.responses.cancel(response.id)

    assert cancelled.status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"
    # The upstream is drained as if the caller had left: three seconds in these tests.
    product.wait_settled(customer.organization, rows=1)
    (row,) = product.usage_rows(customer.organization)
    assert (row["outcome"], row["is_estimated"], row["output_tokens"]) == ("client_left", True, 0)
    assert client.responses.retrieve(response.id).status == "cancelled"


def test_deleting_background_work_ends_it(
    client: OpenAI, elsewhere: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    response = ask(client, "[[sandbox header_ms=60000]] Hello.", background=True)

    elsewhere.responses.delete(response.id)

    product.wait_settled(customer.organization, rows=1)
    refused(client, response.id)


def test_background_work_that_fails_says_so(client: OpenAI) -> None:
    response = ask(client, "[[sandbox error=500]] Hello.", background=True)

    ended = wait_status(client, response, "failed")

    assert ended.error is not None
    assert ended.error.code == "server_error"
    assert ended.output == []


def test_work_of_a_process_that_died_has_failed(client: OpenAI, product: LiveProduct) -> None:
    response = ask(client, "[[sandbox header_ms=5000]] Hello.", background=True)
    lease = "UPDATE accounts_storedresponse SET leased_until = now() WHERE id = %s RETURNING id"
    product.rows(lease, response.id)

    failed = client.responses.retrieve(response.id)

    assert failed.status == "failed"
    assert failed.error is not None
    assert "broke off" in failed.error.message


def test_work_of_a_killed_process_has_failed_and_is_billed_as_interrupted(tmp_path: Path) -> None:
    with live_product(tmp_path) as product:
        organization, key = product.new_customer()
        dead, alive = (OpenAI(base_url=url, api_key=key, max_retries=0) for url in product.base_urls)
        with dead, alive:
            response = ask(dead, "[[sandbox header_ms=60000 nonce=killed]] Hello.", background=True)
            wait_until(
                lambda: any(sandbox.log("killed") for sandbox in product.sandboxes),
                what="the upstream is asked",
            )

            product.gateways[0].kill()
            lease = "UPDATE accounts_storedresponse SET leased_until = now() WHERE id = %s RETURNING id"
            product.rows(lease, response.id)

            assert alive.responses.retrieve(response.id).status == "failed"
            product.wait_settled(organization, rows=1)
            (row,) = product.usage_rows(organization)
            assert row["outcome"] == "interrupted"


def test_background_work_without_storing_or_as_a_stream_is_refused(client: OpenAI) -> None:
    for fields, param in (({"store": False}, "store"), ({"stream": True}, "stream")):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=MODEL, input="Hello.", background=True, **fields)  # type: ignore[call-overload]
        assert caught.value.param == param


# While PostgreSQL is slow or away.


@contextlib.contextmanager
def locked(product: LiveProduct) -> Iterator[None]:
    """Let every statement on the table wait."""
    with psycopg.connect(product.database_url) as connection:
        connection.execute("LOCK TABLE accounts_storedresponse IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@contextlib.contextmanager
def away(product: LiveProduct) -> Iterator[None]:
    """Refuse every connection to the product's database, also those that are open."""
    name = product.database_url.rpartition("/")[2].partition("?")[0]
    switch = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    admin_url = product.database_url.replace(f"/{name}", "/postgres")
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(switch.format(sql.Identifier(name), sql.SQL("false")))
        try:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            admin.execute(end, [name])
            yield
        finally:
            admin.execute(switch.format(sql.Identifier(name), sql.SQL("true")))


@pytest.mark.parametrize("trouble", [locked, away])
def test_without_postgresql_an_answer_still_goes_out_and_says_that_it_is_not_stored(
    client: OpenAI, product: LiveProduct, trouble: Any
) -> None:
    earlier = ask(client)

    with trouble(product):
        started = time.monotonic()
        raw = client.responses.with_raw_response.create(model=MODEL, input="Hello.")
        took = time.monotonic() - started
        with pytest.raises(openai.APIStatusError) as read:
            client.responses.retrieve(earlier.id)
        with pytest.raises(openai.APIStatusError) as continued:
            ask(client, previous_response_id=earlier.id)

    response = raw.parse()
    assert (response.status, response.model_dump()["store"]) == ("completed", False)
    assert (raw.headers["x-fa-degraded"], raw.headers["x-fa-not-stored"]) == ("1", "unavailable")
    assert took < 4
    for error in (read.value, continued.value):
        assert (error.status_code, error.response.headers["retry-after"]) == (503, "1")
    refused(client, response.id)
    assert client.responses.retrieve(earlier.id).id == earlier.id


def test_nothing_that_was_said_is_logged_or_readable_in_the_table(
    client: OpenAI, product: LiveProduct
) -> None:
    product.new_log_lines()
    response = ask(client, "[[sandbox text=quicksilver]] The word is kaleidoscope.")
    ask(client, "And now?", previous_response_id=response.id)
    client.responses.retrieve(response.id)

    table = "SELECT string_agg(row::text, '') AS text FROM accounts_storedresponse AS row"
    written = str(product.rows(table)[0]["text"]) + product.new_log_lines()

    for word in ("quicksilver", "kaleidoscope"):
        assert word not in written
        assert word.encode().hex() not in written
