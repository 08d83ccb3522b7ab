"""Refusals in every server's shape: their words reach the caller, and what is about our own account does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gateway.upstreams.openai_wire import blames_our_account, complaint
from gateway.upstreams.refusals import read_refusal
from tests.gateway.attempts import channel

_PLACES = [
    {
        "type": "extra_forbidden",
        "loc": ["body", "messages", 0, "name"],
        "msg": "Extra inputs are not permitted",
    }
]
_AT = "messages[0].name: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"error": {"message": "Too hot.", "param": "temperature", "code": None}}, "Too hot.", "temperature"),
        ({"error": "Too hot.", "code": "invalid argument"}, "Too hot.", None),
        ({"object": "error", "message": "Too hot.", "type": "invalid_request_error"}, "Too hot.", None),
        ({"message": "Too hot."}, "Too hot.", None),
        ({"detail": "Too hot."}, "Too hot.", None),
        ({"detail": _PLACES}, _AT, "messages[0].name"),
        ({"object": "error", "message": {"detail": _PLACES}}, _AT, "messages[0].name"),
        ([{"error": {"code": 400, "message": "Too hot.", "status": "INVALID_ARGUMENT"}}], "Too hot.", None),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error":{"message":"Too hot."}}'}}},
            "Too hot.",
            None,
        ),
        ({"error": {"message": "Said.", "metadata": {"raw": "no JSON"}}}, "Said.", None),
    ],
)  # fmt: skip
def test_what_a_server_says_is_passed_on(body: Any, message: str, param: str | None) -> None:
    assert complaint(json.dumps(body).encode(), channel()) == (message, param)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "x", "code": "insufficient_quota"}},
        {
            "error": {
                "message": "Your credit balance is too low to use this.",
                "type": "invalid_request_error",
            }
        },
        {"error": {"message": "Access denied.", "code": "Arrearage"}},
        {"error": "Incorrect API key provided: xa***. You can obtain an API key elsewhere."},
        [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}],
    ],
)
def test_what_is_about_our_account_is_known(body: Any) -> None:
    assert blames_our_account(json.dumps(body).encode())


def test_what_a_caller_wrote_takes_no_channel_out() -> None:
    quoted = {"error": {"message": "Invalid name 'API key not valid'", "code": "invalid_value"}}

    assert not blames_our_account(json.dumps(quoted).encode())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "metadata", "raw", "loc", "msg", "param", "code"]), inner
        )
    ),
)  # fmt: skip


@given(_JSON)
def test_any_refusal_can_be_read(value: Any) -> None:
    told = read_refusal(json.dumps(value).encode())

    assert isinstance(told.message, str)
    complaint(json.dumps(value).encode(), channel())


@given(st.binary())
def test_nonsense_says_nothing(body: bytes) -> None:
    blames_our_account(body)
    complaint(body, channel())
