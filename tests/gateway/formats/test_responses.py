"""Bodies of /v1/responses: every field is understood, forwarded in the form, or refused by its name."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from msgspec import Raw

from gateway import form as f
from gateway.errors import InvalidRequest
from gateway.events import Began
from gateway.formats.responses import Responses, ResponsesAsked
from gateway.passages.native_responses import NativeResponses
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_chat import OpenAIChat
from gateway.upstreams.openai_responses import OpenAIResponses
from tests.gateway.attempts import ask, attempt, channel
from tests.gateway.junk import spoilt

RESPONSES = Responses()
PIXEL = base64.b64encode(b"pixel").decode()
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def asked(**fields: Any) -> ResponsesAsked:
    made = ask(RESPONSES, {"model": "m", "input": "hi", **fields})
    assert isinstance(made, ResponsesAsked)
    return made


def form(**fields: Any) -> f.Form:
    return asked(**fields).form()


def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        form(**fields)
    return caught.value


def test_a_text_is_one_turn_and_instructions_come_first() -> None:
    assert form(instructions="Be kind.").messages == [
        f.Message("system", [f.Text("Be kind.")]),
        f.Message("user", [f.Text("hi")]),
    ]


def test_what_one_turn_of_the_model_holds_becomes_one_message() -> None:
    turns = form(
        input=[
            {"role": "developer", "content": "Use tools."},
            {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "phase": "commentary",
                "content": [{"type": "output_text", "text": "Looking.", "annotations": []}],
            },
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {
                "type": "custom_tool_call_output",
                "call_id": "c2",
                "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}],
            },
            {"role": "assistant", "content": "One."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    ).messages

    assert turns == [
        f.Message("system", [f.Text("Use tools.")]),
        f.Message("user", [f.Text("Look.")]),
        f.Message(
            "assistant",
            [
                f.Thinking("hm", id="rs_1"),
                f.Text("Looking.", phase="commentary"),
                f.ToolCall("c1", "look", "{}"),
                f.ToolCall("c2", "patch", "x", is_custom=True),
            ],
        ),
        f.Message(
            "user",
            [
                f.ToolResult("c1", [f.Text("seen")]),
                f.ToolResult("c2", [f.Image(data=PIXEL, media_type="image/png")], is_custom=True),
            ],
        ),
        f.Message("assistant", [f.Text("One.")]),
        f.Message("assistant", [f.Refusal("No.")]),
    ]


def test_pictures_files_and_recordings_are_read_and_weighed() -> None:
    made = asked(
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "https://a.example/p.png", "detail": "low"},
                    {"type": "input_file", "file_url": "https://a.example/d.pdf"},
                    {
                        "type": "input_file",
                        "filename": "d.pdf",
                        "file_data": f"data:application/pdf;base64,{PIXEL}",
                    },
                    {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}},
                ],
            }
        ]
    )

    assert made.form().messages[0].parts == [
        f.Image(url="https://a.example/p.png", detail="low"),
        f.File(url="https://a.example/d.pdf"),
        f.File(data=PIXEL, media_type="application/pdf", name="d.pdf"),
        f.Audio(PIXEL, "wav"),
    ]
    assert (made.prompt.images, made.prompt.files, made.prompt.audios) == (1, 2, 1)


def test_the_settings_of_an_answer_reach_the_form() -> None:
    made = form(
        max_output_tokens=99,
        max_tool_calls=3,
        metadata={"a": "b"},
        parallel_tool_calls=False,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        reasoning={"effort": "low", "summary": "detailed"},
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        safety_identifier="s",
        stream=True,
        temperature=0.5,
        top_p=0.9,
        top_logprobs=2,
        user="u",
        text={
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": SCHEMA,
                "strict": True,
                "description": "d",
            },
        },
    )

    assert (made.max_output, made.max_tool_calls, made.metadata) == (99, 3, {"a": "b"})
    assert (made.parallel_tool_calls, made.prompt_cache_key, made.prompt_cache_retention) == (
        False,
        "k",
        "24h",
    )
    assert made.reasoning == f.Reasoning(effort="low", summary="detailed", wants_seal=True)
    assert (made.logprobs, made.top_logprobs, made.is_stream) == (True, 2, True)
    assert (made.temperature, made.top_p, made.user, made.safety_identifier) == (0.5, 0.9, "u", "s")
    assert made.verbosity == "low"
    shape = made.response_format
    assert (shape.kind, shape.name, shape.strict, shape.description) == ("json_schema", "n", True, "d")
    assert shape.schema is not None
    assert msgspec.json.decode(shape.schema) == SCHEMA


def test_thoughts_that_are_switched_off_are_so_in_the_form() -> None:
    assert form(reasoning={"effort": "none"}).reasoning == f.Reasoning(effort="none", is_enabled=False)


TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": True},
    {
        "type": "custom",
        "name": "patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
    },
    {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "find"}]},
    {"type": "namespace", "name": "web", "description": "d", "tools": [{"type": "function", "name": "look"}]},
    {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.example"]},
        "search_context_size": "low",
        "user_location": {"type": "approximate", "country": "US", "city": None},
    },
    {"type": "local_shell"},
]


def test_tools_of_every_kind_are_read_and_namespaces_kept_apart() -> None:
    look, patch, find, other, search, shell = form(tools=TOOLS).tools

    assert isinstance(look, f.FunctionTool)
    assert (look.name, look.description, look.strict) == ("look", "Looks.", True)
    assert look.parameters is not None
    assert msgspec.json.decode(look.parameters) == SCHEMA
    assert isinstance(patch, f.CustomTool)
    assert patch.format is not None
    assert isinstance(find, f.FunctionTool)
    assert (find.name, find.namespace) == ("find", "crm")
    assert isinstance(other, f.FunctionTool)
    assert (other.name, other.namespace) == ("web__look", "web")
    assert search == f.WebSearch(
        allowed_domains=["a.example"], context_size="low", location={"country": "US"}
    )
    assert isinstance(shell, f.ForeignTool)
    assert (shell.origin, shell.kind) == ("responses", "local_shell")


@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        ("required", "required", []),
        ("none", "none", []),
        ({"type": "function", "name": "look"}, "required", ["look"]),
        ({"type": "custom", "name": "patch"}, "required", ["patch"]),
        ({"type": "web_search_preview"}, "required", ["web_search"]),
        ({"type": "local_shell"}, "required", ["local_shell"]),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "look"}, {"type": "web_search"}],
            },
            "auto",
            ["look", "web_search"],
        ),
    ],
)
def test_the_choice_among_tools_is_read(choice: Any, mode: str, names: list[str]) -> None:
    made = form(tools=TOOLS, tool_choice=choice).tool_choice

    assert (made.mode, made.names) == (mode, names)


@pytest.mark.parametrize(
    ("tools", "choice", "is_needed"),
    [
        (TOOLS, "auto", False),
        (TOOLS, {"type": "web_search"}, True),
        (TOOLS[4:5], "auto", True),
        (TOOLS[4:5], "none", False),
        (TOOLS[:4], "auto", False),
    ],
    ids=["one of many", "forced", "alone", "switched off", "none"],
)
def test_a_search_is_needed_only_where_the_answer_hangs_on_it(
    tools: Any, choice: Any, is_needed: Any
) -> None:
    assert asked(tools=tools, tool_choice=choice).prompt.has_search is is_needed


def test_searches_are_held_for_where_they_may_happen() -> None:
    assert asked().most_units.searches == 0
    assert asked(tools=TOOLS).most_units.searches > 0
    assert asked(tools=TOOLS, max_tool_calls=2).most_units.searches == 2


def test_earlier_items_are_put_before_the_input_and_weighed() -> None:
    made = asked(input="And now?", previous_response_id="resp_1")
    before = made.prompt.text_bytes
    made.form()

    made.prepend([Raw(b'{"role":"user","content":"hi"}'), Raw(b'{"role":"assistant","content":"hello"}')])

    assert [turn.role for turn in made.form().messages] == ["user", "assistant", "user"]
    assert made.prompt.text_bytes > before
    assert json.loads(bytes(made.body.input))[2]["content"] == "And now?"


def test_an_earlier_response_can_be_gone_on_from_without_a_word() -> None:
    before = {"model": "m", "previous_response_id": "resp_1"}
    for body in (before, before | {"input": None}):
        made = ask(RESPONSES, body)
        assert isinstance(made, ResponsesAsked)

        made.prepend([Raw(b'{"role":"user","content":"hi"}')])

        assert [turn.role for turn in made.form().messages] == ["user"]
        assert json.loads(bytes(made.body.input)) == [{"role": "user", "content": "hi"}]
    with pytest.raises(InvalidRequest) as refused:
        ask(RESPONSES, {"model": "m"})
    assert refused.value.param == "input"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"inputs": "x"}, "inputs"),
        ({"input": 7}, "input"),
        ({"input": None}, "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "user", "content": "x"}, {"type": "telepathy"}]}, "input[1].type"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_smell"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x,y"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options"),
        ({"temperature": 3}, "temperature"),
        ({"include": ["everything"]}, "include[0]"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "telepathy"}]}, "tools[0].type"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]},
            "tools[0].tools[0].type",
        ),
        ({"tools": TOOLS, "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields).param == param


def test_files_of_ours_at_a_provider_cannot_be_named() -> None:
    part = {"type": "input_file", "file_id": "file_1"}
    body = {"model": "m", "input": [{"type": "function_call_output", "call_id": "c1", "output": [part]}]}

    with pytest.raises(InvalidRequest) as caught:
        RESPONSES.parse(json.dumps(body).encode(), {})

    assert caught.value.param == "input[0].output[0].file_id"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"model":"m"}', b"[" * 100_000, b'{"model":"\xff"}']
)
def test_nonsense_is_a_refusal(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        RESPONSES.parse(body, {})


def test_nulls_mean_what_leaving_out_means() -> None:
    names = [
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "include",
        "metadata",
        "store",
        "previous_response_id",
    ]

    assert form(**dict.fromkeys(names)) == form()
    assert form(text={"format": None}) == form()


def test_a_wrapped_seal_that_was_tampered_with_is_no_seal() -> None:
    for text in ("fa1.!!!", "fa1.", "fa1.eyJhIjoxfQ=="):
        item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": text}

        (turn,) = form(input=[item]).messages

        assert turn.parts == [f.Thinking(id="rs_1")]


def test_what_no_other_protocol_can_say_is_named() -> None:
    made = form(
        context_management=[{"type": "compaction"}],
        prompt_cache_options={"ttl": "12h"},
        reasoning={"effort": "low", "context": "all_turns", "mode": "pro"},
        truncation="auto",
    )

    assert made.unsaid == [
        "context_management",
        "prompt_cache_options",
        "reasoning.context",
        "reasoning.mode",
        "truncation",
    ]
    assert form(truncation="disabled").unsaid == []


WHOLE: dict[str, Any] = {
    "model": "m",
    "instructions": "Be kind.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "hm"}], "encrypted_content": "x"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "So."}], "phase": "commentary"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "namespace": "web"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}},
        {"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}]},
    ],
    "tools": TOOLS,
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
}


@settings(max_examples=200, deadline=None)
@given(spoilt(WHOLE))
def test_a_body_that_is_wrong_somewhere_is_refused_or_served(body: Any) -> None:
    try:
        made = RESPONSES.parse(json.dumps(body).encode(), {})
        at = attempt(made, channel=channel("openai", "openai_responses"))
        RESPONSES.writer(at).write([Began()])
        for adapter in (OpenAIResponses(), OpenAIChat()):
            adapter.prepare(made.form(), at)
        NativeResponses().prepare(at)
    except (InvalidRequest, CannotExpress):
        pass
