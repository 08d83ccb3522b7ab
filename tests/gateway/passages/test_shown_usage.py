"""What a chat client is told of its usage is what is billed, wherever and however a compatible server reports it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.passages.native_chat_stream import NativeChatStream
from tests.gateway.attempts import ask, attempt, channel

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
STREAMED = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
PASSAGE = NativeChat()
# As xAI counts: thoughts stand beside the answer, and only the total holds both.
APART = {
    "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "cost_in_usd_ticks": 18_000,
    "completion_tokens_details": {"reasoning_tokens": 94},
}  # fmt: skip
BILLED = Usage(32, 0, 0, 103, 94)
PLAIN = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def stream(provider: str = "xai") -> NativeChatStream:
    started = PASSAGE.stream(attempt(ask(Chat(), STREAMED), channel=channel(provider)))
    assert isinstance(started, NativeChatStream)
    return started


def chunk(*choices: dict[str, Any], **fields: Any) -> bytes:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "theirs"}
    return json.dumps(head | {"choices": choices} | fields).encode()


def ended(**fields: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": "ho"}, "finish_reason": "stop"} | fields


def told(closing: bytes) -> Any:
    return json.loads(closing.split(b"\n\n")[0].removeprefix(b"data: "))["usage"]


def test_thoughts_that_stand_beside_the_answer_are_shown_as_they_are_billed() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "t",
        "choices": [choice],
        "usage": APART,
    }

    answer = PASSAGE.answer(json.dumps(body).encode(), attempt(ask(Chat(), HELLO), channel=channel("xai")))

    shown = json.loads(answer.body)["usage"]
    assert answer.usage == BILLED
    assert (shown["completion_tokens"], shown["total_tokens"]) == (103, 135)
    assert "cost_in_usd_ticks" not in shown


def test_a_stream_shows_them_as_they_are_billed_too() -> None:
    started = stream()
    started.feed(chunk(ended()))
    started.feed(chunk(usage=APART))

    assert started.usage == BILLED
    assert told(started.closing(BILLED))["completion_tokens"] == 103


@pytest.mark.parametrize(
    "last",
    [
        chunk(ended(usage=PLAIN)),
        chunk(ended(), x_groq={"id": "r", "usage": PLAIN}),
    ],
    ids=["moonshot", "groq"],
)
def test_a_report_in_another_place_is_found(last: bytes) -> None:
    started = stream("own")
    started.feed(last)

    assert started.usage == Usage(10, 0, 0, 5, 0)
    assert told(started.closing(started.usage)) == PLAIN


def test_a_report_that_is_not_believed_is_not_shown() -> None:
    started = stream("own")
    started.feed(chunk(ended()))
    started.feed(chunk(usage=PLAIN | {"completion_tokens": 900_000}))

    shown = told(started.closing(Usage(10, 0, 0, 1, 0)))

    assert shown == {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}


@pytest.mark.parametrize("name", ["server_tool_use", "server_tool_use_details"])
def test_searches_are_counted_under_either_name(name: str) -> None:
    asked = ask(Chat(), STREAMED | {"web_search_options": {}})
    started = PASSAGE.stream(attempt(asked, channel=channel("openrouter")))
    started.feed(chunk(ended()))
    started.feed(chunk(usage=PLAIN | {name: {"web_search_requests": 3}}))

    assert started.usage == Usage(10, 0, 0, 5, 0, searches=3)
