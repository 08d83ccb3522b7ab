"""Streams of compatible servers in orders that OpenAI never sends, read by the unmodified SDKs' own helpers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from openai import omit
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from catalog.pricing import Usage
from gateway.endpoints import ENDPOINTS
from gateway.passages.table import passage_for
from tests.gateway.attempts import ask, attempt, channel

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
HI = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HI},
    MESSAGES: {"messages": HI, "max_tokens": 50},
    RESPONSES: {"input": "hi", "store": False},
}
_OF_MESSAGES: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_OF_RESPONSES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def chunk(delta: Any, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "up", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def call(**fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return chunk({"tool_calls": [fields | {"function": function}]})


def without(*names: str, **fields: Any) -> list[dict[str, Any]]:
    """Return a short stream whose chunks lack something or say it otherwise."""
    told = [chunk({"content": "Hi"}), chunk({}, "stop")]
    return [{key: value for key, value in each.items() if key not in names} | fields for each in told]


USAGE = chunk({}) | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
NO_DELTA = chunk(None)
BOTH = [("f", {"a": 1}), ("g", {})]
# The events, and what they amount to: text and calls.
STREAMS: dict[str, tuple[list[dict[str, Any]], str, list[tuple[str, dict[str, Any]]]]] = {
    "calls in turns": (
        [
            call(index=0, id="a", name="f", arguments=""), call(index=1, id="b", name="g", arguments=""),
            call(index=0, arguments='{"a"'), call(index=1, arguments="{"), call(index=0, arguments=":1}"),
            call(index=1, arguments="}"), chunk({}, "tool_calls"),
        ], "", BOTH,
    ),
    "calls without ids": ([call(index=0, id="", name="f", arguments='{"a":1}'), call(index=1, name="g", arguments="{}"), chunk({}, "stop")], "", BOTH),
    "the same id twice": ([call(index=0, id="a", name="f", arguments='{"a":1}'), call(index=1, id="a", name="g", arguments="{}"), chunk({}, "stop")], "", BOTH),
    "a nameless call first": ([call(index=0, arguments=""), call(index=1, id="b", name="g", arguments="{}"), chunk({}, "tool_calls")], "", [("g", {})]),
    "text after a call": ([chunk({"content": "Look"}), call(index=0, id="a", name="g", arguments="{}"), chunk({"content": "!"}), chunk({}, "stop")], "Look!", [("g", {})]),
    "a thought after text": ([chunk({"content": "So"}), chunk({"reasoning_content": "hm"}), chunk({"content": " be it."}), chunk({}, "stop")], "So be it.", []),
    "empty reasons and deltas": ([chunk({"content": ""}, ""), NO_DELTA, chunk({"content": "Hi"}, ""), chunk({}, "stop"), NO_DELTA], "Hi", []),
    "usage before the end": ([chunk({"content": "Hi"}), USAGE, chunk({}, "stop")], "Hi", []),
    "two ends": ([chunk({"content": "Hi"}), chunk({}, "stop"), chunk({}, "stop")], "Hi", []),
    "an end alone": ([chunk({"role": "assistant"}), chunk({}, "stop")], "", []),
    "no list beside the usage": ([chunk({"content": "Hi"}), chunk({}, "stop"), USAGE | {"choices": None}], "Hi", []),
    "nothing but choices": (without("id", "object", "created", "model"), "Hi", []),
    "a time with fractions": (without(created=1.5), "Hi", []),
    "no time": (without(created=None), "Hi", []),
    "no number": ([{"id": "up", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}], "Hi", []),
    "arguments as an object": ([call(index=0, id="a", type="function", name="f", arguments={"a": 1}), chunk({}, "stop")], "", [("f", {"a": 1})]),
    "a word of the server's own": ([chunk({"content": "Hi"}), chunk({}, "eos")], "Hi", []),
}  # fmt: skip


def events(told: bytes) -> Iterator[Any]:
    for line in told.split(b"\n"):
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


def by_chat(told: bytes) -> tuple[str, list[tuple[str, Any]]]:
    state = ChatCompletionStreamState()
    for each in events(told):
        list(state.handle_chunk(ChatCompletionChunk.model_validate(each)))
    message = state.get_final_completion().choices[0].message
    calls: list[Any] = list(message.tool_calls or [])
    assert all(each.id and each.type == "function" for each in calls)
    return message.content or "", [
        (each.function.name, json.loads(each.function.arguments or "{}")) for each in calls
    ]


def by_messages(told: bytes) -> tuple[str, list[tuple[str, Any]]]:
    message: Any = None
    buffers: dict[int, bytes] = {}
    for each in events(told):
        if each["type"] != "ping":
            read = _OF_MESSAGES.validate_python(each)
            message = accumulate_event(event=read, current_snapshot=message, json_bufs=buffers)
    uses = [block for block in message.content if block.type == "tool_use"]
    assert len({block.id for block in uses}) == len(uses)
    text = "".join(block.text for block in message.content if block.type == "text")
    return text, [(block.name, block.input) for block in uses]


def by_responses(told: bytes) -> tuple[str, list[tuple[str, Any]]]:
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    *_, last = [
        made for each in events(told) for made in state.handle_event(_OF_RESPONSES.validate_python(each))
    ]
    calls = [item for item in last.response.output if item.type == "function_call"]
    assert len({item.call_id for item in calls}) == len(calls)
    return last.response.output_text, [(item.name, json.loads(item.arguments)) for item in calls]


READ = {CHAT: by_chat, MESSAGES: by_messages, RESPONSES: by_responses}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("provider", ["openai", "own", "mistral"])
@pytest.mark.parametrize("path", BODIES)
def test_sdks_read_what_odd_servers_stream(path: str, provider: str, name: str) -> None:
    sent, text, calls = STREAMS[name]
    if (path, name) == (CHAT, "a nameless call first") and provider != "mistral":
        pytest.skip("passed on as it is")
    asked = ask(ENDPOINTS[path], {"model": "m", "stream": True, **BODIES[path]})
    made = attempt(asked, channel=channel(provider, "openai"))
    stream = passage_for(ENDPOINTS[path], made.route, made.model).stream(made)

    told = b"".join([stream.feed(json.dumps(each, separators=(",", ":")).encode()) for each in sent])
    assert stream.finish_reason
    told += stream.closing(stream.usage or Usage(1, 0, 0, 1, 0))

    assert READ[path](told) == (text, calls)
