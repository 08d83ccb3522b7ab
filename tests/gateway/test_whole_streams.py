"""Servers that answer as a whole though a stream was asked for, and with another status than 200."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing.spool import Usage
from gateway.endpoints import ENDPOINTS
from gateway.passages.table import passage_for
from gateway.passages.whole_stream import MAX_ANSWER_BYTES, TellsWhole, WholeSplitter
from gateway.upstreams.faults import UpstreamTooLarge
from tests.gateway.attempts import ask, attempt, channel
from tests.gateway.house import House, Upstream, completion, whole

HI = [{"role": "user", "content": "hi"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HI},
    MESSAGES: {"messages": HI, "max_tokens": 50},
    RESPONSES: {"input": "hi", "store": False},
}
_MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
}  # fmt: skip
_RESPONSE = {
    "id": "resp_1", "object": "response", "status": "completed", "model": "m", "error": None, "incomplete_details": None,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}]}],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}  # fmt: skip
_GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
}
_BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
}
ANSWERS: dict[str, bytes] = {
    "openai": completion(),
    "azure": completion(),
    "anthropic": json.dumps(_MESSAGE).encode(),
    "openai_responses": json.dumps(_RESPONSE).encode(),
    "gemini": json.dumps(_GEMINI).encode(),
    "bedrock": json.dumps(_BEDROCK).encode(),
}
# What speaks both of OpenAI's protocols is asked in the caller's.
NATIVE = {("openai_responses", CHAT): "openai", ("azure", RESPONSES): "openai_responses"}


def chunks(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]


async def test_a_whole_answer_to_a_stream_is_told_as_one(house: House, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "hello", "tool_calls": [CALL]}
    answer = completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    upstream.script = upstream.says(whole(answer, headers="content-type: application/json\r\n"))

    status, body = await house.answer(stream=True, stream_options={"include_usage": True})

    told = chunks(body)
    deltas = [each["choices"][0]["delta"] for each in told if each["choices"]]
    (call,) = [call for delta in deltas for call in delta.get("tool_calls") or () if call.get("id")]
    (record,) = house.records(Usage)
    assert (status, len(upstream.bodies), body.endswith(b"data: [DONE]\n\n")) == (200, 1, True)
    assert "".join(delta.get("content") or "" for delta in deltas) == "hello"
    assert (call["id"], call["function"]["name"]) == ("call_1", "look")
    assert told[-1]["usage"]["total_tokens"] == 15
    assert (record.outcome, record.input_tokens, record.output_tokens) == ("completed", 10, 5)
    assert (record.is_estimated, record.attempts, record.finish_reason) == (False, 1, "tool_calls")
    assert list(house.holds.values()) == [record.cost_nano]


async def test_blanks_before_it_and_cuts_within_it_do_not_matter(house: House, upstream: Upstream) -> None:
    answer = completion()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(answer) + 3)
    upstream.script = upstream.says(head, b"\r\n ", answer[:9], answer[9:], pause_s=0.02)

    _, body = await house.answer(stream=True)

    assert "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks(body)) == "hello"


async def test_one_that_was_not_counted_is_held_for_and_estimated(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(whole(completion("four" * 5_000, usage=None)))

    await house.answer(stream=True)

    (record,) = house.records(Usage)
    assert (record.is_estimated, record.output_tokens) == (True, 5_000)
    assert record.cost_nano == 5_000 + record.input_tokens
    assert list(house.holds.values()) == [record.cost_nano]


async def test_an_error_in_its_place_is_a_failed_attempt(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(whole(b'{"error":{"message":"overloaded"}}'))

    status, _ = await house.answer(stream=True)

    assert (status, len(upstream.bodies), house.holds) == (500, 3, {})


@pytest.mark.parametrize("is_stream", [False, True])
async def test_any_success_is_one(house: House, upstream: Upstream, *, is_stream: bool) -> None:
    upstream.script = upstream.says(whole(completion(), status="201 Created"))

    status, body = await house.answer(stream=is_stream)

    assert (status, len(upstream.bodies), b"hello" in body) == (200, 1, True)


@pytest.mark.parametrize("adapter", ANSWERS)
@pytest.mark.parametrize("path", BODIES)
def test_every_format_tells_every_protocols_whole_answer(path: str, adapter: str) -> None:
    asked = ask(ENDPOINTS[path], {"model": "m", "stream": True, **BODIES[path]})
    to = attempt(asked, channel=channel("any", adapter))
    passage = passage_for(ENDPOINTS[path], to.route, to.model)
    assert isinstance(passage, TellsWhole)
    stream = passage.whole_stream(to)

    told = stream.feed(ANSWERS[NATIVE.get((adapter, path), adapter)])

    assert stream.usage is not None
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (10, 5)
    assert (stream.is_done, stream.has_output, stream.finish_reason) == (True, True, "stop")
    assert b"hello" in told + stream.closing(stream.usage)


def test_what_is_kept_of_it_is_bounded() -> None:
    splitter = WholeSplitter()

    assert splitter.feed(bytes(MAX_ANSWER_BYTES)) == []
    with pytest.raises(UpstreamTooLarge):
        splitter.feed(b"}")
