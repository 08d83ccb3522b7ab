"""What few answers and requests hold, but must not be lost between a format and a protocol that both know it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway import form as f
from gateway.endpoints import ENDPOINTS
from gateway.events import RefusalDelta, ThinkingDelta
from gateway.passages.table import passage_for
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.compatible import dialect_of
from gateway.upstreams.openai_chat_messages import MessagesWriter
from gateway.upstreams.openai_chat_reader import ChatReader
from gateway.upstreams.openai_responses import OpenAIResponses
from tests.gateway.attempts import ask, attempt, channel

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
HI = {"role": "user", "content": "hi"}
SEAL = {"google": {"thought_signature": "c2ln"}}


def _made(path: str, adapter: str, provider: str, **body: Any) -> Any:
    asked = ask(ENDPOINTS[path], {"model": "m", "messages": [HI]} | body)
    return attempt(asked, channel=channel(provider, adapter))


def _sent(path: str, adapter: str, provider: str, **body: Any) -> Any:
    made = _made(path, adapter, provider, **body)
    return json.loads(passage_for(ENDPOINTS[path], made.route, made.model).prepare(made).body)


@pytest.mark.parametrize(
    ("adapter", "provider", "place"),
    [
        ("anthropic", "anthropic", ("stop_sequences",)),
        ("gemini", "google", ("generationConfig", "stopSequences")),
        ("bedrock", "amazon", ("inferenceConfig", "stopSequences")),
        ("deepseek", "deepseek", ("stop",)),
        ("openai", "groq", ("stop",)),
        ("openai", "mistral", ("stop",)),
    ],
)
def test_where_an_answer_has_to_stop_is_told_everywhere(
    adapter: str, provider: str, place: tuple[str, ...]
) -> None:
    told = _sent(CHAT, adapter, provider, stop=["END", "###"])

    for name in place:
        told = told[name]
    assert told == ["END", "###"]


def test_a_refusal_in_a_chat_stream_is_read() -> None:
    reader = ChatReader(_made(CHAT, "openai", "openai").form)
    chunk = {"choices": [{"index": 0, "delta": {"refusal": "I will not."}}]}

    assert RefusalDelta("I will not.", 0) in reader.feed(json.dumps(chunk).encode())


def test_a_refusal_and_the_paragraphs_of_a_thought_are_read_from_responses() -> None:
    reader = OpenAIResponses().reader(_made(MESSAGES, "openai_responses", "openai", max_tokens=50).form)
    events = [
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "delta": "I will not."},
        *(
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": at, "delta": "Hm."}
            for at in (0, 0, 1)
        ),
    ]  # fmt: skip

    told = [event for each in events for event in reader.feed(json.dumps(each).encode())]

    assert told == [
        RefusalDelta("I will not."),
        *(ThinkingDelta("Hm.", starts_part=starts) for starts in (False, False, True)),
    ]


@pytest.mark.parametrize("adapter", ["gemini", "openai"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_googles_seal_goes_to_a_chat_client_and_back(adapter: str, *, is_stream: bool) -> None:
    made = _made(CHAT, adapter, "google", stream=is_stream)
    passage = passage_for(ENDPOINTS[CHAT], made.route, made.model)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}} | {
        "extra_content": SEAL
    }
    part = {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    said: Any = {"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP", "index": 0}]}
    if adapter == "openai":
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        said = {
            "choices": [{"index": 0, "message": message, "delta": message, "finish_reason": "tool_calls"}]
        }
    raw = json.dumps({"id": "x", "model": "m", "created": 1} | said).encode()
    if is_stream:
        stream = passage.stream(made)
        told = (stream.feed(raw) + stream.closing(Usage(1, 0, 0, 1, 0))).decode()
    else:
        told = passage.answer(raw, made).body.decode()

    assert '"extra_content":{"google":{"thought_signature":"' in told
    given = told.partition('"thought_signature":"')[2].partition('"')[0]
    echoed = call | {"extra_content": {"google": {"thought_signature": given}}}
    turns = [HI, {"role": "assistant", "content": None, "tool_calls": [echoed]}]
    sent = _sent(
        CHAT, adapter, "google", messages=[*turns, {"role": "tool", "tool_call_id": "c", "content": "x"}]
    )
    assert "c2ln" in json.dumps(sent)


@pytest.mark.parametrize("fields", [{"stop_reason": None}, {"type": "error"}])
def test_a_message_that_did_not_end_is_no_answer(fields: dict[str, Any]) -> None:
    made = _made(MESSAGES, "anthropic", "anthropic", max_tokens=50)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
    }
    raw = json.dumps(message | fields).encode()

    with pytest.raises(BadAnswer):
        passage_for(ENDPOINTS[MESSAGES], made.route, made.model).answer(raw, made)


def test_pictures_in_a_report_are_counted_apart() -> None:
    made = _made(MESSAGES, "openai", "openai", max_tokens=50, stream=True)
    stream = passage_for(ENDPOINTS[MESSAGES], made.route, made.model).stream(made)
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"image_tokens": 4}}

    stream.feed(json.dumps({"choices": [], "usage": usage}).encode())

    assert stream.usage is not None
    assert stream.usage.image_input_tokens == 4


def test_a_cached_prompt_is_read_from_deepseeks_own_field_alone() -> None:
    made = _made(MESSAGES, "deepseek", "deepseek", max_tokens=50, stream=True)
    stream = passage_for(ENDPOINTS[MESSAGES], made.route, made.model).stream(made)
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 8}

    stream.feed(json.dumps({"choices": [], "usage": usage}).encode())

    assert stream.usage is not None
    assert stream.usage.cached_tokens == 8


def test_googles_seal_goes_back_where_a_request_is_written_anew() -> None:
    dialect = dialect_of(channel("google", "openai"))
    answer = f.Message("assistant", [f.ToolCall("c", "f", "{}", seal="c2ln")])

    (written,) = MessagesWriter(dialect).write([answer])

    assert written["tool_calls"][0]["extra_content"] == SEAL
