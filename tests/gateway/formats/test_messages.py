from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from gateway import form as f
from gateway.errors import (
    InsufficientQuota,
    InternalError,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    RateLimit,
    RequestTooLarge,
    ServiceUnavailable,
)
from gateway.formats.messages import Messages, MessagesAsked
from gateway.formats.messages_seals import Seal, unwrap, wrap
from gateway.passages.native_messages import NativeMessages
from gateway.passages.translation import Translation
from gateway.upstreams.anthropic import Anthropic
from gateway.upstreams.base import CannotExpress
from tests.gateway.attempts import ask, attempt, channel, model

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings" / "anthropic"
_USER = {"role": "user", "content": "hi"}
_TOOL = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}


def parse(*turns: dict[str, Any], **fields: Any) -> MessagesAsked:
    body = {"model": "claude", "max_tokens": 100, "messages": list(turns) or [_USER], **fields}
    asked = ask(Messages(), {name: value for name, value in body.items() if value is not ...})
    assert isinstance(asked, MessagesAsked)
    return asked


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def answer(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


_PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk=" * 100}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "output_config": {"effort": "low"}}]}, "messages[0].content"),
        ({"messages": [_USER, {"role": "system"}]}, "messages[1].content"),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        ({"messages": [user({"type": "image"})]}, "messages[0].content[0].source"),
        (
            {"messages": [answer({"type": "tool_use", "id": "t", "name": "n"})]},
            "messages[0].content[0].input",
        ),
        ({"messages": [answer({"type": "thinking", "thinking": "x"})]}, "messages[0].content[0].signature"),
        (
            {"messages": [user({"type": "document", "source": {"type": "file", "file_id": "f"}})]},
            "messages[0].content[0].source.type",
        ),
        (
            {"messages": [user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]})]},
            "messages[0].content[0].content[0].text",
        ),
        ({"surprise": 1}, "surprise"),
        ({"temperature": 1.5}, "temperature"),
        ({"system": 4}, "system"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"container": "c"}, "container"),
        ({"fallbacks": []}, "fallbacks"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"tools": [{"type": "code_execution_20260120", "name": "code_execution"}]}, "tools[0].type"),
        ({"tools": [_TOOL, {"type": "advisor_20260301", "name": "advisor", "model": "x"}]}, "tools[1].type"),
        ({"tools": [{"name": "look"}]}, "tools[0]"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(**fields)

    assert refusal.value.param == param


def test_nothing_but_json_is_a_body() -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"model":' + b"[" * 100_000):
        with pytest.raises(InvalidRequest):
            Messages().parse(body, {})


def test_the_prompt_is_weighed_without_its_pictures_and_searches_are_counted() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    pdf = {"type": "document", "source": {"type": "url", "url": "https://a.example/a.pdf"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [_PICTURE]}

    asked = parse(user(_PICTURE, pdf, result), tools=[_TOOL, search, search | {"max_uses": 3}])

    assert (asked.prompt.images, asked.prompt.files, asked.prompt.has_tools, asked.prompt.has_search) == (
        2,
        1,
        True,
        True,
    )
    assert asked.prompt.text_bytes < 900
    assert asked.most_units.searches == 13
    assert asked.explicit_max == 100


def test_a_body_becomes_a_form() -> None:
    form = parse(
        _USER,
        answer(
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "xx"},
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": [1, "é"]}},
            {"type": "server_tool_use", "id": "s1", "name": "web_fetch", "input": {}},
        ),
        user(
            {
                "type": "tool_result",
                "tool_use_id": "t1",
                "content": [{"type": "text", "text": "it"}],
                "is_error": True,
            },
            {"type": "text", "text": "go on", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {
                "type": "search_result",
                "source": "s",
                "title": "T",
                "content": [{"type": "text", "text": "found"}],
            },
        ),
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        tools=[
            _TOOL,
            {
                "type": "web_search_20260209",
                "name": "web_search",
                "max_uses": 2,
                "user_location": {"type": "approximate", "city": "Rome", "region": None},
            },
            {"type": "bash_20250124", "name": "bash"},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2_000},
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        metadata={"user_id": "u1"},
        stop_sequences=["END"],
        top_k=4,
    ).form()

    assert [message.role for message in form.messages] == ["system", "user", "assistant", "user"]
    assert form.messages[0].parts == [f.Text("Be brief.", cache="5m")]
    thought, redacted, text, call, foreign = form.messages[2].parts
    assert thought == f.Thinking("hm", "sig", origin="anthropic")
    assert redacted == f.Thinking("", "xx", is_redacted=True, origin="anthropic")
    assert (text, call) == (f.Text("so"), f.ToolCall("t1", "look", '{"a":[1,"é"]}'))
    assert isinstance(foreign, f.Foreign)
    assert (foreign.origin, foreign.kind) == ("anthropic", "server_tool_use")
    assert form.messages[3].parts == [
        f.ToolResult("t1", [f.Text("it")], is_error=True),
        f.Text("go on", cache="1h"),
        f.File(text="Source: s\n\nfound", name="T"),
    ]
    function, search, bash = form.tools
    assert isinstance(function, f.FunctionTool)
    assert search == f.WebSearch(max_uses=2, location={"city": "Rome"})
    assert isinstance(bash, f.ForeignTool)
    assert form.tool_choice == f.ToolChoice("required")
    assert form.parallel_tool_calls is False
    assert (form.reasoning.budget_tokens, form.reasoning.effort, form.reasoning.is_enabled) == (
        2_000,
        "low",
        True,
    )
    assert form.response_format.kind == "json_schema"
    assert (form.user, form.stop, form.top_k, form.max_output) == ("u1", ["END"], 4, 100)


def test_seals_of_others_come_back_to_what_they_belong_to() -> None:
    def thought(seal: Seal, text: str = "") -> dict[str, Any]:
        return {"type": "thinking", "thinking": text, "signature": wrap(seal)}

    form = parse(
        answer(
            thought(Seal("responses", "enc", id="rs_1"), "hm"),
            {"type": "redacted_thinking", "data": wrap(Seal("responses", "all"))},
            {"type": "thinking", "thinking": "nobody's", "signature": ""},
            {"type": "text", "text": "so"},
            thought(Seal("text", "of-text", is_of_text=True)),
            thought(Seal("call", "of-call", call_id="t1")),
            {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        )
    ).form()

    assert form.messages[0].parts == [
        f.Thinking("hm", "enc", origin="responses", id="rs_1"),
        f.Thinking("", "all", is_redacted=True, origin="responses"),
        f.Thinking("nobody's"),
        f.Text("so", signature="of-text"),
        f.ToolCall("t1", "look", "{}", seal="of-call"),
    ]
    assert unwrap("fa1.nonsense") == Seal("", "")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("x", param="p"), 400, "invalid_request_error"),
        (InvalidApiKey("x"), 401, "authentication_error"),
        (InsufficientQuota("x"), 402, "billing_error"),
        (ModelNotFound("x"), 404, "not_found_error"),
        (RequestTooLarge("x"), 413, "request_too_large"),
        (RateLimit("x"), 429, "rate_limit_error"),
        (InternalError("x"), 500, "api_error"),
        (ServiceUnavailable("x"), 529, "overloaded_error"),
    ],
)
def test_errors_have_anthropics_shape(error: Any, status: int, kind: str) -> None:
    shown, body = Messages().refusal(error, "req_1")
    said = json.loads(body)

    assert shown == status
    assert said["type"] == "error"
    assert said["request_id"] == "req_1"
    assert (said["error"]["type"], said["error"]["message"]) == (kind, "x")
    assert dict(Messages().headers("req_1"))["request-id"] == "req_1"


