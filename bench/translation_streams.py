"""One answer as each upstream protocol streams it: chunks of text, of thoughts, or of a tool call's arguments."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

Kind = Literal["text", "thoughts", "tool"]
KINDS: tuple[Kind, ...] = ("text", "thoughts", "tool")

_CHUNKS = 400
PIECE = " seven words of an answer, more or less"
# Opens the text that all pieces of a call's arguments are part of.
_ARGUMENTS = '{"text":"'


def wire_of(adapter: str, kind: Kind) -> list[bytes]:
    """Return the stream of an adapter's upstream, an event in each piece."""
    if adapter == "bedrock":
        return [_frame(name, event) for name, event in _bedrock(kind)]
    events = _STREAMS.get(adapter, _chat)(kind)
    return [b"data: " + _json(event) + b"\n\n" for event in events]


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _chat(kind: Kind) -> list[dict[str, Any]]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream/name"}

    def chunk(delta: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return head | {"choices": [choice], "usage": None}

    if kind == "tool":
        opening = {"id": "call_1", "type": "function", "function": {"name": "say", "arguments": _ARGUMENTS}}
        piece = chunk({"tool_calls": [{"index": 0, "function": {"arguments": PIECE}}]})
        return [chunk({"tool_calls": [{"index": 0, **opening}]})] + [piece] * _CHUNKS
    return [chunk({"content" if kind == "text" else "reasoning_content": PIECE})] * _CHUNKS


def _responses(kind: Kind) -> list[dict[str, Any]]:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": "m",
        "output": [],
    }
    begun, delta = _RESPONSES[kind]
    opening: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        *begun,
    ]
    events = opening + [delta] * _CHUNKS
    return [{"sequence_number": number, "output_index": 0} | event for number, event in enumerate(events)]  # fmt: skip


def _responses_text() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"content_index": 0, "item_id": "msg_1"}
    begun: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "item": item},
        {"type": "response.content_part.added", "part": part, **place},
    ]
    return begun, {"type": "response.output_text.delta", "delta": PIECE, "logprobs": [], **place}


def _responses_thoughts() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    item = {"id": "rs_1", "type": "reasoning", "summary": []}
    place = {"summary_index": 0, "item_id": "rs_1"}
    begun: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "item": item},
        {
            "type": "response.reasoning_summary_part.added",
            "part": {"type": "summary_text", "text": ""},
            **place,
        },
    ]
    return begun, {"type": "response.reasoning_summary_text.delta", "delta": PIECE, **place}


def _responses_tool() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    item = {
        "id": "fc_1",
        "type": "function_call",
        "status": "in_progress",
        "call_id": "call_1",
        "name": "say",
    }
    delta = {"type": "response.function_call_arguments.delta", "item_id": "fc_1"}
    begun: list[dict[str, Any]] = [
        {"type": "response.output_item.added", "item": item | {"arguments": ""}},
        delta | {"delta": _ARGUMENTS},
    ]
    return begun, delta | {"delta": PIECE}


_RESPONSES = {"text": _responses_text(), "thoughts": _responses_thoughts(), "tool": _responses_tool()}


def _messages(kind: Kind) -> list[dict[str, Any]]:
    usage = {"input_tokens": 9, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1", "stop_reason": None, "stop_sequence": None, "type": "message", "role": "assistant",
        "model": "m", "content": [], "usage": usage,
    }  # fmt: skip
    blocks: dict[Kind, tuple[dict[str, Any], dict[str, Any]]] = {
        "text": ({"type": "text", "text": ""}, {"type": "text_delta", "text": PIECE}),
        "thoughts": (
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": PIECE},
        ),
        "tool": (
            {"type": "tool_use", "id": "toolu_1", "name": "say", "input": {}},
            {"type": "input_json_delta", "partial_json": PIECE},
        ),
    }
    block, piece = blocks[kind]
    delta = {"type": "content_block_delta", "index": 0, "delta": piece}
    opening: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    if kind == "tool":
        opening.append(delta | {"delta": {"type": "input_json_delta", "partial_json": _ARGUMENTS}})
    return opening + [delta] * _CHUNKS


def _gemini(kind: Kind) -> list[dict[str, Any]]:
    parts: dict[Kind, dict[str, Any]] = {
        "text": {"text": PIECE},
        "thoughts": {"text": PIECE, "thought": True},
        # Its calls come whole.
        "tool": {"functionCall": {"name": "say", "args": {"text": PIECE}}, "thoughtSignature": "c2VhbA=="},
    }
    candidate = {"content": {"parts": [parts[kind]], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
    return [{"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}] * _CHUNKS


def _bedrock(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    pieces: dict[Kind, dict[str, Any]] = {
        "text": {"text": PIECE},
        "thoughts": {"reasoningContent": {"text": PIECE}},
        "tool": {"toolUse": {"input": PIECE}},
    }
    delta = {"contentBlockIndex": 0, "delta": pieces[kind], "p": "abcdefgh"}
    opening: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant", "p": "abcd"})]
    if kind == "tool":
        start = {"toolUse": {"toolUseId": "tooluse_1", "name": "say"}}
        opening.append(("contentBlockStart", {"contentBlockIndex": 0, "start": start}))
        opening.append(("contentBlockDelta", delta | {"delta": {"toolUse": {"input": _ARGUMENTS}}}))
    return opening + [("contentBlockDelta", delta)] * _CHUNKS


def _frame(name: str, event: dict[str, Any]) -> bytes:
    headers = ((":event-type", name), (":content-type", "application/json"), (":message-type", "event"))
    head = b"".join(
        b"%c%b\x07%b%b" % (len(key), key.encode(), struct.pack(">H", len(value)), value.encode())
        for key, value in headers
    )
    payload = _json(event)
    sizes = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    told = sizes + struct.pack(">I", zlib.crc32(sizes)) + head + payload
    return told + struct.pack(">I", zlib.crc32(told))


_STREAMS: dict[str, Callable[[Kind], list[dict[str, Any]]]] = {
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
}
