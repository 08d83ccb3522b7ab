"""The adapter of OpenAI's Responses protocol: what it writes, and what it makes of what real providers sent."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import Raw

from catalog.pricing import Usage
from gateway import form as f
from gateway.errors import InvalidRequest, UpstreamError
from gateway.events import (
    Began,
    Cited,
    Done,
    Event,
    Finished,
    RefusalDelta,
    Reported,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSealed,
    ToolBegan,
    ToolDelta,
)
from gateway.formats.responses import Responses
from gateway.passages.native_responses import NativeResponses
from gateway.passages.translation import Translation
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.openai_responses import OpenAIResponses
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.junk import spoilt
from tests.gateway.upstreams import recordings

ADAPTER = OpenAIResponses()
RECORDED = ("openai-responses/*.json", "deepseek/*-responses-*.json")
EMPTY = f.Form([])
HELLO = f.Message("user", [f.Text("hi")])


def sent(form: f.Form, provider: str = "openai", **fields: Any) -> dict[str, Any]:
    to = channel(provider, "openai_responses")
    body: dict[str, Any] = json.loads(ADAPTER.prepare(form, attempt(channel=to, **fields)).body)
    return body


def dropped(form: f.Form, **fields: Any) -> tuple[str, ...]:
    return ADAPTER.prepare(form, attempt(channel=channel("openai", "openai_responses"), **fields)).dropped


def read(events: list[dict[str, Any]]) -> list[Event]:
    reader = ADAPTER.reader(EMPTY)
    return [event for each in events for event in reader.feed(json.dumps(each).encode())]


def test_servers_that_may_stream_unasked_are_told_not_to() -> None:
    assert "stream" not in sent(f.Form([HELLO]))
    assert sent(f.Form([HELLO]), "vllm")["stream"] is False
    assert sent(f.Form([HELLO], is_stream=True), "vllm")["stream"] is True


def test_nothing_is_kept_upstream_and_thoughts_come_back_sealed() -> None:
    body = sent(f.Form([HELLO], is_stream=True))

    assert body == {
        "model": "upstream/name",
        "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "include": ["reasoning.encrypted_content"],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    assert "include" not in sent(f.Form([HELLO]), model=model(capabilities=frozenset({"streaming"})))
    assert "stream_options" not in sent(f.Form([HELLO], is_stream=True), "deepseek")


def test_a_result_that_is_an_error_says_so() -> None:
    results = [f.ToolResult("c1", [f.Text(text)], is_error=True) for text in ("no such file", "Error: 5")]

    items = sent(f.Form([HELLO, f.Message("user", [*results])]))["input"][1:]

    assert [item["output"] for item in items] == ["Error: no such file", "Error: 5"]


def test_a_conversation_with_everything_is_written() -> None:
    body = sent(
        f.Form(
            [
                f.Message("system", [f.Text("Be kind."), f.Text("Be brief.")]),
                f.Message(
                    "user", [f.Text("See"), f.Image(data="cA==", media_type="image/png", detail="low")]
                ),
                f.Message(
                    "user",
                    [f.File(data="cA==", media_type="application/pdf"), f.File(text="plain", name="Notes")],
                ),
                f.Message(
                    "assistant",
                    [
                        f.Thinking("hm", "sealed", origin="responses", id="rs_1"),
                        f.Thinking("no", "sig", origin="anthropic"),
                        f.Text("Looking.", phase="commentary"),
                        f.ToolCall("c1", "look", "{}"),
                        f.ToolCall("c2", "patch", "x", is_custom=True),
                        f.Foreign(
                            "responses", "web_search_call", Raw(b'{"type":"web_search_call","id":"ws_1"}')
                        ),
                        f.Refusal("No."),
                    ],
                ),
                f.Message(
                    "user",
                    [
                        f.ToolResult("c1", [f.Text("seen"), f.Text("twice")]),
                        f.ToolResult("c2", [f.Image(url="https://a.example/p.png")], is_custom=True),
                    ],
                ),
                f.Message("system", [f.Text("Now answer.")]),
            ]
        )
    )

    assert body["instructions"] == "Be kind.\n\nBe brief."
    see, files, thought, looking, call, custom, search, refusal, result, custom_result, later = body["input"]
    assert see["content"][1] == {
        "type": "input_image",
        "image_url": "data:image/png;base64,cA==",
        "detail": "low",
    }
    assert files["content"] == [
        {
            "type": "input_file",
            "filename": "document.pdf",
            "file_data": "data:application/pdf;base64,cA==",
        },
        {"type": "input_text", "text": "Notes:\nplain"},
    ]
    assert thought == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "sealed",
    }
    assert (looking["role"], looking["phase"], looking["content"][0]["text"]) == (
        "assistant",
        "commentary",
        "Looking.",
    )
    assert call == {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    assert custom == {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"}
    assert search == {"type": "web_search_call", "id": "ws_1"}
    assert refusal["content"] == [{"type": "refusal", "refusal": "No."}]
    assert result == {"type": "function_call_output", "call_id": "c1", "output": "seen\ntwice"}
    assert custom_result["type"] == "custom_tool_call_output"
    assert custom_result["output"][0]["image_url"] == "https://a.example/p.png"
    assert later["role"] == "developer"


def test_tools_and_the_choice_among_them_are_written() -> None:
    tools: list[f.Tool] = [
        f.FunctionTool("look", "Looks.", Raw(b'{"type":"object"}'), strict=True),
        f.FunctionTool("find", namespace="crm"),
        f.CustomTool(
            "patch", "Patches.", Raw(b'{"type":"grammar","grammar":{"syntax":"lark","definition":"s"}}')
        ),
        f.WebSearch(allowed_domains=["a.example"], context_size="low", location={"country": "US"}),
    ]

    body = sent(
        f.Form([HELLO], tools=tools, tool_choice=f.ToolChoice("required", ["look"]), max_tool_calls=2)
    )

    look, patch, search, crm = body["tools"]
    assert look == {
        "type": "function",
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object"},
        "strict": True,
    }
    assert patch["format"] == {"type": "grammar", "syntax": "lark", "definition": "s"}
    assert search == {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.example"]},
        "search_context_size": "low",
        "user_location": {"type": "approximate", "country": "US"},
    }
    assert (crm["type"], crm["name"], crm["tools"][0]["name"]) == ("namespace", "crm", "find")
    assert body["tool_choice"] == {"type": "function", "name": "look"}
    assert body["max_tool_calls"] == 2
    for choice, written in (
        (f.ToolChoice("required"), "required"),
        (f.ToolChoice("required", ["web_search"]), {"type": "web_search"}),
        (f.ToolChoice("required", ["patch"]), {"type": "custom", "name": "patch"}),
        (
            f.ToolChoice("auto", ["look", "patch"]),
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "look"}, {"type": "custom", "name": "patch"}],
            },
        ),
    ):
        assert sent(f.Form([HELLO], tools=tools, tool_choice=choice))["tool_choice"] == written


def test_tools_that_a_model_does_not_offer_are_left_out_by_name_or_refused() -> None:
    tools: list[f.Tool] = [
        f.FunctionTool("look"),
        f.WebSearch(),
        f.ForeignTool("anthropic", "bash", Raw(b"{}")),
        f.CustomTool("patch"),
    ]
    plain = model(capabilities=frozenset({"tools"}))

    form = f.Form([HELLO], tools=tools)
    assert [tool["name"] for tool in sent(form, "deepseek", model=plain)["tools"]] == ["look", "patch"]
    assert sent(form, "deepseek", model=plain)["tools"][1]["parameters"]["required"] == ["input"]
    assert dropped(form, model=plain) == ("tools.web_search", "tools.bash")
    for name, field in (("web_search", "web_search"), ("bash", "tools")):
        with pytest.raises(CannotExpress) as refused:
            sent(f.Form([HELLO], tools=tools, tool_choice=f.ToolChoice("required", [name])), model=plain)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("reasoning", "traits", "written"),
    [
        (f.Reasoning(effort="low", summary="auto"), (), {"effort": "low", "summary": "auto"}),
        (f.Reasoning(is_enabled=True, budget_tokens=2_000), (), {"effort": "low", "summary": "auto"}),
        (f.Reasoning(budget_tokens=30_000), (), {"effort": "high"}),
        (f.Reasoning(is_enabled=False), (), {"effort": "none"}),
        (f.Reasoning(is_enabled=False), ("always_reasons",), None),
        (f.Reasoning(), (), None),
    ],
)
def test_how_much_is_thought_is_written_as_effort(reasoning: f.Reasoning, traits: Any, written: Any) -> None:
    to = model(traits=frozenset(traits))

    assert sent(f.Form([HELLO], reasoning=reasoning), model=to).get("reasoning") == written


def test_what_only_tunes_is_left_out_by_name() -> None:
    form = f.Form(
        [HELLO],
        seed=1,
        top_k=3,
        temperature=0.5,
        top_p=0.5,
        metadata={"a": "b"},
        reasoning=f.Reasoning(effort="low"),
    )
    to = model(traits=frozenset({"no_sampling"}), capabilities=frozenset())

    assert set(dropped(form, model=to)) == {"seed", "top_k", "temperature", "top_p", "metadata", "reasoning"}
    assert sent(form)["temperature"] == 0.5
    assert sent(f.Form([HELLO]), output_bound=5)["max_output_tokens"] == 16
    assert sent(f.Form([HELLO]), output_bound=500)["max_output_tokens"] == 500


def test_the_shape_of_the_text_is_written() -> None:
    shape = f.ResponseFormat("json_schema", "n", Raw(b'{"type":"object"}'), "d", strict=True)

    assert sent(f.Form([HELLO], response_format=shape, verbosity="low"))["text"] == {
        "format": {
            "type": "json_schema",
            "name": "n",
            "description": "d",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    }


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (f.Form([HELLO], stop=["x"]), "stop"),
        (f.Form([HELLO], choices=2), "choices"),
        (f.Form([f.Message("user", [f.Audio("cA==", "wav")])]), "messages"),
    ],
)
def test_what_would_change_the_answer_is_refused(form: f.Form, field: str) -> None:
    with pytest.raises(CannotExpress) as refused:
        sent(form)

    assert refused.value.field == field


def test_a_stream_that_only_tells_what_is_done_is_read_whole() -> None:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "hm"}], "encrypted_content": "sealed"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch", "input": "x"},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "queries": ["q"]}},
        {"type": "web_search_call", "id": "ws_2", "action": {"type": "open_page", "url": "u"}},
    ]
    usage = {
        "input_tokens": 9,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens_details": {"reasoning_tokens": 3},
    }

    events = read(
        [{"type": "response.created", "response": {"id": "resp_1", "created_at": 7.5}}]
        + [
            {"type": "response.output_item.done", "output_index": place, "item": item}
            for place, item in enumerate(output)
        ]
        + [
            {"type": "response.output_text.done", "output_index": 4, "text": "all"},
            {"type": "response.refusal.done", "output_index": 5, "refusal": "No."},
            {
                "type": "response.completed",
                "response": {"status": "completed", "output": output, "usage": usage},
            },
            {"type": "response.output_text.delta", "output_index": 6, "delta": "after the end"},
        ]
    )

    assert events == [
        Began("resp_1", 7),
        ThinkingDelta("hm"),
        ThinkingSealed("sealed", "responses", id="rs_1"),
        ToolBegan(0, "c1", "patch", is_custom=True),
        ToolDelta(0, "x"),
        Searched("ws_1", "q"),
        TextDelta("all"),
        RefusalDelta("No."),
        Reported(Usage(9, 4, 2, 5, 3, searches=1)),
        Finished("tool_calls"),
        Done(),
    ]


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("steered", "length"),
        (None, "length"),
    ],
)
def test_an_incomplete_answer_says_why(why: str | None, reason: str) -> None:
    end = {"status": "incomplete", "incomplete_details": {"reason": why}, "output": []}
    finished = [
        event
        for event in read([{"type": "response.incomplete", "response": end}])
        if isinstance(event, Finished)
    ]

    assert [event.reason for event in finished] == [reason]
    assert ADAPTER.answer(json.dumps(end).encode(), EMPTY).choices[0].reason == reason


def test_sources_count_from_the_beginning_of_the_answer() -> None:
    added = {"type": "response.output_item.added", "item": {"type": "message"}}
    source = {"type": "url_citation", "url": "https://a.example", "start_index": 0, "end_index": 3}
    cited = {"type": "response.output_text.annotation.added", "annotation": source}
    text = {"type": "response.output_text.delta"}

    events = read(
        [
            added,
            text | {"delta": "one"},
            cited,
            added | {"output_index": 1},
            text | {"delta": "two", "output_index": 1},
            cited | {"output_index": 1},
        ]
    )

    assert [(event.start, event.end) for event in events if isinstance(event, Cited)] == [(0, 3), (3, 6)]


@pytest.mark.parametrize(
    "event",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"type":7}',
        b'{"type":"error","message":"x"}',
        b'{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}',
        b'{"type":"response.completed","response":[]}',
        b'{"type":"response.output_item.done","item":{"type":"message","content":7}}',
        b"[" * 100_000,
    ],
)
def test_an_error_or_nonsense_inside_a_stream_is_noticed(event: bytes) -> None:
    with pytest.raises(BadAnswer):
        ADAPTER.reader(EMPTY).feed(event)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"status":"failed","error":{"code":"x"}}',
        b'{"status":"in_progress"}',
        b"\xff",
    ],
)
def test_nonsense_for_an_answer_is_noticed(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        ADAPTER.answer(body, EMPTY)


@pytest.mark.parametrize(
    "event", [{"type": "response.audio.delta", "delta": "x"}, {"type": "response.new_thing"}]
)
def test_what_is_unknown_is_passed_over(event: dict[str, Any]) -> None:
    assert read([event]) == []


def test_reports_beyond_any_model_are_none() -> None:
    for usage in ({"input_tokens": -1, "output_tokens": 1}, {"input_tokens": 10**12, "output_tokens": 1}, {}):
        body = {"status": "completed", "output": [], "usage": usage}
        assert ADAPTER.answer(json.dumps(body).encode(), EMPTY).usage is None


# Recorded traffic.


def told(response: dict[str, Any]) -> tuple[str, str, list[Any], list[str]]:
    """Return text, thoughts, calls and seals of a recorded response."""
    text = thoughts = ""
    calls: list[Any] = []
    seals: list[str] = []
    for item in response["output"]:
        if item["type"] == "message":
            text += "".join(part.get("text", "") for part in item["content"])
        elif item["type"] == "reasoning":
            thoughts += "".join(part["text"] for part in item["summary"] or item.get("content") or ())
            seals += [item["encrypted_content"]] if item.get("encrypted_content") else []
        elif item["type"] == "function_call":
            calls.append([item["call_id"], item["name"], item["arguments"]])
    return text, thoughts, calls, seals


def told_by(events: list[Event]) -> tuple[str, str, list[Any], list[str]]:
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thoughts = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    calls = [[event.id, event.name, ""] for event in events if isinstance(event, ToolBegan)]
    for event in events:
        if isinstance(event, ToolDelta):
            calls[event.key][2] += event.arguments
    return text, thoughts, calls, [event.seal for event in events if isinstance(event, ThinkingSealed)]


def usage_in(response: dict[str, Any]) -> tuple[int, int, int, int]:
    usage = response["usage"]
    return (
        usage["input_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
    )


def as_tuple(usage: Usage | None) -> tuple[int, int, int, int]:
    assert usage is not None
    return usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens


def recorded(kind: type | None = None) -> list[Any]:
    """Return the recordings, or those that were answered by a stream (``str``) or whole (``dict``)."""
    found = [each for pattern in RECORDED for each in recordings.recorded(pattern)]
    return [
        each
        for each in found
        if kind is None or (isinstance(each.values[0]["response"], kind) and each.values[0]["status"] == 200)
    ]


@recordings.needed
@pytest.mark.parametrize("recording", recorded(str))
@pytest.mark.parametrize("piece", [1, 37, 1 << 20])
def test_a_recorded_stream_says_what_its_last_event_sums_up(recording: dict[str, Any], piece: int) -> None:
    splitter, reader = ADAPTER.splitter(), ADAPTER.reader(EMPTY)
    raw = recording["response"].encode()
    data = [each for at in range(0, len(raw), piece) for each in splitter.feed(raw[at : at + piece])]
    events = [event for each in data + splitter.finish() for event in reader.feed(each)]
    last = next(
        json.loads(each)["response"] for each in data if each.startswith(b'{"type":"response.completed"')
    )

    text, thoughts, calls, seals = told_by(events)
    assert (text, thoughts, calls) == told(last)[:3]
    assert len(seals) == len(told(last)[3])
    (report,) = [event.usage for event in events if isinstance(event, Reported)]
    assert as_tuple(report) == usage_in(last)
    (finished,) = [event.reason for event in events if isinstance(event, Finished)]
    assert finished == ("tool_calls" if calls else "stop")
    assert events[-1] == Done()


@recordings.needed
@pytest.mark.parametrize("recording", recorded(dict))
def test_a_recorded_answer_keeps_its_text_calls_and_usage(recording: dict[str, Any]) -> None:
    response = recording["response"]
    if response["status"] != "completed":
        with pytest.raises(BadAnswer):
            ADAPTER.answer(json.dumps(response).encode(), EMPTY)
        return
    result = ADAPTER.answer(json.dumps(response).encode(), EMPTY)

    (choice,) = result.choices
    text, thoughts, calls, seals = told(response)
    assert "".join(part.text for part in choice.parts if isinstance(part, f.Text)) == text
    thinking = [part for part in choice.parts if isinstance(part, f.Thinking)]
    assert "".join(part.text for part in thinking).replace("\n\n", "") == thoughts.replace("\n\n", "")
    assert [part.seal for part in thinking if part.seal] == seals
    assert [[p.id, p.name, p.arguments] for p in choice.parts if isinstance(p, f.ToolCall)] == calls
    assert as_tuple(result.usage) == usage_in(response)
    assert choice.reason == ("tool_calls" if calls else "stop")


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a request means, whatever its spelling."""
    said: list[Any] = []
    if body.get("instructions"):
        said.append(["system", body["instructions"]])
    for item in body["input"]:
        said += _said(item)
    shape = (body.get("text") or {}).get("format") or {"type": "text"}
    return {
        "said": said,
        "tools": [tool | {"description": tool.get("description") or ""} for tool in body.get("tools") or ()],
        "choice": body.get("tool_choice") or "auto",
        "format": {key: value for key, value in shape.items() if value is not None},
        "effort": (body.get("reasoning") or {}).get("effort"),
        "stream": bool(body.get("stream")),
    }