def test_a_thread_is_refused_in_the_words_by_which_the_sdk_goes_on_without_one() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(thread={"type": "create"})

    said = json.loads(Messages().refusal(refusal.value, "req_1")[1])
    assert said["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }


# The recorded requests that are refused here, and why.
_REFUSED = {
    "advisor": "tools[0].type",
    "code-execution": "tools[0].type",
    "container-reuse-1": "container",
    "mcp-servers": "mcp_servers",
}


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no folder with recorded provider traffic")
def test_every_recorded_request_arrives_as_it_was_meant() -> None:
    compared = 0
    for path in sorted(RECORDINGS.glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))["request"]
        refusal = next((param for name, param in reversed(_REFUSED.items()) if name in path.name), None)
        if refusal:
            with pytest.raises((InvalidRequest, CannotExpress)) as refused:
                Translation(Messages(), Anthropic()).prepare(attempt(ask(Messages(), said)))
            error = refused.value
            assert (getattr(error, "param", None) or getattr(error, "field", None)) == refusal, path.name
            continue
        asked = ask(Messages(), said)
        able = model("claude", max_output=64_000, traits=_traits(said))
        to = attempt(asked, model=able, channel=channel("anthropic"), upstream_model=said["model"])
        arrived = json.loads(Anthropic().prepare(asked.form(), to).body)
        assert _meaning(arrived) == _meaning(said), path.name
        compared += 1
    assert compared >= 15


