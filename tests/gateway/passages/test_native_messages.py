from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from catalog.pricing import Usage
from gateway.errors import InvalidRequest, UpstreamError
from gateway.formats.messages import Messages
from gateway.formats.messages_seals import Seal, wrap
from gateway.passages.base import StreamTranslator
from gateway.passages.native_messages import NativeMessages
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.base import BadAnswer, Prepared
from gateway.upstreams.sse import EventSplitter
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.formats.messages_shapes import blocks_of, events_of

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings" / "anthropic"
needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="no folder with recorded provider traffic"
)
_USER = {"role": "user", "content": "hi"}
_EFFORT = {"role": "system", "output_config": {"effort": "low"}}
_SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def prepare(body: dict[str, Any], headers: dict[str, str] | None = None, **fields: Any) -> Prepared:
    said = {"model": "claude", "max_tokens": 100, "messages": [_USER], **body}
    to = attempt(
        ask(Messages(), said),
        model=model("claude", **fields),
        channel=channel("anthropic"),
        headers=headers or {},
    )
    return NativeMessages().prepare(to)


def stream() -> StreamTranslator:
    asked = ask(Messages(), {"model": "claude", "max_tokens": 9, "messages": [_USER]})
    return NativeMessages().stream(attempt(asked, model=model("claude")))


def recorded(pattern: str) -> list[tuple[str, dict[str, Any]]]:
    files = sorted(RECORDINGS.glob(pattern))
    return [(path.name, json.loads(path.read_text(encoding="utf-8"))) for path in files]


def test_what_was_parsed_is_sent_under_the_upstreams_name_of_the_model() -> None:
    prepared = prepare(
        {
            "stream": True,
            "service_tier": "auto",
            "speed": "standard",
            "context_management": {"edits": []},
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "anthropic-version": "2026-10-21",
            "anthropic-beta": "context-management-2025-06-27, oauth-2025-04-20",
        },
    )

    assert json.loads(prepared.body) == {
        "model": "upstream/name",
        "max_tokens": 100,
        "messages": [_USER],
        "stream": True,
        "context_management": {"edits": []},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    }
    assert prepared.target == "/messages"
    assert dict(prepared.headers) == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-api-key": "sk-secret-of-ours-123456",
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "context-management-2025-06-27",
    }


def test_a_header_that_is_no_version_goes_nowhere() -> None:
    headers = dict(prepare({}, {"anthropic-version": "x\r\ny: z", "anthropic-beta": "é"}).headers)

    assert headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in headers


def test_no_longer_prompt_is_asked_for_than_is_priced() -> None:
    said = {"anthropic-beta": "context-1m-2025-08-07,fine-grained-tool-streaming-2025-05-14"}

    assert dict(prepare({}, said).headers)["anthropic-beta"] == "fine-grained-tool-streaming-2025-05-14"
    assert (
        dict(prepare({}, said, context_window=1_000_000).headers)["anthropic-beta"] == said["anthropic-beta"]
    )


def test_the_maximum_is_the_models_own_at_most_and_searches_are_limited() -> None:
    tools = [_SEARCH, {"name": "look", "input_schema": {"type": "object"}}, _SEARCH | {"max_uses": 2}]

    written = json.loads(prepare({"max_tokens": 90_000, "tools": tools}, max_output=8_192).body)

    assert written["max_tokens"] == 8_192
    assert [tool.get("max_uses") for tool in written["tools"]] == [10, None, 2]


def test_sampling_is_left_out_and_named_where_the_model_knows_none() -> None:
    prepared = prepare({"temperature": 0.5, "top_k": 3}, traits=frozenset({"no_sampling"}))

    assert prepared.dropped == ("temperature", "top_k")
    assert "temperature" not in json.loads(prepared.body)


def test_thoughts_that_anthropic_did_not_seal_are_left_out() -> None:
    own = {"type": "thinking", "thinking": "mine", "signature": "sig"}
    others = [
        {"type": "thinking", "thinking": "theirs", "signature": wrap(Seal("gemini", "x"))},
        {"type": "thinking", "thinking": "nobody's", "signature": ""},
        {"type": "redacted_thinking", "data": wrap(Seal("responses", "x"))},
    ]
    text = {"type": "text", "text": "so"}
    turns = [
        _USER,
        {"role": "assistant", "content": [own, *others, text]},
        {"role": "assistant", "content": others},
        _EFFORT,
        _USER,
    ]

    written = json.loads(prepare({"messages": turns}).body)

    assert written["messages"] == [_USER, {"role": "assistant", "content": [own, text]}, _EFFORT, _USER]
    assert json.loads(prepare({"messages": [_USER, _EFFORT]}).body)["messages"] == [_USER, _EFFORT]


