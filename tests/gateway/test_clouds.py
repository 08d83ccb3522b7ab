"""Calls to Gemini and Amazon Bedrock over sockets: how their streams end, break and are billed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from billing.spool import Usage
from tests.gateway.house import SSE_END, SSE_HEAD, House, Upstream, chunked, whole
from tests.gateway.upstreams.frames import event, exception

At = Callable[[str], Awaitable[House]]
FRAMES_HEAD = SSE_HEAD.replace(b"text/event-stream", b"application/vnd.amazon.eventstream")


@pytest.fixture
def at(house: House) -> At:
    """Return the house with its one channel speaking another protocol."""

    async def speaking(adapter: str) -> House:
        house.adapter = adapter
        await house.gateway.catalog.refresh()
        return house

    return speaking


def gemini(text: str, finish: str | None = None, **usage: int) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    chunk: dict[str, Any] = {
        "candidates": [candidate | ({"finishReason": finish} if finish else {})],
        "responseId": "r",
    }
    return chunked(
        b"data: " + json.dumps(chunk | ({"usageMetadata": usage} if usage else {})).encode() + b"\r\n\r\n"
    )


ENDED = gemini(
    "b", "STOP", promptTokenCount=10, candidatesTokenCount=5, thoughtsTokenCount=7, totalTokenCount=22
)


async def test_a_stream_of_gemini_ends_without_a_mark_and_its_connection_is_kept(
    at: At, upstream: Upstream
) -> None:
    house = await at("gemini")
    upstream.script = upstream.says(SSE_HEAD, gemini("a"), ENDED, SSE_END)

    _, first = await house.answer(stream=True)
    _, second = await house.answer(stream=True)

    for body in (first, second):
        assert body.endswith(b"data: [DONE]\n\n")
        assert b'"finish_reason":"stop"' in body
    assert upstream.connections == 1
    assert upstream.bodies[0]["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    used = house.records(Usage)[0]
    assert (used.outcome, used.is_estimated, used.cost_nano) == ("completed", False, 10 + 5 + 7)


async def test_a_stream_of_gemini_that_breaks_off_never_ends_cleanly(at: At, upstream: Upstream) -> None:
    house = await at("gemini")
    upstream.script = upstream.says(SSE_HEAD, gemini("a"), SSE_END)

    _, body = await house.answer(stream=True)

    assert b'"error"' in body
    assert b"[DONE]" not in body
    (used,) = house.records(Usage)
    assert (used.outcome, used.is_estimated) == ("upstream_died", True)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_blocked_prompt_is_an_empty_answer_that_costs_nothing(
    at: At, upstream: Upstream, *, is_stream: bool
) -> None:
    house = await at("gemini")
    blocked = json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r"}).encode()
    stream = upstream.says(SSE_HEAD, chunked(b"data: " + blocked + b"\r\n\r\n"), SSE_END)
    upstream.script = stream if is_stream else upstream.says(whole(blocked))

    status, body = await house.answer(stream=is_stream)

    assert status == 200
    assert b'"finish_reason":"content_filter"' in body
    (used,) = house.records(Usage)
    assert (used.outcome, used.cost_nano) == ("free", 0)


async def test_a_bad_key_of_ours_is_never_the_callers_400(at: At, upstream: Upstream) -> None:
    house = await at("gemini")
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": details}
    upstream.script = upstream.says(whole(json.dumps({"error": error}).encode(), "400 Bad Request"))

    status, body = await house.answer()

    assert status == 503
    assert b"API key" not in body


async def test_a_request_that_gemini_refuses_is_the_callers(at: At, upstream: Upstream) -> None:
    house = await at("gemini")
    error = {"code": 400, "message": "The input token count exceeds 9.", "status": "INVALID_ARGUMENT"}
    upstream.script = upstream.says(whole(json.dumps([{"error": error}]).encode(), "400 Bad Request"))

    status, body = await house.answer()

    assert (status, json.loads(body)["error"]["message"]) == (400, "The input token count exceeds 9.")


STARTED = event("messageStart", role="assistant") + event(
    "contentBlockDelta", contentBlockIndex=0, delta={"text": "a"}
)
USAGE = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
STOPPED = event("messageStop", stopReason="end_turn") + event("metadata", usage=USAGE)


async def test_a_stream_of_bedrock_in_pieces_of_any_size(at: At, upstream: Upstream) -> None:
    house = await at("bedrock")
    raw = STARTED + STOPPED

    async def slowly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAMES_HEAD)
        for place in range(0, len(raw), 7):
            writer.write(chunked(raw[place : place + 7]))
            await asyncio.sleep(0)
        writer.write(SSE_END)

    upstream.script = slowly

    _, body = await house.answer(stream=True)
    await house.answer(stream=True)

    assert body.endswith(b"data: [DONE]\n\n")
    assert upstream.connections == 1
    used = house.records(Usage)[0]
    assert (used.outcome, used.is_estimated, used.cost_nano) == ("completed", False, 15)


async def test_an_exception_of_bedrock_before_content_is_tried_again(at: At, upstream: Upstream) -> None:
    house = await at("bedrock")
    broken = chunked(
        event("messageStart", role="assistant") + exception("throttlingException", message="busy")
    )
    scripts = iter(
        [
            upstream.says(FRAMES_HEAD, broken, SSE_END),
            upstream.says(FRAMES_HEAD, chunked(STARTED + STOPPED), SSE_END),
        ]
    )

    async def one_after_the_other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(scripts)(reader, writer)

    upstream.script = one_after_the_other

    status, body = await house.answer(stream=True)

    assert status == 200
    assert body.endswith(b"data: [DONE]\n\n")
    assert len(upstream.bodies) == 2


@pytest.mark.parametrize("end", [exception("modelStreamErrorException", message="x"), b"\x00" * 12, b""])
async def test_a_stream_of_bedrock_that_breaks_off_never_ends_cleanly(
    at: At, upstream: Upstream, end: bytes
) -> None:
    house = await at("bedrock")
    upstream.script = upstream.says(FRAMES_HEAD, chunked(STARTED), chunked(end) if end else b"", SSE_END)

    _, body = await house.answer(stream=True)

    assert b'"content":"a"' in body
    assert b'"error"' in body
    assert b"[DONE]" not in body
    (used,) = house.records(Usage)
    assert (used.outcome, used.is_estimated) == ("upstream_died", True)
