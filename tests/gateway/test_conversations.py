"""Conversations as agents really have them, in each format and for each protocol: what a provider would refuse is mended.

The provider's part is played by the sandbox's own readers, which refuse what the providers document.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from catalog.snapshot import Route
from fastanchor.local.sandbox.chat import Chat
from fastanchor.local.sandbox.deepseek import DeepSeek
from fastanchor.local.sandbox.dialect import Http
from fastanchor.local.sandbox.gemini_request import read_gemini
from fastanchor.local.sandbox.messages_request import read_messages
from fastanchor.local.sandbox.qwen import Qwen
from fastanchor.local.sandbox.responses_memory import Memory
from fastanchor.local.sandbox.responses_request import read_responses
from gateway.asked import Attempt
from gateway.endpoints import ENDPOINTS
from gateway.passages.table import passage_for
from gateway.upstreams.base import Prepared
from gateway.upstreams.openai_responses import OpenAIResponses
from gateway.upstreams.wire_names import bounded
from tests.gateway.attempts import attempt, channel, model

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
PARAMETERS = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def _as_chat(dialect: Any) -> Any:
    def read(body: bytes, _model: str) -> None:
        dialect.read(Http(CHAT, {}, {}, body))
        for message in json.loads(body)["messages"]:
            calls = message.get("tool_calls") or []
            assert all(len(call["id"]) <= 40 and _NAME.fullmatch(call["function"]["name"]) for call in calls)

    return read


def _as_responses(body: bytes, _model: str) -> None:
    read_responses(body, Memory())
    request = json.loads(body)
    assert request["input"]
    assert all(1 <= len(item.get("call_id", "x")) <= 64 for item in request["input"])
    named = [each for each in [*request["input"], *request.get("tools", [])] if "name" in each]
    assert all(_NAME.fullmatch(each["name"]) for each in named)


PROTOCOLS: dict[str, tuple[Any, Any, Any, str]] = {
    "groq": (channel("groq", "openai"), (), _as_chat(Chat()), "llama"),
    "mistral": (channel("mistral", "openai"), (), _as_chat(Chat()), "mistral-large"),
    "deepseek": (channel("deepseek", "deepseek"), ("thinks_by_default",), _as_chat(DeepSeek()), "ds"),
    "qwen": (channel("alibaba", "qwen"), ("streams_only",), _as_chat(Qwen()), "qwen-max"),
    "responses": (channel("openai", "openai_responses"), ("responses_only",), _as_responses, "gpt-5"),
    "anthropic": (
        channel("anthropic", "anthropic"),
        (),
        lambda body, _: read_messages(body),
        "claude-sonnet-4",
    ),
    "gemini": (channel("google", "gemini"), ("thinking_level",), read_gemini, "gemini-3-pro"),
}
NATIVE = {(MESSAGES, "anthropic"), (RESPONSES, "responses")}


def chat_call(call_id: str, name: str = "f", arguments: str = '{"a":"x"}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def called(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def tool(call_id: str, content: Any = "so") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


HI = {"role": "user", "content": "hi"}
IN_CHAT: dict[str, list[dict[str, Any]]] = {
    "six turns": [
        {"role": "system", "content": "s"}, HI, called(chat_call("a"), chat_call("b", "g"), content="wait"),
        tool("b"), tool("a"), called(chat_call("c")), tool("c", ""), {"role": "assistant", "content": "so"},
        HI, called(chat_call("d")), tool("d", [{"type": "text", "text": "x"}]), {"role": "user", "content": "more"},
    ],
    "instructions in the middle": [HI, called(chat_call("a")), tool("a"), {"role": "system", "content": "short"}, HI],
    "arguments that are cut": [HI, called(chat_call("a", arguments='{"a":')), tool("a")],
    "arguments that are no object": [HI, called(chat_call("a", arguments="[1]")), tool("a")],
    "no arguments": [HI, called(chat_call("a", arguments="")), tool("a")],
    "no id": [HI, called(chat_call("")), tool("")],
    "a long id": [HI, called(chat_call("x" * 90)), tool("x" * 90)],
    "an odd id": [HI, called(chat_call("a b/é:|")), tool("a b/é:|")],
    "the same id again": [HI, called(chat_call("0")), tool("0"), called(chat_call("0", "g")), tool("0"), HI],
    "a name with dots": [HI, called(chat_call("a", "a.b")), tool("a")],
    "thoughts of another": [HI, called(chat_call("a"), reasoning_content="hm"), tool("a")],
    "an empty answer": [HI, {"role": "assistant", "content": ""}, HI],
    "two answers": [HI, {"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}, HI],
    "the assistant first": [{"role": "assistant", "content": "x"}, HI],
    "instructions alone": [{"role": "system", "content": "x"}],
    "a refusal": [HI, {"role": "assistant", "content": None, "refusal": "no"}, HI],
    "the retired role": [
        HI, {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
    ],
}  # fmt: skip


def use(call_id: str, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"a": "x"}}


def gave(call_id: str, content: Any = "so", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def said(*blocks: Any, role: str = "assistant") -> dict[str, Any]:
    return {
        "role": role,
        "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks],
    }


def sealed(origin: str) -> dict[str, Any]:
    seal = base64.urlsafe_b64encode(json.dumps([origin, "seal", "id", "", False]).encode()).decode()
    return {"type": "thinking", "thinking": "hm", "signature": f"fa1.{seal}"}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
IN_MESSAGES: dict[str, list[dict[str, Any]]] = {
    "six turns": [
        HI, said("wait", use("a"), use("b", "g")), said(gave("b"), gave("a"), role="user"), said(use("c")),
        said(gave("c", []), "go on", role="user"), said("so"), HI, said(use("d")),
        said(gave("d", [{"type": "text", "text": "x"}, IMAGE]), role="user"), said("done"), said("more", IMAGE, role="user"),
    ],
    "an error": [HI, said(use("a")), said(gave("a", "boom", is_error=True), role="user")],
    "an error without a word": [HI, said(use("a")), said(gave("a", [], is_error=True), role="user")],
    "a picture alone": [HI, said(use("a"), use("b")), said(gave("a", [IMAGE]), gave("b"), role="user")],
    "words before results": [HI, said(use("a")), said("here", gave("a"), role="user")],
    "words after a call": [HI, said(use("a"), "so"), said(gave("a"), role="user")],
    "instructions before results": [
        HI, said(use("a")), {"role": "system", "content": "be brief"}, said(gave("a"), role="user")
    ],
    "thoughts of Gemini": [HI, said(sealed("openrouter"), use("a")), said(gave("a"), role="user")],
    "thoughts alone": [HI, said(sealed("openrouter")), HI],
    "an id of 64 characters": [HI, said(use("x" * 64)), said(gave("x" * 64), role="user")],
    "a long name": [HI, said(use("a", "n" * 128)), said(gave("a"), role="user")],
}  # fmt: skip


def item(call_id: str, name: str = "f", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": '{"a":"x"}', **more}


def output(call_id: str, given: Any = "so") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": given}


def told(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


PICTURE = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
IN_RESPONSES: dict[str, list[dict[str, Any]]] = {
    "six turns": [
        HI, told("wait"), item("a"), item("b", "g"), output("b"), output("a"), item("c"), output("c", ""), told("so"),
        HI, item("d"), output("d", [{"type": "input_text", "text": "x"}, PICTURE]), told("done"), HI,
    ],
    "a user who speaks while tools run": [HI, item("a"), item("b"), output("a"), HI, output("b")],
    "a user who speaks before any result": [HI, item("a"), HI, output("a")],
    "instructions before a result": [HI, item("a"), {"role": "developer", "content": "short"}, output("a"), HI],
    "words between call and result": [HI, item("a"), told("calling"), output("a"), HI],
    "calls one by one": [HI, item("a"), output("a"), item("b"), output("b"), HI],
    "plain thoughts": [
        HI, {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}, item("a"), output("a"),
    ],
    "a search": [HI, {"type": "web_search_call", "id": "ws_1", "status": "completed"}, told("x"), HI],
    "no output": [HI, item("a"), output("a", [])],
    "a long id": [HI, item("x" * 70), output("x" * 70)],
    "a name with dots": [HI, item("a", "a.b"), output("a")],
    "instructions alone": [{"role": "developer", "content": "x"}],
}  # fmt: skip

ASKED: dict[tuple[str, str], dict[str, Any]] = (
    {(CHAT, name): {"messages": turns} for name, turns in IN_CHAT.items()}
    | {(MESSAGES, name): {"messages": turns, "max_tokens": 3_000} for name, turns in IN_MESSAGES.items()}
    | {(RESPONSES, name): {"input": items, "store": False} for name, items in IN_RESPONSES.items()}
)
NAMES = ("f", "g", "a.b")
TOOLS: dict[str, list[dict[str, Any]]] = {
    CHAT: [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in NAMES],
    MESSAGES: [{"name": name, "input_schema": PARAMETERS} for name in ("f", "g", "n" * 128)],
    RESPONSES: [{"type": "function", "name": name, "parameters": PARAMETERS} for name in NAMES],
}


def prepared(path: str, body: dict[str, Any], protocol: str) -> tuple[Prepared, Attempt]:
    to, traits, _, upstream_model = PROTOCOLS[protocol]
    asked = ENDPOINTS[path].parse(json.dumps({"model": "m"} | body).encode(), {})
    served = model(traits=frozenset(traits))
    made = attempt(asked, channel=to, model=served, upstream_model=upstream_model)
    return passage_for(ENDPOINTS[path], Route(to, upstream_model), served).prepare(made), made


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("path", "name"), ASKED)
def test_a_provider_takes_what_agents_say(path: str, name: str, protocol: str) -> None:
    if (path, protocol) in NATIVE:
        pytest.skip("passed on as it is")
    body = ASKED[path, name] | {"tools": TOOLS[path]}
    sent, made = prepared(path, body, protocol)

    PROTOCOLS[protocol][2](sent.body, made.route.upstream_model)


@pytest.mark.parametrize("budget", [True, False])
def test_thoughts_of_another_provider_do_not_keep_claude_from_going_on(*, budget: bool) -> None:
    turns = [HI, said(sealed("gemini"), use("a")), said(gave("a"), role="user")]
    body: dict[str, Any] = {"messages": turns, "max_tokens": 3_000, "tools": TOOLS[MESSAGES][:2]}
    if budget:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1_024}

    sent, _ = prepared(MESSAGES, body, "anthropic")

    read_messages(sent.body)
    assert sent.dropped == (("reasoning",) if budget else ())


def test_what_a_chat_client_echoes_of_another_provider_does_not_reach_openai() -> None:
    long = "call_" + "x" * 60
    call = chat_call(long) | {"extra_content": {"google": {"thought_signature": "s"}}}
    words = f'He wrote "tool_call_id":"{"y" * 50}".'
    turns = [HI, called(call, reasoning_details=[{"type": "x"}], content=words), tool(long)]
    to = channel("openai", "openai")
    asked = ENDPOINTS[CHAT].parse(json.dumps({"model": "m", "messages": turns}).encode(), {})
    made = attempt(asked, channel=to)

    body = json.loads(passage_for(ENDPOINTS[CHAT], Route(to, "m"), made.model).prepare(made).body)

    answer, result = body["messages"][1:]
    assert answer.keys() == {"role", "content", "tool_calls"}
    assert answer["content"] == words
    assert answer["tool_calls"] == [chat_call(bounded(long, 40))]
    assert result["tool_call_id"] == bounded(long, 40)


def test_a_name_that_openai_does_not_take_comes_back_as_it_was() -> None:
    sent, made = prepared(RESPONSES.replace("responses", "chat/completions"), {
        "messages": [HI], "tools": TOOLS[CHAT], "tool_choice": {"type": "function", "function": {"name": "a.b"}},
    }, "responses")  # fmt: skip
    request = json.loads(sent.body)
    theirs = request["tool_choice"]["name"]
    item_ = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": theirs, "arguments": "{}"}
    response = {"id": "resp_1", "status": "completed", "output": [item_], "usage": None}
    events = [
        {"type": "response.created", "response": response | {"output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item_ | {"arguments": ""}},
    ]
    adapter = OpenAIResponses()
    (part,) = adapter.answer(json.dumps(response).encode(), made.form).choices[0].parts
    reader = adapter.reader(made.form)
    *_, began = [event for each in events for event in reader.feed(json.dumps(each).encode())]

    assert theirs in {each["name"] for each in request["tools"]}
    assert theirs != "a.b"
    assert (part.name, began.name) == ("a.b", "a.b")  # type: ignore[union-attr]


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "anthropic"])
def test_what_claude_searched_for_is_left_out_by_name_elsewhere(protocol: str) -> None:
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    turns = [HI, said(searched, found, "It is so."), HI]

    sent, made = prepared(MESSAGES, {"messages": turns, "max_tokens": 3_000}, protocol)

    PROTOCOLS[protocol][2](sent.body, made.route.upstream_model)
    assert {"messages.server_tool_use", "messages.web_search_tool_result"} <= set(sent.dropped)
    assert b"It is so." in sent.body
    assert b"srvtoolu" not in sent.body