_ASKS = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
_GIVES = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a cat"}]}
_THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "sig"}


@pytest.mark.parametrize(
    ("turns", "is_dropped"),
    [
        # Another model has begun the turn, without thoughts.
        ([_USER, {"role": "assistant", "content": [_ASKS]}, _GIVES], True),
        # Only the first answer of a turn must hold them.
        ([_USER, {"role": "assistant", "content": [_THOUGHT, _ASKS]}, _GIVES], False),
        (
            [
                _USER,
                {"role": "assistant", "content": [_THOUGHT, _ASKS]},
                _GIVES,
                {"role": "assistant", "content": [_ASKS]},
                _GIVES,
            ],
            False,
        ),
        # A turn that is over is nobody's concern.
        (
            [
                _USER,
                {"role": "assistant", "content": [_ASKS]},
                _GIVES,
                {"role": "assistant", "content": "a cat"},
                _USER,
            ],
            False,
        ),
    ],
)
def test_thinking_is_not_switched_on_within_a_turn(turns: list[dict[str, Any]], *, is_dropped: bool) -> None:
    prepared = prepare({"messages": turns, "thinking": {"type": "enabled", "budget_tokens": 1_024}})

    written = json.loads(prepared.body)
    assert written["messages"] == turns
    assert ("thinking" not in written, prepared.dropped == ("reasoning",)) == (is_dropped, is_dropped)


def test_citations_of_what_others_found_are_left_out() -> None:
    def text(index: str) -> dict[str, Any]:
        cited = {"type": "web_search_result_location", "url": "https://a.example", "encrypted_index": index}
        return {"type": "text", "text": "so", "citations": [cited | {"cited_text": "", "title": None}]}

    turns = [_USER, {"role": "assistant", "content": [text(""), text("own")]}, _USER]

    written = json.loads(prepare({"messages": turns}).body)["messages"]

    assert written[1]["content"] == [{"type": "text", "text": "so"}, text("own")]


@needs_recordings
def test_every_recorded_request_passes_unchanged_or_is_refused() -> None:
    passed = 0
    for name, exchange in recorded("*.json"):
        said = exchange["request"]
        with contextlib.suppress(InvalidRequest):
            asked = ask(Messages(), said)
            to = attempt(
                asked,
                model=model("claude", max_output=64_000),
                channel=channel("anthropic"),
                upstream_model=said["model"],
            )
            sent = json.loads(NativeMessages().prepare(to).body)
            for tool in said.get("tools", ()):
                for kind, most in (("web_search", 10), ("web_fetch", 5)):
                    if tool.get("type", "").startswith(kind):
                        tool["max_uses"] = tool.get("max_uses") or most
            if not said["stream"]:
                sent.pop("stream", None)
                said.pop("stream")
            assert sent == said, name
            passed += 1
    assert passed >= 20


@needs_recordings
def test_every_recorded_answer_passes_whole_under_our_name_of_the_model() -> None:
    for name, exchange in recorded("*[0-9].json"):
        if exchange["status"] != 200:
            continue
        said = exchange["response"]
        answer = NativeMessages().answer(json.dumps(said).encode(), attempt(model=model("claude")))

        assert json.loads(answer.body) == said | {"model": "claude"}, name
        assert answer.usage is not None
        assert answer.usage.output_tokens == said["usage"]["output_tokens"], name
        assert answer.has_output
        assert answer.upstream_id == said["id"]
        # The estimate is for upstreams that report nothing; it must be near.
        assert (
            answer.usage.output_tokens / 6 < answer.text_tokens + 30 < 6 * answer.usage.output_tokens + 60
        ), name


@needs_recordings
def test_every_recorded_stream_passes_whole_under_our_name_of_the_model() -> None:
    for name, exchange in recorded("*.stream.json"):
        raw: bytes = exchange["response"].encode()
        splitter, translator = EventSplitter(), stream()
        wire = b"".join(translator.feed(event) for event in splitter.feed(raw) + splitter.finish())

        assert translator.is_done
        assert translator.usage is not None
        assert translator.has_output
        assert translator.finish_reason == "stop", name
        sent = [json.loads(line[5:]) for line in raw.decode().splitlines() if line.startswith("data:")]
        sent[0]["message"]["model"] = "claude"
        lines = (wire + translator.closing(translator.usage)).decode().splitlines()
        got = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
        assert got == sent, name
        assert [line[7:] for line in lines if line.startswith("event:")] == [event["type"] for event in sent]


