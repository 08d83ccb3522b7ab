"""Every error of the contract, raised by the official Python client as the class that belongs to it."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.contract.conftest import Customer
from tests.contract.test_chat import body
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)


def refused(client: OpenAI, **fields: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{**body("Hello."), **fields})
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    return caught.value


def with_key(client: OpenAI, key: str) -> OpenAI:
    return client.with_options(api_key=key)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 5}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Hello."}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 1000}, "n"),
        ({"extra_body": {"no_such_field": 1}}, "no_such_field"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_wrong_parameter_is_a_bad_request_that_names_it(
    client: OpenAI, fields: dict[str, Any], param: str
) -> None:
    error = refused(client, **fields)

    assert isinstance(error, openai.BadRequestError)
    assert (error.code, error.type) == ("invalid_request", "invalid_request_error")
    assert error.param is not None
    assert error.param.startswith(param)


def test_what_the_upstream_calls_invalid_is_a_bad_request(client: OpenAI, product: LiveProduct) -> None:
    error = refused(client, **body("[[sandbox error=400 nonce=n1]] Hello."))

    assert isinstance(error, openai.BadRequestError)
    assert error.code == "invalid_request"
    assert sum(len(sandbox.log("n1")) for sandbox in product.sandboxes) == 1


@pytest.mark.parametrize("key", ["fa_live_" + "0" * 36, "sk-something-else", "fa_live_"])
def test_an_unknown_key_is_an_authentication_error(client: OpenAI, key: str) -> None:
    error = refused(with_key(client, key))

    assert isinstance(error, openai.AuthenticationError)
    assert error.code == "invalid_api_key"
    assert "x-ratelimit-limit-requests" not in error.response.headers


def test_a_request_without_a_key_is_an_authentication_error(product: LiveProduct) -> None:
    reply = httpx2.post(f"{product.base_url}/chat/completions", json=body("Hello."))

    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert reply.headers["x-request-id"]


def test_an_empty_wallet_is_insufficient_quota(client: OpenAI, product: LiveProduct) -> None:
    _, key = product.new_customer(credit_cents=0)
    error = refused(with_key(client, key))

    # SDKs know no class for 402, and do not retry it.
    assert type(error) is openai.APIStatusError
    assert error.status_code == 402
    assert (error.code, error.type) == ("insufficient_quota", "insufficient_quota")


def test_a_bound_beyond_the_balance_is_refused_with_both_numbers(
    client: OpenAI, product: LiveProduct
) -> None:
    _, key = product.new_customer(credit_cents=1)
    # At $10 per million tokens a cent buys 1,000.
    error = refused(with_key(client, key), max_tokens=2000)

    assert error.status_code == 402
    numbers = re.findall(r"\d+", error.message)
    assert "2000" in numbers
    assert any(900 < int(number) < 1000 for number in numbers)
    assert with_key(client, key).chat.completions.create(**body("Hello.", max_tokens=500)).choices


def test_a_budget_of_a_key_that_is_used_up_is_insufficient_quota(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    error = refused(with_key(client, product.new_key(customer.organization, "--budget-cents=0")))

    assert error.status_code == 402
    assert error.code == "insufficient_quota"


def test_a_model_the_key_may_not_use_is_a_permission_error(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    narrow = with_key(client, product.new_key(customer.organization, "--models=gpt-4.1"))
    error = refused(narrow)

    assert isinstance(error, openai.PermissionDeniedError)
    assert (error.code, error.param) == ("permission_denied", "model")
    assert narrow.chat.completions.create(**{**body("Hello."), "model": "gpt-4.1"}).choices


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    error = refused(client, model="gpt-none")

    assert isinstance(error, openai.NotFoundError)
    assert (error.code, error.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-none")
    assert caught.value.code == "model_not_found"


def test_too_many_requests_are_a_rate_limit_error_that_says_when_to_return(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    limited = with_key(client, product.new_key(customer.organization, "--rpm=2"))
    for _ in range(2):
        limited.chat.completions.create(**body("Hello."))
    error = refused(limited)

    headers = error.response.headers
    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit"
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert "x-ratelimit-limit-tokens" in headers


def test_too_many_tokens_are_a_rate_limit_error(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    limited = with_key(client, product.new_key(customer.organization, "--tpm=100"))
    error = refused(limited, **body("ledger " * 1000))

    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit"
    assert error.response.headers["x-ratelimit-limit-tokens"] == "100"


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_too_large_is_refused_with_413(http: httpx2.Client, *, is_announced: bool) -> None:
    size = 33 * 1024 * 1024
    content = b"x" * size if is_announced else iter([b"x" * (size // 8)] * 9)
    reply = http.post("/chat/completions", content=content, headers={"content-type": "application/json"})

    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "request_too_large"
    assert reply.headers["x-request-id"]


def test_a_model_whose_channels_all_fail_is_a_server_error_not_to_be_retried(
    client: OpenAI, product: LiveProduct, customer: Customer
) -> None:
    model = product.spare_model(*(sandbox.base_url for sandbox in product.sandboxes))
    error = refused(
        client.with_options(max_retries=2),
        **{**body("[[sandbox error=500 nonce=n1]] Hello."), "model": model},
    )

    attempts = [entry for sandbox in product.sandboxes for entry in sandbox.log("n1")]
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code, error.type) == (500, "upstream_error", "upstream_error")
    assert error.response.headers["x-should-retry"] == "false"
    assert 2 <= len(attempts) <= 3
    product.wait_settled(customer.organization)
    assert all(row["cost_nano"] == 0 for row in product.usage_rows(customer.organization))


@pytest.mark.parametrize(
    "directive", ["html=1", "garbage=1", "empty=1", "error_first=1", "drop=1", "close_after=0"]
)
@pytest.mark.parametrize("stream", [True, False])
def test_nonsense_of_an_upstream_is_a_server_error(
    client: OpenAI, product: LiveProduct, directive: str, *, stream: bool
) -> None:
    model = product.spare_model(product.sandboxes[0].base_url)
    error = refused(client, **{**body(f"[[sandbox {directive}]] Hello.", stream=stream), "model": model})

    assert isinstance(error, openai.InternalServerError)
    assert error.code in {"upstream_error", "service_unavailable"}
    assert error.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_trouble_between_us_and_a_provider_is_never_blamed_on_the_caller(
    client: OpenAI, product: LiveProduct, status: int
) -> None:
    model = product.spare_model(product.sandboxes[0].base_url)
    error = refused(client, **{**body(f"[[sandbox error={status}]] Hello."), "model": model})

    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (503, "service_unavailable")
    assert "sk-sandbox" not in error.message


def test_a_model_no_channel_of_which_can_be_reached_is_unavailable(
    client: OpenAI, product: LiveProduct
) -> None:
    error = refused(client, model=product.spare_model("http://127.0.0.1:1/v1"))

    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (503, "service_unavailable")
    assert error.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/path", 404),
        ("GET", "/", 404),
        ("POST", "/", 404),
        ("POST", "", 404),
        ("POST", "/completions-none", 404),
        ("GET", "/chat/completions", 405),
        ("DELETE", "/models", 405),
        ("POST", "/models/gpt-4o", 405),
        ("GET", "/models/a/b/c", 404),
    ],
)
def test_an_unknown_path_or_method_is_answered_in_the_envelope(
    http: httpx2.Client, method: str, path: str, status: int
) -> None:
    reply = http.request(method, path)

    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("base_path", "path", "hint"),
    [
        ("", "/chat/completions", "/v1"),
        ("", "/models", "/v1"),
        ("/v1/v1", "/messages", "leave it out"),
        ("/v1", "/chat/completions/", "slash"),
        ("/v1", "/files", "/v1/openapi.json"),
    ],
)
def test_a_base_url_that_is_not_right_is_told_what_is(
    product: LiveProduct, base_path: str, path: str, hint: str
) -> None:
    origin = product.base_url.removesuffix("/v1")

    reply = httpx2.post(f"{origin}{base_path}{path}", json={})

    assert reply.status_code == 404
    assert hint in reply.json()["error"]["message"].partition(path)[2]


def test_an_sdk_of_anthropic_finds_its_own_envelope_on_any_path(http: httpx2.Client) -> None:
    for path, headers in (("/messages/batches", {}), ("/files", {"anthropic-version": "2023-06-01"})):
        reply = http.post(path, headers=headers)

        assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")
        assert reply.json()["request_id"] == reply.headers["request-id"]


@pytest.mark.parametrize(
    ("path", "asked", "told"),
    [
        ("/embeddings", {"model": "text-embedding-3-small", "input": "hi"}, "or more"),
        ("/moderations", {"input": "hi"}, "used up"),
        ("/responses", {"model": "gpt-4o", "input": "hi", "max_output_tokens": 20}, "or more"),
    ],
)
def test_who_has_no_credit_is_not_told_to_ask_for_fewer_tokens(
    product: LiveProduct, path: str, asked: dict[str, Any], told: str
) -> None:
    _, key = product.new_customer(credit_cents=0)

    reply = httpx2.post(product.base_url + path, json=asked, headers={"authorization": f"Bearer {key}"})

    assert reply.status_code == 402
    message = reply.json()["error"]["message"]
    assert told in message
    assert "tokens" not in message
    assert "Top up" in message


def test_a_bound_that_is_too_dear_is_named_as_the_client_knows_it(product: LiveProduct) -> None:
    _, key = product.new_customer(credit_cents=1)
    asked = {"model": "gpt-4o", "input": "hi", "max_output_tokens": 5_000}

    reply = httpx2.post(
        f"{product.base_url}/responses", json=asked, headers={"authorization": f"Bearer {key}"}
    )

    assert "fewer 'max_output_tokens'" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"model": "gpt-4o", "model": 3, "messages": []}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_is_no_chat_is_answered_in_the_envelope(
    http: httpx2.Client, content: bytes, kind: str, status: int
) -> None:
    reply = http.post("/chat/completions", content=content, headers={"content-type": kind})

    assert reply.status_code == status
    assert reply.json()["error"]["code"] == "invalid_request"
    assert reply.headers["x-request-id"].startswith("req_")