def _said(item: dict[str, Any]) -> list[Any]:
    match item.get("type", "message"):
        case "message":
            role, content = item["role"].replace("developer", "system"), item["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            kinds = ("text", "file_url", "file_data", "image_url")
            return [[role, next(part[kind] for kind in kinds if kind in part)] for part in parts]
        case "reasoning":
            text = "\n\n".join(part["text"] for part in item.get("content") or item["summary"])
            return [["thought", item.get("encrypted_content") or text]]
        case "function_call":
            return [["call", item["call_id"], item["name"], item["arguments"]]]
        case "function_call_output":
            return [["result", item["call_id"], item["output"]]]
        case kind:
            return [[kind, item]]


REFUSED = {"conversation", "moderation"}


@recordings.needed
@pytest.mark.parametrize("recording", recorded())
def test_a_recorded_request_is_written_back_with_the_same_meaning(recording: dict[str, Any]) -> None:
    request = recording["request"]
    is_odd = request.get("temperature") == -1 or request.get("service_tier") == "flex"
    if REFUSED & request.keys() or is_odd:
        with pytest.raises(InvalidRequest):
            ask(Responses(), request)
        return
    if any(tool["type"] == "file_search" for tool in request.get("tools", ())):
        # A tool of OpenAI's alone: kept as it was written.
        assert sent(ask(Responses(), request).form())["tools"] == request["tools"]
        return
    provider = "deepseek" if "deepseek" in recording["endpoint"] else "openai"

    assert meaning(sent(ask(Responses(), request).form(), provider)) == meaning(request)


OUTPUT: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "x",
    },
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "queries": ["q"]},
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": "So.",
                "annotations": [
                    {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
                ],
                "logprobs": [{"token": "So", "logprob": -1, "bytes": [1], "top_logprobs": []}],
            }
        ],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c1",
        "name": "look",
        "arguments": "{}",
        "status": "completed",
    },
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "x"},
]
WHOLE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "status": "completed",
    "model": "m",
    "output": OUTPUT,
    "usage": {
        "input_tokens": 9,
        "output_tokens": 5,
        "total_tokens": 14,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 3},
    },
}
TEXT = {"output_index": 2, "content_index": 0, "item_id": "msg_1"}
STREAM: list[dict[str, Any]] = [
    {"type": "response.created", "response": WHOLE | {"output": [], "usage": None, "status": "in_progress"}},
    *(
        {"type": f"response.output_item.{when}", "output_index": place, "item": item}
        for when in ("added", "done")
        for place, item in enumerate(OUTPUT)
    ),
    {"type": "response.output_text.delta", "delta": "So.", "logprobs": [], **TEXT},
    {
        "type": "response.output_text.annotation.added",
        "annotation": OUTPUT[2]["content"][0]["annotations"][0],
        **TEXT,
    },
    {"type": "response.function_call_arguments.delta", "output_index": 3, "item_id": "fc_1", "delta": "{}"},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "hm"},
    {"type": "response.completed", "response": WHOLE},
]