@needs_recordings
@pytest.mark.parametrize("name", ["thinking-part-stream-0", "high-max-tokens-0"])
def test_a_stream_cut_at_any_byte_never_ends_cleanly(name: str) -> None:
    ((_, exchange),) = recorded(f"*{name}.stream.json")
    whole: bytes = exchange["response"].encode().rstrip()
    splitter, translator = EventSplitter(), stream()

    for place in range(len(whole) - 1):
        wire = b"".join(translator.feed(event) for event in splitter.feed(whole[place : place + 1]))
        assert b"message_stop" not in wire
        assert not translator.is_done, place
        with contextlib.suppress(BadAnswer):
            last = copy.deepcopy(translator)
            for event in copy.deepcopy(splitter).finish():
                last.feed(event)
            assert not last.is_done, place


def test_a_cut_stream_closes_its_block_and_a_broken_one_says_so() -> None:
    translator = stream()
    begun = b"".join(
        translator.feed(json.dumps(event).encode())
        for event in (
            {"type": "message_start", "message": _message()},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "half"}},
        )
    )
    events = events_of(begun + translator.cut(Usage(5, 0, 0, 1, 0)))
    broken = translator.failure(UpstreamError("The model's provider broke off."))

    assert events[0]["message"]["model"] == "claude"
    assert blocks_of(events) == [{"type": "text", "text": "half"}]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert json.loads(broken.split(b"data: ")[1])["error"]["type"] == "api_error"
    assert translator.finish_reason == ""
    assert translator.output_tokens == 1


@pytest.mark.parametrize("is_believed", [True, False])
def test_what_is_shown_at_the_end_of_a_stream_is_what_is_billed(*, is_believed: bool) -> None:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    told = {"input_tokens": 90_000_000, "output_tokens": 5}
    translator = stream()
    begun = translator.feed(json.dumps({"type": "message_start", "message": _message()}).encode())
    begun += translator.feed(json.dumps({"type": "message_delta", "delta": delta, "usage": told}).encode())
    assert translator.usage is not None
    billed = translator.usage if is_believed else Usage(7, 0, 0, 3, 0)

    _, last, end = events_of(begun + translator.closing(billed))

    shown = (last["usage"]["input_tokens"], last["usage"]["output_tokens"])
    assert shown == ((90_000_000, 5) if is_believed else (7, 3))
    assert last["delta"] == delta
    assert end["type"] == "message_stop"


@pytest.mark.parametrize("speaks", [NativeMessages(), Anthropic()])
def test_a_whole_document_comes_in_one_event(speaks: NativeMessages | Anthropic) -> None:
    found = {"type": "document", "source": {"type": "base64", "data": "A" * 5_000_000}}
    block = {"type": "web_fetch_tool_result", "tool_use_id": "s", "content": found}
    event = json.dumps({"type": "content_block_start", "index": 0, "content_block": block}).encode()

    (split,) = speaks.splitter().feed(b"event: content_block_start\ndata: " + event + b"\n\n")

    assert split == event


def test_a_thought_that_is_not_shown_is_output_all_the_same() -> None:
    translator = stream()
    block = {"type": "thinking", "thinking": "", "signature": ""}
    sealed = {"type": "signature_delta", "signature": "EqQB"}

    translator.feed(json.dumps({"type": "content_block_start", "index": 0, "content_block": block}).encode())
    was_output = translator.has_output
    translator.feed(json.dumps({"type": "content_block_delta", "index": 0, "delta": sealed}).encode())

    assert not was_output
    assert translator.has_output


def _message() -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-real-name",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"[]",
        b'{"type":"error","error":{"type":"overloaded_error"}}',
        b'{"type":"content_block_delta"}',
        b'{"type":"message_start"}',
        b'{"type":"a\\nb"}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_a_bad_answer(event: bytes) -> None:
    with pytest.raises(BadAnswer):
        stream().feed(event)
    with pytest.raises(BadAnswer):
        NativeMessages().answer(event, attempt(model=model("claude")))


@given(st.lists(st.binary(max_size=50)))
def test_no_bytes_do_more_than_a_bad_answer(events: list[bytes]) -> None:
    translator = stream()
    for event in events:
        with contextlib.suppress(BadAnswer):
            translator.feed(event)

    assert not translator.is_done
