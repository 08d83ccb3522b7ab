from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import message_create_params
from pydantic import TypeAdapter

from gateway import form as f
from gateway.formats.chat import Chat
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.anthropic_names import ANSWER_TOOL
from gateway.upstreams.base import CannotExpress, Prepared
from gateway.upstreams.wire_names import plain, wire_name
from tests.gateway.attempts import ask, attempt, channel, model

_SHAPE = TypeAdapter(message_create_params.MessageCreateParamsNonStreaming)
_USER = {"role": "user", "content": "hi"}
_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def prepare(form: f.Form, *, max_output: int | None = None, **of_model: Any) -> Prepared:
    return Anthropic().prepare(
        form,
        attempt(model=model("claude", **of_model), channel=channel("anthropic"), output_bound=max_output),
    )


def body(form: f.Form, **fields: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(prepare(form, **fields).body)
    _SHAPE.validate_python(written | {"stream": False})
    return written


def chat(*messages: dict[str, Any], **fields: Any) -> f.Form:
    said = list(messages) or [_USER]
    return ask(Chat(), {"model": "claude", "messages": said, **fields}).form()


def said(*parts: f.Part, role: Any = "user") -> f.Form:
    return f.Form([f.Message(role, list(parts))])


def test_a_plain_question_becomes_a_message_with_our_key_and_a_maximum() -> None:
    prepared = prepare(chat({"role": "system", "content": "Be brief."}, _USER, temperature=1.7, stream=True))

    assert prepared.target == "/messages"
    assert dict(prepared.headers) == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-api-key": "sk-secret-of-ours-123456",
        "anthropic-version": "2023-06-01",
    }
    assert json.loads(prepared.body) == {
        "model": "upstream/name",
        "max_tokens": 8_192,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "temperature": 1.0,
        "stream": True,
    }


@pytest.mark.parametrize(
    ("bound", "own", "sent"),
    [(None, 8_192, 8_192), (100, 8_192, 100), (9_000, 8_192, 8_192), (None, 0, 16_384)],
)
def test_the_maximum_is_the_bound_or_the_models_own(bound: int | None, own: int, sent: int) -> None:
    assert (
        body(chat(), max_output=bound, max_output_of_model=own)["max_tokens"] == sent if own == -1 else True
    )
    written = json.loads(
        Anthropic().prepare(chat(), attempt(model=model("claude", max_output=own), output_bound=bound)).body
    )

    assert written["max_tokens"] == sent


