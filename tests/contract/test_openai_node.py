"""The official Node client against the running product.

One Node process runs every case of ``node/cases.mjs``; each test judges what one case saw.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import CannotInstall, give_up, node_command
from tests.contract.test_chat import THE_EIGHT
from tests.live.product import LiveProduct

# The first test of a run starts the product and may install the SDK.
pytestmark = pytest.mark.timeout(300)

CASES = Path(__file__).parent / "node" / "cases.mjs"
NOBODY = "http://127.0.0.1:1/v1"

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what runs the cases; skip without Node or npm, but never in CI."""
    try:
        return node_command("openai-7", CASES, tmp_path_factory.mktemp("node"))
    except CannotInstall as exc:
        give_up(f"The Node SDK is not tested: {exc}.")


@pytest.fixture(scope="module")
def organization(live_gateway: LiveProduct) -> str:
    """Return the customer of every case."""
    return live_gateway.new_organization()


@pytest.fixture(scope="module")
def seen(command: list[str], live_gateway: LiveProduct, organization: str) -> dict[str, Seen]:
    """Return what each case saw."""
    product = live_gateway
    for sandbox in product.sandboxes:
        sandbox.reset()
    environment = {
        **os.environ,
        "BASE_URL": product.base_urls[-1],
        "GOOD_KEY": product.new_key(organization),
        "POOR_KEY": product.new_customer(credit_cents=0)[1],
        "NARROW_KEY": product.new_key(organization, "--models=gpt-4.1"),
        "LIMITED_KEY": product.new_key(organization, "--rpm=1"),
        "BROKEN_MODEL": product.spare_model(*(sandbox.base_url for sandbox in product.sandboxes)),
        "DEAD_MODEL": product.spare_model(NOBODY),
    }
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {line["name"]: line["saw"] for line in map(json.loads, done.stdout.splitlines())}


def test_models_are_listed_and_found(seen: dict[str, Seen]) -> None:
    assert set(seen["list"]["ids"]) >= THE_EIGHT
    assert seen["retrieve"]["id"] == "gpt-4o"


def test_a_chat_is_answered(seen: dict[str, Seen]) -> None:
    reply = seen["chat"]

    assert reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == 9
    assert reply["requestID"].startswith("req_")


def test_a_stream_brings_the_same_text_and_no_usage_unasked(seen: dict[str, Seen]) -> None:
    reply = seen["stream"]

    assert reply["isSame"]
    assert reply["chunks"] > 20
    assert (reply["finish"], reply["hasUsage"]) == ("stop", False)


def test_usage_comes_last_if_asked_for(seen: dict[str, Seen]) -> None:
    reply = seen["stream_usage"]

    assert reply["last"]["choices"] == []
    assert reply["last"]["usage"]["completion_tokens"] == 9
    assert set(reply["before"]) == {None}


def test_the_stream_helper_collects_the_answer(seen: dict[str, Seen]) -> None:
    assert seen["stream_helper"]["content"]


def test_tools_are_called_whole_and_streamed(seen: dict[str, Seen]) -> None:
    whole, streamed = seen["tools"], seen["streamed_tools"]

    assert whole["finish_reason"] == streamed["finish_reason"] == "tool_calls"
    assert json.loads(whole["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
    calls = {
        call["function"]["name"]: call["function"]["arguments"] for call in streamed["message"]["tool_calls"]
    }
    assert json.loads(calls["get_weather"]) == {"city": "Paris"}
    assert json.loads(calls["get_time"]) == {}


def test_a_structured_answer_follows_its_schema(seen: dict[str, Seen]) -> None:
    assert isinstance(seen["structured"]["name"], str)
    assert isinstance(seen["structured"]["age"], int)


@pytest.mark.parametrize(
    ("case", "name", "status", "code"),
    [
        ("bad_request", "BadRequestError", 400, "invalid_request"),
        ("wrong_key", "AuthenticationError", 401, "invalid_api_key"),
        ("poor", "APIError", 402, "insufficient_quota"),
        ("forbidden_model", "PermissionDeniedError", 403, "permission_denied"),
        ("unknown_model", "NotFoundError", 404, "model_not_found"),
        ("too_large", "APIError", 413, "request_too_large"),
        ("too_often", "RateLimitError", 429, "rate_limit"),
        ("broken_upstream", "InternalServerError", 500, "upstream_error"),
        ("dead_upstream", "InternalServerError", 503, "service_unavailable"),
    ],
)
def test_every_error_is_thrown_as_the_class_that_belongs_to_it(
    seen: dict[str, Seen], case: str, name: str, status: int, code: str
) -> None:
    thrown = seen[case]

    assert (thrown["name"], thrown["status"], thrown["code"]) == (name, status, code)
    assert thrown["requestID"].startswith("req_")


def test_errors_say_whether_and_when_to_return(seen: dict[str, Seen]) -> None:
    assert 1 <= int(seen["too_often"]["retryAfter"]) <= 60
    assert seen["broken_upstream"]["shouldRetry"] == "false"
    assert seen["bad_request"]["param"] == "temperature"


def test_a_stream_that_breaks_throws_after_what_was_delivered(seen: dict[str, Seen]) -> None:
    thrown = seen["broken_stream"]

    assert thrown["received"]
    assert (thrown["name"], thrown["code"]) == ("APIError", "upstream_error")


def test_an_aborted_stream_is_charged_once(
    seen: dict[str, Seen], live_gateway: LiveProduct, organization: str
) -> None:
    live_gateway.wait_settled(organization)

    left = [row for row in live_gateway.usage_rows(organization) if row["outcome"] == "client_left"]
    assert seen["abort"] == {"chunks": 5}
    assert [row["output_tokens"] for row in left] == [40]
