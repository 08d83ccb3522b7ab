"""The OpenAI adapter forwards what was parsed, reads usage of every dialect, and hides what is ours."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway.errors import UpstreamError
from gateway.formats.chat import Chat
from gateway.passages.native_chat import NativeChat
from gateway.passages.native_chat_stream import NativeChatStream
from gateway.upstreams.base import BadAnswer
from gateway.upstreams.sse import EventSplitter
from tests.gateway.attempts import ask, attempt, channel

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
PASSAGE = NativeChat()


def prepared(
    body: dict[str, Any], *, provider: str = "deepseek", output_bound: int | None = None
) -> dict[str, Any]:
    asked = ask(Chat(), {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]} | body)
    to = channel(provider)
    sent: dict[str, Any] = json.loads(
        PASSAGE.prepare(attempt(asked, channel=to, output_bound=output_bound)).body
    )
    return sent


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion.chunk",
            "created": 7,
            "model": "upstream/name",
            "choices": choices,
        }
        | more,
        separators=(",", ":"),
    ).encode()


def sent_on(raw: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in raw.decode().split("\n\n") if line and line != "data: [DONE]"]


def stream(*, wants_usage: bool = False) -> NativeChatStream:
    options = {"stream": True, "stream_options": {"include_usage": wants_usage}}
    translator = PASSAGE.stream(attempt(ask(Chat(), HELLO | options)))
    assert isinstance(translator, NativeChatStream)
    return translator


def test_the_upstream_gets_its_own_model_name_and_none_of_our_private_fields() -> None:
    sent = prepared(
        {"metadata": {"a": "b"}, "service_tier": "auto", "store": False, "temperature": 0.5, "seed": 3},
        provider="own",
    )

    assert sent == {
        "model": "upstream/name",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "seed": 3,
    }


def test_a_key_that_stands_twice_is_forwarded_as_it_was_priced() -> None:
    asked = Chat().parse(
        b'{"model":"a","model":"b","max_tokens":9,"max_tokens":1,"messages":[{"role":"user","content":"x"}]}',
        {},
    )

    sent = PASSAGE.prepare(attempt(asked)).body

    assert sent.count(b'"max_tokens"') == 1
    assert sent.count(b'"model"') == 1
    assert json.loads(sent)["max_tokens"] == asked.explicit_max


def test_usage_is_always_asked_for_and_padding_only_where_it_is_known() -> None:
    assert prepared({"stream": True})["stream_options"] == {"include_usage": True}
    for provider in ("openai", "sandbox"):
        assert prepared({"stream": True}, provider=provider)["stream_options"] == {
            "include_usage": True,
            "include_obfuscation": False,
        }
    assert "stream_options" not in prepared({})


def test_a_developers_machine_searches_as_openai_does() -> None:
    assert prepared({"web_search_options": {}}, provider="sandbox")["web_search_options"] == {}


@pytest.mark.parametrize(
    ("body", "provider", "name"),
    [
        ({}, "openai", "max_completion_tokens"),
        ({}, "deepseek", "max_tokens"),
    ],
)
def test_our_bound_replaces_the_callers_under_the_name_that_the_upstream_knows(
    body: dict[str, Any], provider: str, name: str
) -> None:
    sent = prepared(body, provider=provider, output_bound=77)

    assert {key: value for key, value in sent.items() if key.startswith("max_")} == {name: 77}


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}, Usage(10, 0, 0, 4, 0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(10, 6, 2, 4, 3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 5}, Usage(10, 5, 0, 4, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 50}, Usage(10, 0, 0, 40, 0)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 0,
                "prompt_tokens_details": {"cache_creation_input_tokens": 4},
            },
            Usage(10, 0, 4, 0, 0),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 4}, None),
        (None, None),
    ],
    ids=["plain", "openai", "deepseek", "gemini thoughts", "qwen", "negative", "none"],
)
def test_usage_of_every_dialect_becomes_one_record(
    reported: dict[str, Any] | None, usage: Usage | None
) -> None:
    body = {"id": "c1", "model": "x", "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}

    answer = PASSAGE.answer(json.dumps(body | {"usage": reported}).encode(), attempt())

    assert answer.usage == usage
    assert json.loads(answer.body)["model"] == "gpt-4o"
    assert (answer.finish_reason, answer.has_output, answer.upstream_id) == ("stop", True, "c1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":[]}',
        b'{"error":{"message":"x"},"choices":[]}',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        PASSAGE.answer(body, attempt())


def test_chunks_pass_with_our_model_name_and_without_usage() -> None:
    translator = stream()

    first = translator.feed(chunk({"role": "assistant", "content": ""}, usage=None))
    text = translator.feed(chunk({"content": 'say "model":"upstream/name"'}, usage=None))

    assert sent_on(first)[0]["model"] == "gpt-4o"
    assert "usage" not in sent_on(first)[0]
    assert sent_on(text)[0]["choices"][0]["delta"]["content"] == 'say "model":"upstream/name"'
    assert translator.has_output
    assert translator.upstream_id == "c1"


def test_a_chunk_that_only_goes_on_passes_byte_for_byte_but_for_its_models_name() -> None:
    translator = stream()
    first, second = (chunk({"content": text}, theirs=0) for text in "ab")
    # Written anew, this number would look otherwise.
    odd = second.replace(b'"theirs":0', b'"theirs":1.50e2')
    translator.feed(first)

    assert translator.feed(odd) == b"data: " + odd.replace(b"upstream/name", b"gpt-4o") + b"\n\n"


def test_usage_goes_out_last_and_only_to_those_who_asked() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    for wants_usage in (True, False):
        translator = stream(wants_usage=wants_usage)
        translator.feed(chunk({"content": "hi"}))

        inline = translator.feed(chunk({}, "stop", usage=usage))
        assert sent_on(inline)[0]["choices"][0]["finish_reason"] == "stop"
        assert "usage" not in sent_on(inline)[0]
        assert translator.feed(chunk(usage=usage)) == b""
        assert translator.feed(b"[DONE]") == b""

        assert translator.usage == Usage(3, 0, 0, 2, 0)
        closing = translator.closing(translator.usage)
        assert closing.endswith(b"data: [DONE]\n\n")
        assert [event.get("usage") for event in sent_on(closing)] == ([usage] if wants_usage else [])


def test_tool_calls_without_an_index_get_one() -> None:
    calls = [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}, {"id": "t2"}]

    out = stream().feed(chunk({"tool_calls": calls}))

    assert [call["index"] for call in sent_on(out)[0]["choices"][0]["delta"]["tool_calls"]] == [0, 1]


@pytest.mark.parametrize("event", [b"{", b"null", b'{"error":{"message":"overloaded"}}', b'{"choices":7}'])
def test_an_error_or_nonsense_inside_a_stream_is_noticed(event: bytes) -> None:
    with pytest.raises(BadAnswer):
        stream().feed(event)


def test_output_is_estimated_from_the_text() -> None:
    translator = stream()
    for text in ("four", "four", "12345678", "漢字"):
        translator.feed(chunk({"content": text}))

    assert translator.output_tokens == 1 + 1 + 2 + 2


def test_a_cut_ends_with_length_and_a_failure_never_ends_cleanly() -> None:
    translator = stream(wants_usage=True)
    translator.feed(chunk({"content": "hi"}))

    last, usage = sent_on(translator.cut(Usage(3, 0, 0, 1, 0)))
    failure = translator.failure(UpstreamError("broke"))

    assert last["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["total_tokens"] == 4
    assert sent_on(failure)[0]["error"]["code"] == "upstream_error"
    assert b"[DONE]" not in failure


def test_a_complaint_keeps_its_meaning_and_loses_our_secrets() -> None:
    text = (
        "Bad 'temperature' for sk-secret-of-ours-123456, see https://internal.example/x. Bearer abc org-123"
    )
    body = json.dumps({"error": {"message": text, "param": "temperature"}}).encode()

    message, param = PASSAGE.complaint(body, channel())

    assert param == "temperature"
    assert message.startswith("Bad 'temperature' for [removed]")
    for secret in ("sk-secret", "internal.example", "abc", "org-123"):
        assert secret not in message
    assert PASSAGE.complaint(b"<html>", channel())[1] is None


def test_a_stream_of_two_choices_ends_with_the_second_one() -> None:
    def of(index: int, text: str | None, finish: str | None = None) -> bytes:
        delta = {} if text is None else {"content": text}
        return json.dumps(
            {
                "id": "c1",
                "created": 7,
                "model": "m",
                "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
            }
        ).encode()

    translator = stream()
    for event in (of(0, "a"), of(1, "b"), of(0, None, "stop")):
        translator.feed(event)
    assert translator.finish_reason == ""
    cut = sent_on(translator.cut(Usage(3, 0, 0, 2, 0)))
    assert [(choice["index"], choice["finish_reason"]) for choice in cut[0]["choices"]] == [(1, "length")]

    translator.feed(of(1, None, "length"))
    assert translator.finish_reason == "length"


def test_an_empty_delta_beside_the_usage_does_not_open_an_ended_choice_again() -> None:
    translator = stream()
    translator.feed(chunk({"content": "hi"}))
    translator.feed(chunk({"content": ""}, "stop"))

    translator.feed(chunk({"content": ""}, usage={"prompt_tokens": 3, "completion_tokens": 2}))

    assert translator.finish_reason == "stop"
    assert translator.usage == Usage(3, 0, 0, 2, 0)


def test_thinking_in_parts_becomes_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]

    (event,) = sent_on(stream().feed(chunk({"content": parts})))

    assert event["choices"][0]["delta"] == {"content": "", "reasoning_content": "hmm"}


# Recorded traffic of real providers, where it lies beside the checkout.
RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings"


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no folder with recorded provider traffic")
def test_every_recorded_stream_of_openais_format_is_read_to_its_end_or_its_error() -> None:
    read = 0
    for path in sorted(RECORDINGS.glob("*/*.stream.json")):
        recorded = json.loads(path.read_text(encoding="utf-8"))
        if not recorded["endpoint"].endswith("/chat/completions") or recorded["status"] != 200:
            continue
        splitter, translator = EventSplitter(), stream(wants_usage=True)
        events = splitter.feed(recorded["response"].encode()) + splitter.finish()
        is_error = any(b'"error":' in event for event in events)
        with pytest.raises(BadAnswer) if is_error else contextlib.nullcontext():
            for event in events:
                translator.feed(event)
        if not is_error:
            assert translator.finish_reason, path.name
            assert translator.usage is not None, path.name
            read += 1

    assert read > 5


@pytest.mark.parametrize(
    ("error", "is_ours"),
    [
        ({"message": "You exceeded your current quota", "code": "insufficient_quota"}, True),
        ({"message": "x", "type": "billing_error"}, True),
        (
            {"message": "Your credit balance is too low to access the API.", "type": "invalid_request_error"},
            True,
        ),
        ({"message": "Invalid value: 'Your credit balance is too low'", "code": "invalid_request"}, False),
        ({"message": "Rate limit reached", "code": "rate_limit_exceeded"}, False),
        ({"message": None, "code": {}}, False),
        ("nonsense", False),
    ],
)
def test_an_empty_account_of_ours_is_told_from_a_callers_mistake(error: Any, *, is_ours: bool) -> None:
    assert PASSAGE.blames_our_account(json.dumps({"error": error}).encode()) is is_ours


def through(*deltas: dict[str, Any], provider: str = "own", finish: str = "stop") -> tuple[list[Any], str]:
    """Return what a client gets of a stream that ends with a reason, and the reason that is kept."""
    translator = PASSAGE.stream(attempt(ask(Chat(), HELLO | {"stream": True}), channel=channel(provider)))
    told = b"".join([translator.feed(chunk(each)) for each in deltas]) + translator.feed(chunk({}, finish))
    return [event["choices"][0] for event in sent_on(told)], translator.finish_reason


def call(name: str, **index: int) -> dict[str, Any]:
    return {"tool_calls": [{"id": f"id_{name}", "function": {"name": name, "arguments": "{}"}, **index}]}


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_calls_that_are_numbered_alike_or_not_at_all_are_told_apart(index: dict[str, int]) -> None:
    choices, reason = through(call("a", **index), call("b", **index))

    assert [each["delta"]["tool_calls"][0]["index"] for each in choices[:2]] == [0, 1]
    assert (choices[-1]["finish_reason"], reason) == ("tool_calls", "tool_calls")


@pytest.mark.parametrize(
    ("said", "meant"), [("eos", "stop"), ("model_length", "length"), ("sensitive", "content_filter")]
)
def test_a_reason_to_end_in_other_words_becomes_openais(said: str, meant: str) -> None:
    choices, reason = through({"content": "a"}, finish=said)

    assert (choices[-1]["finish_reason"], reason) == (meant, meant)


def test_openais_own_words_stay() -> None:
    choices, _ = through(call("a", index=0), provider="openai")

    assert choices[-1]["finish_reason"] == "stop"


def test_a_reason_that_means_failure_is_no_end() -> None:
    with pytest.raises(BadAnswer):
        through({"content": "a"}, finish="insufficient_system_resource")


def test_what_another_gateway_charges_us_is_not_shown() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.1, "cost_details": {}}
    body = {"id": "c", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}

    answer = PASSAGE.answer(json.dumps(body).encode(), attempt(channel=channel("openrouter")))

    assert json.loads(answer.body)["usage"] == {key: usage[key] for key in list(usage)[:3]}


def test_mistrals_thoughts_reach_a_client_as_text() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]}]
    said = HELLO | {"stream": True}
    translator = PASSAGE.stream(attempt(ask(Chat(), said), channel=channel("mistral")))

    told = sent_on(
        translator.feed(chunk({"content": parts})) + translator.feed(chunk({"content": "yes"}, "stop"))
    )

    assert told[0]["choices"][0]["delta"]["reasoning_content"] == "hmm"
    assert told[1]["choices"][0]["delta"]["content"] == "yes"