def test_turns_alternate_results_come_first_and_nothing_is_empty() -> None:
    call = {"id": "call.1", "type": "function", "function": {"name": "look.up", "arguments": ""}}
    other = {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": '{"b":2}'}}
    written = body(
        chat(
            {"role": "assistant", "content": "Ask me."},
            {"role": "user", "content": "  "},
            {"role": "user", "content": "now"},
            {"role": "assistant", "content": "", "tool_calls": [call, other]},
            {"role": "tool", "tool_call_id": "call.1", "content": "one"},
            {"role": "system", "content": "Hurry."},
            {"role": "tool", "tool_call_id": "call_2", "content": ""},
            tools=[_TOOL],
        )
    )

    assert [turn["role"] for turn in written["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert written["messages"][3]["content"] == [
        {"type": "tool_use", "id": plain("call.1"), "name": wire_name("look.up"), "input": {}},
        {"type": "tool_use", "id": "call_2", "name": "look", "input": {"b": 2}},
    ]
    assert written["messages"][4]["content"] == [
        {"type": "tool_result", "tool_use_id": plain("call.1"), "content": "one"},
        {"type": "tool_result", "tool_use_id": "call_2"},
        {"type": "text", "text": "<system>\nHurry.\n</system>"},
    ]


def test_instructions_alone_are_what_the_user_says() -> None:
    written = body(chat({"role": "system", "content": "Say hi."}))

    assert "system" not in written
    assert written["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]


def test_pictures_and_documents_keep_their_source() -> None:
    written = body(
        said(
            f.Image(url="https://a.example/x.png"),
            f.Image(data="aGk=", media_type="image/jpg"),
            f.File(data="aGk=", media_type="application/pdf", name="a.pdf"),
            f.File(url="https://a.example/b.pdf"),
            f.File(data="aGk=", media_type="text/csv"),
            f.File(text="plain"),
        )
    )

    sources = [block["source"] for block in written["messages"][0]["content"]]
    assert sources == [
        {"type": "url", "url": "https://a.example/x.png"},
        {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
        {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
        {"type": "url", "url": "https://a.example/b.pdf"},
        {"type": "text", "media_type": "text/plain", "data": "hi"},
        {"type": "text", "media_type": "text/plain", "data": "plain"},
    ]
    assert written["messages"][0]["content"][2]["title"] == "a.pdf"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (said(f.Audio("aGk=", "wav")), "messages"),
        (said(f.Image(data="aGk=", media_type="image/tiff")), "messages"),
        (said(f.File(data="aGk=", media_type="application/zip")), "messages"),
        (said(f.File(data="/w==", media_type="text/plain")), "messages"),
        (said(f.Foreign("gemini", "x", msgspec.Raw(b"{}"))), "messages"),
        (said(f.Text(" ")), "messages"),
        (
            f.Form(
                [f.Message("system", [f.Image(url="https://a.example")]), f.Message("user", [f.Text("hi")])]
            ),
            "messages",
        ),
        (f.Form([f.Message("user", [f.Text("hi")])], choices=2), "choices"),
        (f.Form([f.Message("user", [f.Text("hi")])], logprobs=True), "logprobs"),
        (f.Form([f.Message("user", [f.Text("hi")])], stop=["a", "\n"]), "stop"),
        (
            f.Form(
                [f.Message("user", [f.Text("hi")])],
                tools=[f.WebSearch(allowed_domains=["a.example"], blocked_domains=["b.example"])],
            ),
            "web_search",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(form: f.Form, field: str) -> None:
    with pytest.raises(CannotExpress) as refusal:
        prepare(form)

    assert refusal.value.field == field


def test_tools_of_every_kind_and_their_names() -> None:
    form = chat(tools=[_TOOL, {"type": "custom", "custom": {"name": "patch", "description": "Patch."}}])
    form.tools += [
        f.WebSearch(allowed_domains=["a.example"], location={"city": "Rome"}, context_size="high"),
        f.FunctionTool("look", namespace="files", strict=True),
        f.ForeignTool("anthropic", "bash", msgspec.Raw(b'{"type":"bash_20250124","name":"bash"}')),
        f.ForeignTool("gemini", "maps", msgspec.Raw(b"{}")),
    ]

    prepared = prepare(form)
    tools = json.loads(prepared.body)["tools"]

    assert [tool["name"] for tool in tools] == ["look", "patch", "web_search", "files__look", "bash"]
    assert tools[1]["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert tools[2] == {
        "type": "web_search_20250305",
        "name": "web_search",
        "max_uses": 10,
        "allowed_domains": ["a.example"],
        "user_location": {"type": "approximate", "city": "Rome"},
    }
    assert tools[3]["input_schema"] == {"type": "object", "properties": {}}
    assert prepared.dropped == ("tools.maps", "strict", "context_size")


@pytest.mark.parametrize(
    ("choice", "parallel", "wanted"),
    [
        ("auto", None, None),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ({"type": "function", "function": {"name": "see"}}, None, {"type": "tool", "name": "see"}),
    ],
)
def test_the_choice_of_tools(choice: Any, parallel: Any, wanted: Any) -> None:
    see = {"type": "function", "function": {"name": "see"}}

    written = body(chat(tools=[_TOOL, see], tool_choice=choice, parallel_tool_calls=parallel))

    assert written.get("tool_choice") == wanted


def test_an_allowed_subset_is_all_that_is_offered() -> None:
    form = chat(tools=[_TOOL, _TOOL | {"function": {"name": "see"}}, _TOOL | {"function": {"name": "go"}}])
    form.tool_choice = f.ToolChoice("required", ["look", "go"])

    written = body(form)

    assert [tool["name"] for tool in written["tools"]] == ["look", "go"]
    assert written["tool_choice"] == {"type": "any"}


_SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 3},
        "l": {"type": "array", "items": {"type": "object", "properties": {"x": {}}}},
    },
}


def schema_form(**fields: Any) -> f.Form:
    return chat(
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}}, **fields
    )


def test_a_schema_is_enforced_where_the_model_can() -> None:
    written = body(schema_form(reasoning_effort="low"), traits=frozenset({"adaptive_thinking"}))

    assert written["output_config"] == {
        "effort": "low",
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "n": {"type": "integer", "description": "{minimum: 3}"},
                    "l": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"x": {}}, "additionalProperties": False},
                    },
                },
            },
        },
    }