@settings(max_examples=200, deadline=None)
@given(spoilt(WHOLE))
def test_an_answer_that_is_wrong_somewhere_is_read_or_noticed(body: Any) -> None:
    at = attempt(ask(Responses(), {"model": "m", "input": "hi"}))
    raw = json.dumps(body).encode()
    for read_it in (
        lambda: Responses().render(ADAPTER.answer(raw, EMPTY), Usage(1, 0, 0, 1, 0), at),
        lambda: NativeResponses().answer(raw, at),
    ):
        with contextlib.suppress(BadAnswer):
            read_it()


@settings(max_examples=200, deadline=None)
@given(spoilt(STREAM))
def test_a_stream_that_is_wrong_somewhere_is_read_or_noticed(events: Any) -> None:
    at = attempt(ask(Responses(), {"model": "m", "input": "hi", "stream": True}))
    for stream in (NativeResponses().stream(at), Translation(Responses(), ADAPTER).stream(at)):
        with contextlib.suppress(BadAnswer):
            for event in events if isinstance(events, list) else [events]:
                stream.feed(json.dumps(event).encode())
        if stream.is_done:
            stream.closing(Usage(1, 0, 0, 1, 0))
        else:
            stream.cut(Usage(1, 0, 0, 1, 0))
        stream.failure(UpstreamError("broke"))


@pytest.mark.parametrize(
    ("action", "searches"),
    [
        ({"type": "search", "query": "x"}, 1),
        ({"type": "open_page", "url": "https://a.example"}, 0),
        (None, 1),
    ],
)
def test_a_search_is_billed_and_a_page_is_not(action: dict[str, Any] | None, searches: int) -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ho"}]}
    usage = {"input_tokens": 3, "output_tokens": 2}
    body = {"id": "resp_1", "status": "completed", "output": [search, said], "usage": usage}

    reported = ADAPTER.answer(json.dumps(body).encode(), EMPTY).usage

    assert reported == Usage(3, 0, 0, 2, 0, searches=searches)


def test_a_schema_is_not_made_strict_unasked() -> None:
    look = f.FunctionTool("look", "", Raw(b'{"type":"object"}'))

    (tool,) = sent(f.Form([HELLO], tools=[look]))["tools"]

    assert tool["strict"] is False
