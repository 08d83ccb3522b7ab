"""A stream of our own in every protocol and dialect, all of them saying the same, and the odd ways in which servers write.

They stand in for what no recording has, and for the recordings where these are not beside the project.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.gateway.upstreams.frames import event as frame, exception
from tests.golden.facts import Counted, Facts, words
from tests.golden.recordings import Recording

# What breaks readers that take lines or bytes for characters: a separator of lines that is none, a picture, a quote.
THOUGHT = "Let me\u2028see. "
TEXT = 'It is "hot"\u2029🫖, data: 90°.'
CALLS: list[tuple[str, Any]] = [("look_up", {"word": "tea\n"}), ("look_up", {})]
_ARGUMENTS = json.dumps(CALLS[0][1])
_CHAT_USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 12,
    "total_tokens": 42,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
_ABOUT = Counted(input=30, cached=10, output=12)
_TOLD_THOUGHT = Counted(input=30, cached=10, output=12, thought=4)

# By adapter and provider: what speaks chat completions.
_CHAT = {
    "own": ("openai", "own"),
    "groq": ("openai", "groq"),
    "mistral": ("openai", "mistral"),
    "openrouter": ("openai", "openrouter"),
    "gemini-as-chat": ("openai", "google"),
    "deepseek": ("deepseek", "deepseek"),
    "qwen": ("qwen", "alibaba"),
    "azure": ("azure", "azure"),
}
_OTHERS = {
    "openai_responses": ("openai_responses", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "gemini": ("gemini", "google"),
    "vertex": ("vertex", "google"),
    "bedrock": ("bedrock", "amazon"),
}


def _chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    head = {"id": "up_1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return head | {"choices": [choice]} | more


def _chat_call(number: int, call_id: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    told = {"id": call_id, "type": "function"} if call_id else {}
    function = ({"name": name} if name else {}) | {"arguments": arguments}
    return _chunk({"tool_calls": [{"index": number, **told, "function": function}]})


def _chat(usage: dict[str, Any] | None) -> list[dict[str, Any]]:
    last = [_chunk({}, choices=[], usage=usage)] if usage else []
    return [
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"reasoning_content": THOUGHT}),
        *(_chunk({"content": piece}) for piece in (TEXT[:8], TEXT[8:])),
        _chat_call(0, "call_a", "look_up"),
        *(_chat_call(0, arguments=piece) for piece in (_ARGUMENTS[:5], _ARGUMENTS[5:])),
        _chat_call(1, "call_b", "look_up", "{}"),
        _chunk({}, "tool_calls"),
        *last,
    ]


def _messages(*, has_usage: bool) -> list[dict[str, Any]]:
    def block(index: int, begin: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"type": "content_block_start", "index": index, "content_block": begin},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    def call(call_id: str) -> dict[str, Any]:
        return {"type": "tool_use", "id": call_id, "name": "look_up", "input": {}}

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    before = {
        "input_tokens": 20,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    after = {"output_tokens": 12, "output_tokens_details": {"thinking_tokens": 4}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}}
    return [
        {
            "type": "message_start",
            "message": message
            | {"stop_reason": None, "stop_sequence": None}
            | ({"usage": before} if has_usage else {}),
        },
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": THOUGHT},
            {"type": "signature_delta", "signature": "sig=="},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            *({"type": "text_delta", "text": piece} for piece in (TEXT[:8], TEXT[8:])),
        ),
        *block(
            2,
            call("call_a"),
            *({"type": "input_json_delta", "partial_json": piece} for piece in ("", _ARGUMENTS[:5], _ARGUMENTS[5:])),
        ),
        {"type": "ping"},
        *block(3, call("call_b")),
        ended | ({"usage": after} if has_usage else {}),
        {"type": "message_stop"},
    ]  # fmt: skip


def _gemini(*, has_usage: bool) -> list[dict[str, Any]]:
    usage = {
        "promptTokenCount": 30, "cachedContentTokenCount": 10, "candidatesTokenCount": 8, "thoughtsTokenCount": 4,
        "totalTokenCount": 42,
    }  # fmt: skip

    def chunk(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
        candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
        return {"candidates": [candidate], "responseId": "r", "modelVersion": "m"}

    calls = [{"functionCall": {"name": name, "args": given}} for name, given in CALLS]
    return [
        chunk({"text": THOUGHT, "thought": True}),
        *(chunk({"text": piece}) for piece in (TEXT[:8], TEXT[8:])),
        chunk(calls[0] | {"thoughtSignature": "c2ln"}, calls[1]),
        chunk({"text": ""}, finishReason="STOP") | ({"usageMetadata": usage} if has_usage else {}),
    ]


def _responses(*, has_usage: bool) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    output: list[dict[str, Any]] = []

    def add(kind: str, **fields: Any) -> None:
        events.append({"type": f"response.{kind}", "sequence_number": len(events), **fields})

    def response(status: str, usage: Any = None) -> dict[str, Any]:
        head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None}
        return head | {"incomplete_details": None, "model": "m", "output": list(output), "usage": usage}

    def item(begun: dict[str, Any], pieces: list[tuple[str, dict[str, Any]]], **whole: Any) -> None:
        place = {"output_index": len(output)}
        add("output_item.added", **place, item=begun)
        for kind, fields in pieces:
            add(kind, item_id=begun["id"], **place, **fields)
        output.append(begun | whole)
        add("output_item.done", **place, item=output[-1])

    add("created", response=response("in_progress"))
    add("in_progress", response=response("in_progress"))
    summary, text = (
        {"type": "summary_text", "text": THOUGHT},
        {"type": "output_text", "text": TEXT, "annotations": []},
    )
    in_summary, in_text = {"summary_index": 0}, {"content_index": 0}
    item(
        {"id": "rs_1", "type": "reasoning", "summary": []},
        [
            ("reasoning_summary_part.added", in_summary | {"part": summary | {"text": ""}}),
            ("reasoning_summary_text.delta", in_summary | {"delta": THOUGHT}),
            ("reasoning_summary_text.done", in_summary | {"text": THOUGHT}),
            ("reasoning_summary_part.done", in_summary | {"part": summary}),
        ],
        summary=[summary],
        encrypted_content="sealed",
    )
    item(
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []},
        [
            ("content_part.added", in_text | {"part": text | {"text": ""}}),
            *(
                ("output_text.delta", in_text | {"delta": piece, "logprobs": []})
                for piece in (TEXT[:8], TEXT[8:])
            ),
            ("output_text.done", in_text | {"text": TEXT, "logprobs": []}),
            ("content_part.done", in_text | {"part": text}),
        ],
        status="completed",
        content=[text],
    )
    for call_id, given in (("call_a", _ARGUMENTS), ("call_b", "{}")):
        begun = {"id": f"fc_{call_id}", "type": "function_call", "status": "in_progress", "arguments": ""}
        item(
            begun | {"call_id": call_id, "name": "look_up"},
            [
                *(("function_call_arguments.delta", {"delta": piece}) for piece in (given[:1], given[1:])),
                ("function_call_arguments.done", {"name": "look_up", "arguments": given}),
            ],
            status="completed",
            arguments=given,
        )
    usage = {
        "input_tokens": 30, "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 0},
        "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 42,
    }  # fmt: skip
    add("completed", response=response("completed", usage if has_usage else None))
    return events


def _bedrock(*, has_usage: bool) -> bytes:
    def block(index: int, *deltas: dict[str, Any], start: dict[str, Any] | None = None) -> bytes:
        begun = frame("contentBlockStart", contentBlockIndex=index, start=start) if start else b""
        told = [frame("contentBlockDelta", contentBlockIndex=index, delta=delta) for delta in deltas]
        return begun + b"".join(told) + frame("contentBlockStop", contentBlockIndex=index)

    def call(call_id: str) -> dict[str, Any]:
        return {"toolUse": {"toolUseId": call_id, "name": "look_up"}}

    usage = {"inputTokens": 20, "cacheReadInputTokens": 10, "outputTokens": 12, "totalTokens": 42}
    return b"".join([
        frame("messageStart", role="assistant"),
        block(0, {"reasoningContent": {"text": THOUGHT}}, {"reasoningContent": {"signature": "sig"}}),
        block(1, {"text": TEXT[:8]}, {"text": TEXT[8:]}),
        block(2, *({"toolUse": {"input": piece}} for piece in (_ARGUMENTS[:5], _ARGUMENTS[5:])), start=call("call_a")),
        block(3, start=call("call_b")),
        frame("messageStop", stopReason="tool_use"),
        frame("metadata", usage=usage) if has_usage else b"",
    ])  # fmt: skip


# How servers write events; each takes what an event is called, if its protocol names it, and its data.
Write = Callable[[str, str], str]


def _named(kind: str, ends: str) -> str:
    return f"event: {kind}{ends}" if kind else ""


WAYS: dict[str, Write] = {
    "plain": lambda kind, data: f"{_named(kind, chr(10))}data: {data}\n\n",
    "crlf": lambda kind, data: f"{_named(kind, chr(13) + chr(10))}data: {data}\r\n\r\n",
    "cr": lambda kind, data: f"{_named(kind, chr(13))}data: {data}\r\r",
    "no space": lambda kind, data: f"{_named(kind, chr(10))}data:{data}\n\n",
    "comments": lambda kind, data: (
        f": keep-alive\n\n:\n{_named(kind, chr(10))}: inside\ndata: {data}\n\n\n\n"
    ),
    "unnamed": lambda kind, data: f"data: {data}\n\n",
    "other fields": lambda kind, data: f"id: 7\nretry: 100\n{_named(kind, chr(10))}data: {data}\n\n",
    "several lines, crlf": lambda kind, data: f"data: {{\r\ndata: {data[1:]}\r\n\r\n",
    # Written by hand or through a pretty printer: one event on several lines.
    "several lines": lambda kind, data: f"{_named(kind, chr(10))}data: {{\ndata: {data[1:]}\n\n",
}


def stream(
    name: str, way: str = "plain", *, client: str = "chat", has_usage: bool = True, has_mark: bool = True
) -> Recording:
    """Return the stream of a protocol or dialect to a client of a format; ``has_mark``: whether its end is marked."""
    usage = (_TOLD_THOUGHT if name != "bedrock" else _ABOUT) if has_usage else None
    says = Facts(TEXT, words(THOUGHT), CALLS, "tool_calls", usage)
    if name == "bedrock":
        return recorded(name, _bedrock(has_usage=has_usage), says)
    protocol = protocol_of(name, client)
    events = _events(protocol, has_usage=has_usage)
    if not has_mark and events[-1].get("type") == "message_stop":
        events.pop()
    return recorded(name, written(events, way, has_mark=has_mark and protocol == "chat"), says)


def recorded(name: str, response: str | bytes, says: Facts | None = None) -> Recording:
    """Return a stream as if it had been recorded."""
    adapter, provider = (_CHAT | _OTHERS)[name]
    return Recording(
        name, adapter, provider, is_stream=True, status=200, request={}, response=response, says=says
    )


def written(events: list[dict[str, Any]], way: str = "plain", *, has_mark: bool = False) -> str:
    """Return events as a server writes them."""
    texts = [WAYS[way](str(each.get("type", "")), json.dumps(each, ensure_ascii=False)) for each in events]
    # No mark can stand on several lines.
    mark = WAYS["plain" if way.startswith("several lines") else way]("", "[DONE]") if has_mark else ""
    return "".join(texts) + mark


def protocol_of(name: str, client: str) -> str:
    """Return what a channel speaks with a client: Azure has two protocols at one address."""
    if (name, client) == ("azure", "responses"):
        return "openai_responses"
    return _OTHERS.get(name, ("chat",))[0]


def _events(protocol: str, *, has_usage: bool) -> list[dict[str, Any]]:
    match protocol:
        case "anthropic":
            return _messages(has_usage=has_usage)
        case "gemini" | "vertex":
            return _gemini(has_usage=has_usage)
        case "openai_responses":
            return _responses(has_usage=has_usage)
        case _:
            return _chat(_CHAT_USAGE if has_usage else None)


# By protocol: what it says inside a stream when it fails there.
_OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
_UNAVAILABLE = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
_SERVER_ERROR = {"code": "server_error", "message": "It broke.", "param": None}
FAILURES: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}},
        _chunk({"content": ""}, "error", error={"code": 502, "message": "Provider disconnected"}),
        {"object": "error", "message": "CUDA is out of memory", "code": 500},
        _chunk({}, "insufficient_system_resource"),
    ],
    "anthropic": [{"type": "error", "error": _OVERLOADED}],
    "gemini": [{"error": _UNAVAILABLE}],
    "vertex": [{"error": _UNAVAILABLE}],
    "openai_responses": [
        {"type": "error", "sequence_number": 5, **_SERVER_ERROR},
        {"type": "error", "sequence_number": 5, "error": _SERVER_ERROR},
        {
            "type": "response.failed",
            "sequence_number": 5,
            "response": {"id": "resp_1", "status": "failed", "error": _SERVER_ERROR, "output": []},
        },
    ],
}
_EXCEPTIONS = (
    "internalServerException", "modelStreamErrorException", "serviceUnavailableException", "throttlingException",
    "validationException",
)  # fmt: skip


def failing(name: str, client: str) -> list[Recording]:
    """Return streams that say in their middle that they failed, and yet go on, in each of the protocol's words for it."""
    if name == "bedrock":
        begun = frame("messageStart", role="assistant")
        rest = _bedrock(has_usage=True).removeprefix(begun)
        return [recorded(name, begun + exception(kind, message="x") + rest) for kind in _EXCEPTIONS]
    protocol = protocol_of(name, client)
    events = _events(protocol, has_usage=True)
    return [recorded(name, written([*events[:3], failure, *events[3:]])) for failure in FAILURES[protocol]]


