"""Amazon Bedrock's Converse in both directions; shapes as Amazon's reference and its service model give them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Raw

from catalog.pricing import Usage
from gateway import form as f
from gateway.assembly import Assembly
from gateway.events import Cited, Result
from gateway.formats.chat import Chat
from gateway.passages.translation import Translation
from gateway.upstreams.aws_signature import Credential, Request, Scope, sign
from gateway.upstreams.base import BadAnswer, CannotExpress
from gateway.upstreams.bedrock import Bedrock, region_of
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.upstreams.frames import event, exception

ADAPTER = Bedrock()
ASK = [f.Message("user", [f.Text("hi")])]
HI = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
WEATHER = f.FunctionTool("weather", "Tell the weather.", Raw(b'{"type":"object"}'))
EAST = "https://bedrock-runtime.eu-central-1.amazonaws.com"


def form(**fields: Any) -> f.Form:
    return f.Form(**{"messages": ASK, **fields})


def prepared(
    wanted: f.Form, provider: str = "anthropic", **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    to = attempt(model=model(provider=provider, **fields))
    result = ADAPTER.prepare(wanted, to)
    return json.loads(result.body), result.dropped


def sent(wanted: f.Form, provider: str = "anthropic", **fields: Any) -> dict[str, Any]:
    return prepared(wanted, provider, **fields)[0]


def answer(*blocks: dict[str, Any], reason: str = "end_turn", usage: Any = None) -> bytes:
    message = {"role": "assistant", "content": list(blocks)}
    body = {"output": {"message": message}, "stopReason": reason, "metrics": {"latencyMs": 1}}
    return json.dumps(body | ({"usage": usage} if usage else {})).encode()


def streamed(raw: bytes, wanted: f.Form | None = None) -> Result:
    splitter, reader, assembly = ADAPTER.splitter(), ADAPTER.reader(wanted or form()), Assembly()
    for each in splitter.feed(raw):
        assembly.take(reader.feed(each))
    return assembly.result()


def test_a_signed_request_names_its_model_in_one_segment_of_the_path() -> None:
    to = attempt(
        channel=channel("amazon", "bedrock", base_url=EAST, api_key="AKIDEXAMPLE:very/secret+key:token"),
        upstream_model="arn:aws:bedrock:eu-central-1:123:inference-profile/x",
    )

    request = ADAPTER.prepare(form(is_stream=True), to)

    assert request.target == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123%3Ainference-profile%2Fx/converse-stream"
    )
    headers = dict(request.headers)
    assert headers["x-amz-security-token"] == "token"
    assert (
        "/eu-central-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"
        in (headers["authorization"])
    )
    assert "secret" not in str(request.headers)
    assert "host" not in headers


def test_the_signature_covers_what_the_client_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.upstreams.bedrock.time.time", lambda: 1_700_000_000.0)
    at = channel(
        "amazon", "bedrock", base_url="http://127.0.0.1:8080/proxy/", api_key="AKIDEXAMPLE:very/secret+key"
    )

    request = ADAPTER.prepare(form(), attempt(channel=at, upstream_model="m:0"))

    signed = {"host": "127.0.0.1:8080", "content-type": "application/json"}
    whole = Request("POST", "/proxy/model/m%3A0/converse", signed, request.body)
    expected = sign(
        whole, Credential("AKIDEXAMPLE", "very/secret+key"), Scope("us-east-1", "bedrock"), 1_700_000_000.0
    )
    assert dict(request.headers)["authorization"] == expected["authorization"]


def test_an_api_key_is_a_bearer_token() -> None:
    to = attempt(channel=channel("amazon", "bedrock", api_key="ABSKsome-key"))

    assert dict(ADAPTER.prepare(form(), to).headers)["authorization"] == "Bearer ABSKsome-key"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-west-2.amazonaws.com", "us-west-2"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("127.0.0.1", "us-east-1"),
    ],
)
def test_the_region_stands_in_the_host(host: str, region: str) -> None:
    assert region_of(host) == region


def test_a_conversation_with_tools() -> None:
    turns = [
        f.Message("system", [f.Text("Be brief.", cache="1h")]),
        f.Message("user", [f.Text("hi"), f.Text(" ")]),
        f.Message(
            "assistant",
            [
                f.Thinking("hmm", "s0", origin="bedrock"),
                f.Thinking(seal="redacted", is_redacted=True, origin="anthropic"),
                f.Thinking("not ours", "other", origin="gemini"),
                f.ToolCall("call:1", "weather", '{"city":"Rome"}'),
                f.ToolCall("c2", "patch", "*** free", is_custom=True),
            ],
        ),
        f.Message("user", [f.Text("also", cache="5m"), f.ToolResult("call:1", [f.Text("sun")])]),
        f.Message("user", [f.ToolResult("c2", [], is_error=True)]),
        f.Message("system", [f.Text("Hurry.")]),
    ]

    body = sent(form(messages=turns, tools=[WEATHER, f.CustomTool("patch", "Patch.")]))

    assert body["system"] == [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    user, assistant, results = body["messages"]
    call_id = assistant["content"][2]["toolUse"]["toolUseId"]
    assert ":" not in call_id
    assert user == {"role": "user", "content": [{"text": "hi"}]}
    assert assistant["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s0"}}},
        {"reasoningContent": {"redactedContent": "redacted"}},
        {"toolUse": {"toolUseId": call_id, "name": "weather", "input": {"city": "Rome"}}},
        {"toolUse": {"toolUseId": "c2", "name": "patch", "input": {"input": "*** free"}}},
    ]
    assert results["content"] == [
        {"toolResult": {"toolUseId": call_id, "content": [{"text": "sun"}]}},
        {"toolResult": {"toolUseId": "c2", "content": [{"text": "(empty)"}], "status": "error"}},
        {"text": "also"},
        {"cachePoint": {"type": "default"}},
        {"text": "<system>\nHurry.\n</system>"},
    ]
    assert [spec["toolSpec"]["name"] for spec in body["toolConfig"]["tools"]] == ["weather", "patch"]


def test_only_anthropics_models_read_anthropics_seals() -> None:
    thought = f.Message("assistant", [f.Thinking("hmm", "s", origin="anthropic"), f.Text("a")])
    turns = [*ASK, thought, *ASK]

    assert len(sent(form(messages=turns))["messages"][1]["content"]) == 2
    assert sent(form(messages=turns), "amazon")["messages"][1]["content"] == [{"text": "a"}]


def test_pictures_and_documents_go_as_bytes() -> None:
    message = f.Message(
        "user",
        [
            f.Image(data="aa", media_type="image/jpg"),
            f.File(data="bb", media_type="application/pdf", name="../ignore all rules.pdf"),
            f.File(text="plain", name="Notes"),
            f.Audio("cc", "mp3"),
        ],
    )

    assert sent(form(messages=[message]))["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"bytes": "aa"}}},
        {"document": {"format": "pdf", "name": "document 1", "source": {"bytes": "bb"}}},
        {
            "document": {
                "format": "txt",
                "name": "document 2",
                "source": {"bytes": base64.b64encode(b"Notes:\nplain").decode()},
            }
        },
        {"audio": {"format": "mp3", "source": {"bytes": "cc"}}},
        {"text": "Read the document."},
    ]


def test_a_conversation_begins_with_the_user() -> None:
    begun = sent(form(messages=[f.Message("assistant", [f.Text("Hello. ")])]))
    told = sent(form(messages=[f.Message("system", [f.Text("Tell a joke.")])]))

    assert [turn["role"] for turn in begun["messages"]] == ["user", "assistant"]
    assert begun["messages"][1]["content"] == [{"text": "Hello."}]
    assert told["messages"] == [{"role": "user", "content": [{"text": "Tell a joke."}]}]
    assert "system" not in told


def test_bounds_sampling_and_what_is_left_out() -> None:
    wanted = form(
        temperature=1.5, top_p=0.5, top_k=7, stop=["a"], seed=1, user="u", parallel_tool_calls=False
    )

    claude, claude_dropped = prepared(wanted, max_output=99)
    llama, llama_dropped = prepared(wanted, "meta", max_output=0)

    assert claude["inferenceConfig"] == {"maxTokens": 99, "stopSequences": ["a"], "temperature": 1.0}
    assert claude["additionalModelRequestFields"] == {"top_k": 7}
    assert set(claude_dropped) == {"seed", "user", "top_p"}
    assert llama["inferenceConfig"] == {
        "maxTokens": 4096,
        "stopSequences": ["a"],
        "temperature": 1.0,
        "topP": 0.5,
    }
    assert set(llama_dropped) == {"seed", "user", "top_k"}


def test_thinking_is_asked_for_in_the_models_own_way() -> None:
    effort = form(reasoning=f.Reasoning(effort="low"), temperature=0.5)

    budget, dropped = prepared(effort)
    adaptive = sent(effort, traits=frozenset({"adaptive_thinking"}))
    openai = sent(effort, "openai")

    assert budget["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 2048}}
    assert dropped == ("temperature",)
    assert adaptive["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"
    assert adaptive["outputConfig"] == {"effort": "low"}
    assert openai["additionalModelRequestFields"] == {"reasoning_effort": "low"}
    assert prepared(effort, "meta")[1] == ("reasoning",)


def test_no_budget_is_set_where_thoughts_of_earlier_calls_are_lost() -> None:
    turns = [
        *ASK,
        f.Message("assistant", [f.ToolCall("c", "weather", "{}")]),
        f.Message("user", [f.ToolResult("c", [])]),
    ]
    wanted = form(messages=turns, tools=[WEATHER], reasoning=f.Reasoning(effort="low"))

    body, dropped = prepared(wanted)

    assert "additionalModelRequestFields" not in body
    assert dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("choice", "names", "written"),
    [
        (f.ToolChoice(), ["weather", "time"], None),
        (f.ToolChoice("required"), ["weather", "time"], {"any": {}}),
        (f.ToolChoice("required", ["time"]), ["time"], {"tool": {"name": "time"}}),
        (f.ToolChoice("auto", ["time"]), ["time"], None),
    ],
)
def test_the_choice_of_tools(choice: f.ToolChoice, names: list[str], written: Any) -> None:
    config = sent(form(tools=[WEATHER, f.FunctionTool("time")], tool_choice=choice))["toolConfig"]

    assert [spec["toolSpec"]["name"] for spec in config["tools"]] == names
    assert config.get("toolChoice") == written


def test_no_tools_are_offered_when_none_may_be_called() -> None:
    assert "toolConfig" not in sent(form(tools=[WEATHER], tool_choice=f.ToolChoice("none")))


CALLED = [
    *ASK,
    f.Message("assistant", [f.ToolCall("c", "weather", "{}")]),
    f.Message("user", [f.ToolResult("c", [])]),
]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"choices": 2}, "choices"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": CALLED}, "tools"),
        ({"messages": CALLED, "tools": [WEATHER], "tool_choice": f.ToolChoice("none")}, "tool_choice"),
        ({"messages": [f.Message("user", [f.Image(url="https://a.example/b.png")])]}, "messages"),
        ({"messages": [f.Message("user", [f.Image(data="aa", media_type="image/tiff")])]}, "messages"),
        ({"messages": [f.Message("user", [f.File(data="aa", media_type="application/zip")])]}, "messages"),
        ({"messages": [f.Message("user", [f.Foreign("x", "y", Raw(b"{}"))])]}, "messages"),
        ({"messages": [f.Message("user", [f.Text(" ")])]}, "messages"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(CannotExpress) as refused:
        sent(form(**fields))

    assert refused.value.field == field


def test_the_shape_of_the_answer() -> None:
    schema = f.ResponseFormat("json_schema", "x", Raw(b'{"type":"object"}'))

    assert sent(form(response_format=schema))["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "x"}},
        }
    }
    with pytest.raises(CannotExpress):
        sent(form(response_format=schema), capabilities=frozenset())
    assert "JSON" in sent(form(response_format=f.ResponseFormat("json_object")))["system"][0]["text"]


def test_claude_is_held_to_no_more_of_a_schema_than_it_can_keep_to() -> None:
    given = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    wanted = f.ResponseFormat("json_schema", "x", Raw(json.dumps(given).encode()))

    def told(provider: str) -> Any:
        config = sent(form(response_format=wanted), provider)["outputConfig"]
        return json.loads(config["textFormat"]["structure"]["jsonSchema"]["schema"])

    assert told("amazon") == given
    assert told("anthropic") == {
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
        "additionalProperties": False,
    }


def test_a_strict_tool_is_named_because_it_is_not_enforced() -> None:
    tool = f.FunctionTool("look", parameters=Raw(b'{"type":"object"}'), strict=True)

    assert prepared(form(tools=[tool]))[1] == ("strict",)


def test_at_most_four_cache_points_are_kept_the_last_ones() -> None:
    texts: list[f.Part] = [f.Text(str(number), cache="5m") for number in range(6)]
    wanted = form(
        messages=[f.Message("user", texts)], tools=[f.FunctionTool("weather", cache="5m")], cache="1h"
    )

    body = sent(wanted)

    content = body["messages"][0]["content"]
    assert [block for block in body["toolConfig"]["tools"] if "cachePoint" in block] == []
    assert [("cachePoint" in block) for block in content] == [
        False, False, False, False, True, False, True, False, True, True,
    ]  # fmt: skip
    assert "cachePoint" not in json.dumps(sent(wanted, "meta"))


USAGE = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14}


def test_a_whole_answer() -> None:
    tools: list[f.Tool] = [f.FunctionTool("do it!", namespace="a")]
    declared = sent(form(tools=tools))["toolConfig"]["tools"][0]["toolSpec"]["name"]
    cited = {"title": "A", "location": {"web": {"url": "https://a"}}}
    body = answer(
        {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s0"}}},
        {"reasoningContent": {"redactedContent": "xx"}},
        {"text": "Hi"},
        {"citationsContent": {"content": [{"text": " there"}], "citations": [cited, {}]}},
        {"toolUse": {"toolUseId": "t1", "name": declared, "input": {"x": 1}}},
        {"guardContent": {}},
        reason="tool_use",
        usage=USAGE,
    )

    result = ADAPTER.answer(body, form(tools=tools))

    (choice,) = result.choices
    assert choice.parts == [
        f.Thinking("hmm", "s0", origin="bedrock"),
        f.Thinking("", "xx", is_redacted=True, origin="bedrock"),
        f.Text("Hi there"),
        f.ToolCall("t1", "do it!", '{"x":1}', namespace="a"),
    ]
    assert choice.reason == "tool_calls"
    assert choice.citations == [Cited("https://a", "A")]
    assert result.usage == Usage(10, 0, 0, 4, 0)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (USAGE, Usage(10, 0, 0, 4, 0)),
        (
            {"inputTokens": 10, "outputTokens": 4, "totalTokens": 64, "cacheReadInputTokens": 30,
             "cacheWriteInputTokens": 20, "cacheDetails": [{"ttl": "5m", "inputTokens": 15},
                                                           {"ttl": "1h", "inputTokens": 5}]},
            Usage(60, 30, 20, 4, 0, cache_write_1h_tokens=5),
        ),
        (
            {"inputTokens": 60, "outputTokens": 4, "totalTokens": 64, "cacheReadInputTokens": 30},
            Usage(60, 30, 0, 4, 0),
        ),
        (
            {"inputTokens": 10, "outputTokens": 4, "totalTokens": 14, "cacheReadInputTokens": 30},
            Usage(40, 30, 0, 4, 0),
        ),
        ({"inputTokens": -10, "outputTokens": 4, "cacheReadInputTokens": 30}, None),
        ({"inputTokens": 10**12, "outputTokens": 4}, None),
        ({"outputTokens": 4}, None),
    ],
)  # fmt: skip
def test_usage(reported: dict[str, Any], usage: Usage | None) -> None:
    assert ADAPTER.answer(answer({"text": "a"}, usage=reported), form()).usage == usage


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "stop"),
        ("something_new", "stop"),
    ],
)
def test_finish_reasons(reason: str, expected: str) -> None:
    assert ADAPTER.answer(answer({"text": "a"}, reason=reason), form()).choices[0].reason == expected


def test_an_answer_that_the_model_garbled_is_none() -> None:
    with pytest.raises(BadAnswer):
        ADAPTER.answer(answer(reason="malformed_tool_use"), form())


STREAM = b"".join(
    (
        event("messageStart", role="assistant"),
        event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "hmm"}}),
        event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"signature": "s0"}}),
        event("contentBlockStop", contentBlockIndex=0),
        event("contentBlockDelta", contentBlockIndex=1, delta={"text": "Hi é"}),
        event("contentBlockStop", contentBlockIndex=1),
        event(
            "contentBlockStart",
            contentBlockIndex=2,
            start={"toolUse": {"toolUseId": "t1", "name": "weather"}},
        ),
        event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": ""}}),
        event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": '{"a":'}}),
        event("contentBlockDelta", contentBlockIndex=2, delta={"toolUse": {"input": "1}"}}),
        event("contentBlockStop", contentBlockIndex=2),
        event(
            "contentBlockStart", contentBlockIndex=3, start={"toolUse": {"toolUseId": "t2", "name": "time"}}
        ),
        event("contentBlockStop", contentBlockIndex=3),
        event("messageStop", stopReason="tool_use"),
        event("metadata", usage=USAGE, metrics={"latencyMs": 5}),
    )
)


def test_a_stream() -> None:
    result = streamed(STREAM)

    (choice,) = result.choices
    assert choice.parts == [
        f.Thinking("hmm", "s0", origin="bedrock"),
        f.Text("Hi é"),
        f.ToolCall("t1", "weather", '{"a":1}'),
        f.ToolCall("t2", "time", "{}"),
    ]
    assert choice.reason == "tool_calls"
    assert result.usage == Usage(10, 0, 0, 4, 0)


def test_every_signature_comes_back_where_it_was() -> None:
    (choice,) = streamed(STREAM).choices
    turn = f.Message("assistant", [part for part in choice.parts if isinstance(part, f.Thinking | f.Text)])

    assert sent(form(messages=[*ASK, turn, *ASK]))["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s0"}}},
        {"text": "Hi é"},
    ]


def test_a_stream_cut_at_any_byte_never_ends_cleanly() -> None:
    passage = Translation(Chat(), ADAPTER)
    end = len(STREAM) - len(event("metadata", usage=USAGE, metrics={"latencyMs": 5}))
    for cut in range(len(STREAM)):
        stream, splitter = passage.stream(attempt(ask(Chat(), HI | {"stream": True}))), passage.splitter()
        for each in splitter.feed(STREAM[:cut]) + splitter.finish():
            stream.feed(each)
        # Once the answer has ended only its usage can be missing, which is then estimated.
        assert bool(stream.finish_reason) == (cut >= end)
        assert not stream.is_done
        assert stream.usage is None


@pytest.mark.parametrize("kind", ["throttlingException", "modelStreamErrorException", "somethingNew"])
def test_an_exception_inside_a_stream_is_noticed(kind: str) -> None:
    with pytest.raises(BadAnswer):
        streamed(event("messageStart", role="assistant") + exception(kind, message="busy"))


def test_events_that_are_new_are_passed_over() -> None:
    assert streamed(event("somethingNew", a=1)).choices == []


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{", b'{"message":"busy"}', b'{"output":{},"stopReason":7}', b"[" * 100_000, b"\xff"],
)
def test_nonsense_in_place_of_an_answer_is_noticed(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        ADAPTER.answer(body, form())


def test_input_for_a_call_that_never_began_is_nonsense() -> None:
    with pytest.raises(BadAnswer):
        streamed(event("contentBlockDelta", contentBlockIndex=9, delta={"toolUse": {"input": "{"}}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
             "start", "delta", "contentBlockIndex", "toolUse", "toolUseId", "name", "input", "text", "stopReason",
             "reasoningContent", "reasoningText", "signature", "usage", "inputTokens", "outputTokens", "output",
             "message", "content", "citationsContent", "citations", "citation", "location", "web", "cacheDetails"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(JSON, max_size=3))
def test_no_json_makes_the_adapter_fail_otherwise(values: list[Any]) -> None:
    reader = ADAPTER.reader(form())
    for value in values:
        body = json.dumps(value).encode()
        for read in (reader.feed, lambda raw: ADAPTER.answer(raw, form())):
            try:
                read(body)
            except BadAnswer:
                continue
        ADAPTER.blames_our_account(body)
        ADAPTER.complaint(body, channel())


def test_a_complaint_keeps_its_meaning_and_loses_our_secrets() -> None:
    text = "Too long for arn:aws:bedrock:us-east-1:123456789012:x of AKIAIOSFODNN7EXAMPLE in account 123456789012."

    message, param = ADAPTER.complaint(json.dumps({"message": text}).encode(), channel())

    assert message.startswith("Too long for [removed]")
    assert param is None
    for secret in ("123456789012", "AKIA"):
        assert secret not in message
    assert ADAPTER.complaint(b"<html>", channel())[0]


@pytest.mark.parametrize(
    ("message", "is_ours"),
    [("Operation not allowed", True), ("messages.0: Operation not allowed", False), (7, False)],
)
def test_our_own_account_is_told_from_a_callers_mistake(message: Any, *, is_ours: bool) -> None:
    assert ADAPTER.blames_our_account(json.dumps({"message": message}).encode()) is is_ours
