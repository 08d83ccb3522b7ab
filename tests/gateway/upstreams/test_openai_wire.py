"""What a provider says in a refusal reaches the caller without anything of ours."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gateway.upstreams.openai_wire import complaint
from tests.gateway.attempts import channel


def told(error: dict[str, Any]) -> tuple[str, str | None]:
    return complaint(json.dumps({"error": error}).encode(), channel())


@pytest.mark.parametrize(
    "secret",
    [
        "sk-secret-of-ours-123456",
        "sk-proj-abcdefgh12345678",
        "org-AbCdEf123456",
        "proj_AbCdEf123456",
        "ft:gpt-4o:our-house:support:9xyz",
        "https://us-east.upstream.example/v1/chat",
        "our-resource.openai.azure.com",
        "10.1.2.3:8000",
        "vllm-7.models.svc.internal",
    ],
)
def test_nothing_of_ours_is_told(secret: str) -> None:
    message, _ = told({"message": f"The value of 'n' was refused at {secret}, try 1.5.", "param": "n"})

    assert secret not in message
    assert message.startswith("The value of 'n' was refused at [removed]")
    assert "try 1.5" in message


@pytest.mark.parametrize("param", ["messages[0].content", "max_tokens", "tools.0.function"])
def test_a_field_is_told(param: str) -> None:
    assert told({"message": "no", "param": param}) == ("no", param)


@pytest.mark.parametrize("param", ["see https://ours.example", "x" * 5_000, "a\r\nb", 7, ["n"]])
def test_what_is_no_field_is_not_told(param: Any) -> None:
    assert told({"message": "no", "param": param}) == ("no", None)


def test_a_long_quotation_is_read_at_once() -> None:
    begun = time.perf_counter()

    message, _ = told({"message": "a." * 30_000, "param": None})

    assert len(message) == 500
    assert time.perf_counter() - begun < 0.5
    assert told({"message": "no 'user_location' here"})[0] == "no 'user_location' here"