def test_a_schema_is_a_forced_tool_elsewhere_and_thoughts_give_way() -> None:
    able = frozenset({"tools", "reasoning"})

    prepared = prepare(schema_form(reasoning_effort="high"), capabilities=able)
    alone = json.loads(prepared.body)
    beside = body(schema_form(tools=[_TOOL]), capabilities=able)

    assert alone["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}
    assert alone["tools"][0]["input_schema"] == _SCHEMA
    assert "thinking" not in alone
    assert prepared.dropped == ("reasoning",)
    assert [tool["name"] for tool in beside["tools"]] == ["look", ANSWER_TOOL]
    assert beside["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    "inner",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object"},
        {"patternProperties": {"^x": {}}},
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "object"}}]},
        {"$ref": "#/$defs/map"},
    ],
)
def test_a_map_is_no_empty_object(inner: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"ages": inner}, "$defs": {"map": {"type": "object"}}}
    if "$ref" not in inner:
        del schema["$defs"]
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}

    written = body(chat(response_format=wanted))

    assert written["tools"][0]["input_schema"] == schema
    assert "output_config" not in written


@pytest.mark.parametrize("schema", [{"type": "array", "items": {}}, {"type": ["object", "null"]}])
def test_an_answer_that_is_no_object_cannot_be_a_tools_input(schema: dict[str, Any]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}

    with pytest.raises(CannotExpress) as caught:
        body(chat(response_format=wanted), capabilities=frozenset({"tools"}))

    assert caught.value.field == "response_format"


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    written = body(chat(response_format={"type": "json_object"}))

    assert "JSON" in written["system"][0]["text"]


@pytest.mark.parametrize(
    ("asked", "traits", "thinking", "effort", "dropped"),
    [
        ({"reasoning_effort": "low"}, [], {"type": "enabled", "budget_tokens": 2_048}, None, ()),
        ({"reasoning_effort": "max"}, [], {"type": "enabled", "budget_tokens": 6_144}, None, ()),
        ({"thinking_budget": 8_192}, [], {"type": "enabled", "budget_tokens": 8_191}, None, ()),
        ({"thinking_budget": 10}, [], None, None, ("reasoning",)),
        ({"reasoning_effort": "none"}, [], None, None, ()),
        ({"reasoning_effort": "none"}, ["thinks_by_default"], {"type": "disabled"}, None, ()),
        ({"reasoning_effort": "none"}, ["always_reasons"], None, None, ("reasoning",)),
        (
            {"reasoning_effort": "minimal"},
            ["adaptive_thinking"],
            {"type": "adaptive", "display": "summarized"},
            "low",
            (),
        ),
        (
            {"thinking_budget": 5_000},
            ["adaptive_thinking"],
            {"type": "adaptive", "display": "summarized"},
            "medium",
            (),
        ),
    ],
)
def test_thoughts_are_asked_for_in_the_models_own_way(
    asked: dict[str, Any], traits: list[str], thinking: Any, effort: str | None, dropped: tuple[str, ...]
) -> None:
    prepared = prepare(chat(**asked), traits=frozenset(traits))
    written = json.loads(prepared.body)

    assert written.get("thinking") == thinking
    assert written.get("output_config", {}).get("effort") == effort
    assert prepared.dropped == dropped


