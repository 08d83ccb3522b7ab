"""Whatever stands in a body or an answer, on every way between a format and a protocol: a refusal or sense, no crash."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from billing.spool import Usage
from catalog.snapshot import Channel, Route
from gateway.asked import Attempt
from gateway.call import Request
from gateway.endpoints import ENDPOINTS
from gateway.errors import InvalidRequest, UpstreamError
from gateway.health import FAILURES_TO_OPEN
from gateway.passages.base import StreamTranslator
from gateway.passages.table import NATIVE, passage_for
from gateway.pipeline import serve
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.faults import UpstreamTooLarge
from tests.gateway.attempts import attempt, channel, model
from tests.gateway.house import SSE_END, SSE_HEAD, House, chunked, completion, whole
from tests.gateway.junk import spoilt

# The fullest bodies that clients send, by path, and answers that upstreams give, by protocol.
_FULLEST: Any = json.loads(Path(__file__).with_name("fullest.json").read_text())
BODIES: dict[str, dict[str, Any]] = _FULLEST["bodies"]
ANSWERS: dict[str, dict[str, Any]] = _FULLEST["answers"]
# A channel per adapter and per strict dialect of chat, and what its upstream answers in.
CHANNELS: dict[str, tuple[Channel, str]] = {
    "openai": (channel("openai", "openai"), "chat"),
    "groq": (channel("groq", "openai"), "chat"),
    "mistral": (channel("mistral", "openai"), "chat"),
    "openrouter": (channel("openrouter", "openai"), "chat"),
    "own": (channel("own", "openai"), "chat"),
    "deepseek": (channel("deepseek", "deepseek"), "chat"),
    "qwen": (channel("alibaba", "qwen"), "chat"),
    "azure": (channel("azure", "azure"), "chat"),
    "openai_responses": (channel("openai", "openai_responses"), "responses"),
    "anthropic": (channel("anthropic", "anthropic"), "messages"),
    "gemini": (channel("google", "gemini"), "gemini"),
    "vertex": (channel("google", "vertex"), "gemini"),
    "bedrock": (channel("amazon", "bedrock", api_key="ABSK-of-ours"), "bedrock"),
}
_TRAITS = ("adaptive_thinking", "thinking_level", "no_prefill", "always_reasons", "thinks_by_default")


def _thinned(draw: st.DrawFn, value: Any) -> Any:
    """Leave out some of the items of lists and some optional fields, so that each is met without the others."""
    if isinstance(value, list):
        return [_thinned(draw, each) for each in value if draw(st.booleans())]
    if isinstance(value, dict):
        return {key: _thinned(draw, each) for key, each in value.items()}
    return value


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    body = BODIES[path]
    needed = {"model", "messages", "input", "prompt", "max_tokens"}
    kept = {key: value for key, value in body.items() if key in needed or draw(st.booleans())}
    if draw(st.booleans()):
        kept = {key: _thinned(draw, value) for key, value in kept.items()}
    return json.dumps(draw(spoilt(kept))).encode()


@pytest.mark.parametrize("path", BODIES)
@given(st.data())
@settings(max_examples=250)
def test_a_body_that_is_wrong_somewhere_is_refused_or_written(path: str, data: st.DataObject) -> None:
    format_ = ENDPOINTS[path]
    with contextlib.suppress(InvalidRequest):
        asked = format_.parse(data.draw(bodies(path)), {})
        traits = data.draw(st.sets(st.sampled_from(_TRAITS), max_size=2))
        served = model(traits=frozenset(traits))
        for to, _ in CHANNELS.values():
            with contextlib.suppress(CannotExpress):
                passage = passage_for(format_, Route(to, "m"), served)
                prepared = passage.prepare(attempt(asked, channel=to, model=served))
                json.loads(prepared.body)
                assert not set("\r\n") & set("".join(map(str, prepared.headers)) + prepared.target)


def _asked(path: str, draw: Callable[[st.SearchStrategy[bool]], bool], *, is_stream: bool) -> Any:
    left_out = {"web_search_options", "functions", "function_call", "stream_options"}
    if draw(st.booleans()):
        left_out |= {"tools", "tool_choice", "response_format", "output_config", "text"}
    body = {key: value for key, value in BODIES[path].items() if key not in left_out}
    return ENDPOINTS[path].parse(json.dumps(body | {"stream": is_stream}).encode(), {})


def _spoken(path: str, to: Channel, protocol: str) -> str:
    is_native_chat = path == "/v1/chat/completions" and (to.adapter, "chat") in NATIVE
    return "chat" if is_native_chat else protocol


@pytest.mark.parametrize("name", CHANNELS)
@given(st.data())
@settings(max_examples=100)
def test_an_answer_that_is_wrong_somewhere_is_bad_or_told(name: str, data: st.DataObject) -> None:
    to, protocol = CHANNELS[name]
    path = data.draw(st.sampled_from(sorted(BODIES)))
    made = attempt(_asked(path, data.draw, is_stream=False), channel=to)
    answer = ANSWERS[_spoken(path, to, protocol)]["whole"]
    passage = passage_for(ENDPOINTS[path], made.route, made.model)

    with contextlib.suppress(BadAnswer, UpstreamTooLarge):
        json.loads(passage.answer(json.dumps(data.draw(spoilt(answer))).encode(), made).body)


@pytest.mark.parametrize("name", CHANNELS)
@given(st.data())
@settings(max_examples=100)
def test_a_stream_that_is_wrong_somewhere_breaks_or_is_told(name: str, data: st.DataObject) -> None:
    to, protocol = CHANNELS[name]
    path = data.draw(st.sampled_from(sorted(BODIES)))
    made = attempt(_asked(path, data.draw, is_stream=True), channel=to)
    events = ANSWERS[_spoken(path, to, protocol)]["events"]
    events = data.draw(st.permutations(events)) if data.draw(st.booleans()) else list(events)
    at = data.draw(st.integers(0, len(events) - 1))
    events[at] = data.draw(spoilt(events[at]))
    stream = passage_for(ENDPOINTS[path], made.route, made.model).stream(made)

    told = _told(stream, events, made)

    for line in told.split(b"\n"):
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            json.loads(line.removeprefix(b"data: "))


def _told(stream: StreamTranslator, events: list[Any], made: Attempt) -> bytes:
    told = b""
    try:
        for event in events:
            told += stream.feed(json.dumps(event).encode())
    except (BadAnswer, UpstreamTooLarge):
        return told + stream.failure(UpstreamError("It broke."))
    usage = made.asked.most_units
    return told + (stream.closing(usage) if stream.is_done else stream.cut(usage))


# Through the whole gateway, because what comes of it is decided there.


async def _status(house: House, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
    headers = {"authorization": f"Bearer {house.token}", "content-type": "application/json"}
    reply = serve(house.gateway, Request(headers, body, ENDPOINTS[path]))
    await reply.begun()
    told = b""
    while (piece := await reply.piece()) is not None:
        told += piece
    await house.settled()
    return reply.status, dict(reply.headers), json.loads(told)


async def test_a_refusal_inside_a_stream_is_the_callers_and_blames_no_channel(house: House) -> None:
    house.adapter = "openai_responses"
    await house.gateway.catalog.refresh()
    error = {"code": "context_length_exceeded", "message": "Your input is too long."}
    events = [
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}},
        {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": error}},
    ]
    told = [chunked(b"data: %b\n\n" % json.dumps(each).encode()) for each in events]
    house.upstream.script = house.upstream.says(SSE_HEAD, *told, SSE_END)
    body = json.dumps({"model": "m", "input": "hi", "stream": True}).encode()

    answers = [await _status(house, "/v1/responses", body) for _ in range(FAILURES_TO_OPEN + 1)]

    assert {status for status, _, _ in answers} == {400}
    assert {said["error"]["message"] for _, _, said in answers} == {"Your input is too long."}
    assert len(house.upstream.bodies) == len(answers)
    assert {(usage.outcome, usage.status, usage.cost_nano) for usage in house.records(Usage)} == {
        ("failed", 400, 0)
    }
    assert house.holds == {}


async def test_a_callers_words_cannot_break_out_of_a_header(house: House) -> None:
    kind = "x\r\nset-cookie: a=b\u2028é" + "y" * 5_000
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": kind}, {"type": "text", "text": "so"}]},
        {"role": "user", "content": "go on"},
    ]
    house.adapter = "openai_responses"
    await house.gateway.catalog.refresh()
    told = ANSWERS["responses"]["whole"]
    house.upstream.script = house.upstream.says(whole(json.dumps(told).encode()))
    body = json.dumps({"model": "m", "messages": turns, "max_tokens": 100}).encode()

    status, headers, _ = await _status(house, "/v1/messages", body)

    assert status == 200
    assert "messages.x" in headers["x-fa-dropped"]
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert sum(map(len, headers.values())) < 3_000


@pytest.mark.parametrize("depth", [300, 400, 470, 480, 490, 2_000])
@pytest.mark.parametrize("adapter", ["openai", "anthropic", "gemini"])
async def test_a_schema_that_is_too_deep_is_refused_and_never_our_fault(
    house: House, adapter: str, depth: int
) -> None:
    house.adapter = adapter
    house.capabilities = frozenset({"json_schema", "tools"})
    await house.gateway.catalog.refresh()
    house.upstream.script = house.upstream.says(whole(completion()))
    schema = '{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": "HERE"}}
    asked = {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "response_format": wanted,
    }
    body = json.dumps(asked).replace('"HERE"', schema)

    status, _, told = await _status(house, "/v1/chat/completions", body.encode())

    # An answer of chat completions is none of the other protocols'.
    assert status in {200, 400} or told["error"]["code"] == "upstream_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {
                "tools": [{"type": "custom", "custom": {"name": "c", "format": "lark"}}],
                "messages": [{"role": "user", "content": "hi"}],
            },
            "tools",
        ),
    ],
)
async def test_what_cannot_be_understood_is_refused(house: House, fields: dict[str, Any], param: str) -> None:
    house.provider, house.capabilities = "groq", frozenset({"tools"})
    await house.gateway.catalog.refresh()

    status, _, told = await _status(
        house, "/v1/chat/completions", json.dumps({"model": "m"} | fields).encode()
    )

    assert (status, told["error"]["param"]) == (400, param)


async def test_a_result_may_follow_a_message_without_content(house: House) -> None:
    house.provider = "groq"
    await house.gateway.catalog.refresh()
    house.upstream.script = house.upstream.says(whole(completion()))
    turns = [{"role": "user", "content": []}, {"role": "tool", "tool_call_id": "c", "content": "x"}]

    status, _, _ = await _status(
        house, "/v1/chat/completions", json.dumps({"model": "m", "messages": turns}).encode()
    )

    assert status == 200


def test_the_name_of_an_event_cannot_become_another_event() -> None:
    to, _ = CHANNELS["openai_responses"]
    made = attempt(_asked("/v1/responses", lambda _: True, is_stream=True), channel=to)
    stream = passage_for(ENDPOINTS["/v1/responses"], made.route, made.model).stream(made)

    with pytest.raises(BadAnswer):
        stream.feed(json.dumps({"type": "x\n\ndata: {}\n\nevent: y", "sequence_number": 1}).encode())


_REFUSALS = {
    400: 400,
    401: 503,
    402: 503,
    403: 503,
    404: 503,
    413: 413,
    422: 400,
    429: 503,
    500: 500,
    529: 500,
}


@pytest.mark.parametrize(("status", "told"), _REFUSALS.items())
@pytest.mark.parametrize("adapter", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_each_refusal_of_an_upstream_has_one_meaning(
    house: House, path: str, adapter: str, status: int, told: int
) -> None:
    house.adapter = adapter
    await house.gateway.catalog.refresh()
    words = json.dumps({"error": {"type": "x", "message": "Never mind sk-secret, it is too hot."}}).encode()
    house.upstream.script = house.upstream.says(whole(words, f"{status} X", "retry-after: 7\r\n"))
    body: dict[str, Any] = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    if path == "/v1/responses":
        body = {"model": "m", "input": "hi"}

    got, headers, answer = await _status(house, path, json.dumps(body).encode())

    assert got == (529 if path == "/v1/messages" and told == 503 else told)
    assert ("too hot" in json.dumps(answer)) == (told == 400)
    assert "sk-secret" not in json.dumps(answer)
    assert ("x-should-retry" in headers) == (told in {500, 503})
