"""A body is read strictly: every wrong one is a 400 that names the parameter, none is a crash."""

from __future__ import annotations

import contextlib
import json
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from openai.types.chat import completion_create_params

from gateway.errors import InvalidRequest
from gateway.formats.chat_body import ChatRequest, parse_chat

HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def parsed(**fields: Any) -> ChatRequest:
    return parse_chat(json.dumps(HELLO | fields).encode())[0]


def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    return caught.value


def test_every_field_of_the_specification_is_known() -> None:
    specified = set(
        typing.get_type_hints(completion_create_params.CompletionCreateParamsBase, include_extras=True)
    )

    assert specified <= set(ChatRequest.__struct_fields__)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 7}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].image_url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"n": 9}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"seed": 2**64}, "seed"),
        ({"reasoning_effort": "gigantic"}, "reasoning_effort"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"speed": 1}}, "stream_options.speed"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"5": 101}}, "logit_bias[]"),
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"search_context_size": "vast"}}, "web_search_options.search_context_size"),
        ({"reasoning": {"effort": "gigantic"}}, "reasoning.effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"models": "gpt-4o"}, "models"),
        ({"models": ["a", "b", "c", "d", "e"]}, "models"),
        ({"models": ["a", 1]}, "models[1]"),
        ({"provider": "openai"}, "provider"),
        ({"provider": {"prefer": ["openai"]}}, "provider.prefer"),
        ({"provider": {"only": "openai"}}, "provider.only"),
        ({"provider": {"only": [True]}}, "provider.only[0]"),
        ({"provider": {"sort": "quality"}}, "provider.sort"),
        ({"provider": {"allow_fallbacks": 0}}, "provider.allow_fallbacks"),
        ({"provider": {"max_price": {"prompt": True}}}, "provider.max_price.prompt"),
        ({"provider": {"max_price": {"prompt": "1"}}}, "provider.max_price.prompt"),
        ({"provider": {"max_price": {"completion": -1}}}, "provider.max_price.completion"),
        ({"provider": {"max_price": {"image": 1}}}, "provider.max_price.image"),
        ({"route": "fallback"}, "route"),
        ({"transforms": ["middle-out"]}, "transforms"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"api_base": "http://127.0.0.1/"}, "api_base"),
        ({"extra_headers": {}}, "extra_headers"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)

    assert error.param == param
    assert error.status == 400
    assert "`" not in error.message or "Expected" in error.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        json.dumps(HELLO).encode()[:-1],
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"model":"m","messages":[{"role":"user","content":"x","y":'
        + b"[" * 20_000
        + b"]" * 20_000
        + b"}]}",
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":' + b"9" * 4_000 + b"}",
    ],
    ids=range(13),
)
def test_a_hostile_body_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_chat(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for body in (
        json.dumps(value),
        json.dumps(HELLO | {"messages": value}),
        json.dumps(HELLO | {"tools": value}),
    ):
        with contextlib.suppress(InvalidRequest):
            parse_chat(body.encode("utf-8", "surrogatepass"))


def test_tools_formats_and_choices_are_read_and_forwarded_as_they_came() -> None:
    fields = {
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "extra": 1}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {}, "strict": True},
        },
    }

    written = json.loads(msgspec.json.encode(parsed(**fields)))

    assert written == HELLO | fields


def test_null_means_not_given() -> None:
    nothing = dict.fromkeys(set(ChatRequest.__struct_fields__) - {"model", "messages"})

    assert parsed(**nothing) == parsed()


def test_the_larger_of_two_maxima_counts() -> None:
    assert parsed(max_tokens=5, max_completion_tokens=3).explicit_max == 5
    assert parsed(max_tokens=3, max_completion_tokens=5).explicit_max == 5
    assert parsed(max_tokens=5).explicit_max == 5
    assert parsed().explicit_max is None


def test_pictures_are_counted_and_not_weighed_as_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    content = [{"type": "text", "text": "what is this?"}, picture, picture]

    _, prompt = parse_chat(json.dumps(HELLO | {"messages": [{"role": "user", "content": content}]}).encode())

    assert prompt.images == 2
    assert prompt.text_bytes < 400