def test_what_only_tunes_is_left_out_and_named() -> None:
    form = chat(temperature=0.5, top_p=0.9, top_k=5, seed=1, frequency_penalty=1.0, user="u", verbosity="low")

    plain = prepare(form)
    thinking = prepare(chat(temperature=0.5, top_k=5, reasoning_effort="low"))
    bare = prepare(form, traits=frozenset({"no_sampling"}))

    assert plain.dropped == ("frequency_penalty", "seed", "verbosity", "top_p")
    assert json.loads(plain.body)["top_k"] == 5
    assert json.loads(plain.body)["metadata"] == {"user_id": "u"}
    assert thinking.dropped == ("temperature", "top_k")
    assert bare.dropped == ("frequency_penalty", "seed", "verbosity", "temperature", "top_p", "top_k")


def test_a_prefill_is_refused_where_the_model_takes_none_and_trimmed_elsewhere() -> None:
    form = chat(_USER, {"role": "assistant", "content": "Well, "})

    assert body(form)["messages"][-1]["content"][0]["text"] == "Well,"
    with pytest.raises(CannotExpress):
        prepare(form, traits=frozenset({"no_prefill"}))


def test_only_seals_of_anthropic_come_back_and_a_turn_without_them_thinks_no_further() -> None:
    def history(*thoughts: f.Part) -> f.Form:
        return f.Form(
            [
                f.Message("user", [f.Text("hi")]),
                f.Message("assistant", [*thoughts, f.ToolCall("t1", "look", "{}")]),
                f.Message("user", [f.ToolResult("t1", [f.Text("it")], is_error=True)]),
            ],
            tools=[f.FunctionTool("look")],
            reasoning=f.Reasoning(effort="low"),
        )

    kept = body(
        history(
            f.Thinking("hm", "sig", origin="anthropic"),
            f.Thinking("", "xx", is_redacted=True, origin="anthropic"),
        )
    )
    lost = prepare(history(f.Thinking("hm", "sig", origin="gemini"), f.Thinking("so")))

    assert kept["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
    ]
    assert kept["messages"][2]["content"][0]["is_error"] is True
    assert kept["thinking"]["type"] == "enabled"
    assert [block["type"] for block in json.loads(lost.body)["messages"][1]["content"]] == ["tool_use"]
    assert lost.dropped == ("reasoning",)


def test_the_last_four_marks_of_the_cache_are_kept() -> None:
    parts: list[f.Part] = [f.Text(str(index), cache="1h" if index == 5 else "5m") for index in range(6)]
    form = said(*parts)
    form.cache = "5m"

    written = body(form)

    marks = [block.get("cache_control") for block in written["messages"][0]["content"]]
    assert marks == [None] * 3 + [{"type": "ephemeral"}] * 2 + [{"type": "ephemeral", "ttl": "1h"}]
    assert written["cache_control"] == {"type": "ephemeral"}


def test_what_other_providers_tools_did_is_left_out_of_answers() -> None:
    search = f.Foreign("responses", "web_search_call", msgspec.Raw(b"{}"))
    own = f.Foreign("anthropic", "server_tool_use", msgspec.Raw(b'{"type":"server_tool_use"}'))
    form = f.Form(
        [
            f.Message("user", [f.Text("hi")]),
            f.Message("assistant", [search, own, f.Text("so")]),
            f.Message("user", [f.Text("and?")]),
        ]
    )

    prepared = prepare(form)

    kinds = [block["type"] for block in json.loads(prepared.body)["messages"][1]["content"]]
    assert kinds == ["server_tool_use", "text"]
    assert prepared.dropped == ("messages.web_search_call",)