def blocked(name: str, client: str) -> list[Recording]:
    """Return streams that a filter stopped before anything was said."""
    match protocol := protocol_of(name, client):
        case "bedrock":
            stops = ("guardrail_intervened", "content_filtered")
            start = frame("messageStart", role="assistant")
            return [recorded(name, start + frame("messageStop", stopReason=stop)) for stop in stops]
        case "anthropic":
            head, end = _messages(has_usage=True)[0], _messages(has_usage=True)[-2:]
            events = [head, end[0] | {"delta": {"stop_reason": "refusal", "stop_sequence": None}}, end[1]]
            return [recorded(name, written(events))]
        case "gemini" | "vertex":
            reasons = ("SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "OTHER")
            prompts: list[dict[str, Any]] = [
                {"promptFeedback": {"blockReason": reason}, "responseId": "r"} for reason in reasons
            ]
            answer = {"candidates": [{"finishReason": "SAFETY", "index": 0}], "responseId": "r"}
            return [recorded(name, written([each])) for each in (*prompts, answer)]
        case "openai_responses":
            why = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
            first, *_, last = _responses(has_usage=True)
            last = {"type": "response.incomplete", "sequence_number": 1, "response": last["response"] | why}
            return [recorded(name, written([first, last]))]
        case _:
            assert protocol == "chat"
            events = [_chunk({"role": "assistant"}), _chunk({}, "content_filter")]
            return [recorded(name, written(events, has_mark=True))]


NAMES = (*_CHAT, *_OTHERS)