def _traits(said: dict[str, Any]) -> frozenset[str]:
    thinking = said.get("thinking", {}).get("type")
    is_adaptive = thinking == "adaptive" or "effort" in said.get("output_config", {})
    return frozenset({"adaptive_thinking"} if is_adaptive else ())


def _meaning(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request without the ways in which two that mean the same may differ."""
    meant: dict[str, Any] = _without_nothing(body)
    # Server-side editing of the context and late loading of tools have no counterpart in other protocols: the form
    # does not carry them.
    meant.pop("context_management", None)
    for tool in meant.get("tools", ()):
        tool.pop("defer_loading", None)
    if not meant.get("stream"):
        meant.pop("stream", None)
    meant["system"] = _texts(meant.get("system", []))
    meant["messages"] = [
        turn | {"content": [_plain(block) for block in _texts(turn["content"])]} for turn in meant["messages"]
    ]
    if meant.get("tool_choice") == {"type": "auto"}:
        del meant["tool_choice"]
    names = [tool["name"] for tool in meant.get("tools", ())]
    if meant.get("tool_choice") == {"type": "any"} and len(names) == 1:
        meant["tool_choice"] = {"type": "tool", "name": names[0]}
    # The number of searches is always bounded, and thoughts are always shown; an effort alone means to think.
    meant["tools"] = [
        {"max_uses": 10} | tool if tool["name"] == "web_search" else tool for tool in meant.get("tools", ())
    ]
    if "effort" in meant.get("output_config", {}):
        meant.setdefault("thinking", {"type": "adaptive"})
    meant.get("thinking", {}).pop("display", None)
    return meant


def _plain(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] == "tool_result":
        # References to tools that load late go the way of these.
        content = [each for each in _texts(block.get("content", [])) if each["type"] != "tool_reference"]
        return block | {"content": content}
    if block["type"] == "compaction":
        # Told in words, which every model reads.
        return {"type": "text", "text": f"Summary of the conversation so far:\n\n{block['content']}"}
    return block


def _texts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _without_nothing(value: Any) -> Any:
    """Leave out fields that are null, empty text, false flags and the usual lifetime."""
    if isinstance(value, dict):
        kept = {name: _without_nothing(each) for name, each in value.items() if each not in (None, "")}
        if kept.get("type") == "ephemeral" and kept.get("ttl") == "5m":
            del kept["ttl"]
        if kept.get("type") == "tool_result" and kept.get("is_error") is False:
            del kept["is_error"]
        return kept
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


BLOCKS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking", "x"]
        )
    },
    optional={
        "text": st.text(max_size=3),
        "source": st.sampled_from(
            [
                {"type": "url", "url": "u"},
                {"type": "content", "content": 5},
                {"type": "text", "data": "d"},
                "s",
            ]
        ),
        "id": st.just("t"),
        "name": st.just("n"),
        "input": st.just({}),
        "tool_use_id": st.just("t"),
        "content": st.sampled_from(
            ["", [], [{"type": "text", "text": "a"}], [{"type": "tool_reference"}], 5, None]
        ),
        "thinking": st.text(max_size=3),
        "signature": st.sampled_from(["", "s", "fa1.W10=", "fa1.%", wrap(Seal("call", "x", call_id="t"))]),
        "data": st.sampled_from(["", "d", "fa1.W10="]),
    },
)
TURNS = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant", "system"]),
    st.text(max_size=3) | st.lists(BLOCKS, max_size=4),
)


@given(st.lists(TURNS, min_size=1, max_size=4))
def test_whatever_is_sent_is_passed_on_or_refused(turns: list[dict[str, Any]]) -> None:
    with contextlib.suppress(InvalidRequest, CannotExpress):
        asked = parse(*turns)
        to = attempt(asked, model=model("claude"), channel=channel("anthropic"))
        assert json.loads(NativeMessages().prepare(to).body)["max_tokens"] == 100
        assert json.loads(Anthropic().prepare(asked.form(), to).body)["messages"]
