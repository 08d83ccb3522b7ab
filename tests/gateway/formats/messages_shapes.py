"""Anthropic's own types as a judge of what is written for its clients."""

from __future__ import annotations

import json
from typing import Any

import anthropic.types as shapes
from pydantic import BaseModel, TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(shapes.RawMessageStreamEvent)
_MESSAGE: TypeAdapter[Any] = TypeAdapter(shapes.Message)


def message_of(body: bytes) -> dict[str, Any]:
    """Return a whole message that has every field that it needs, each of its type, and none beside them."""
    message: dict[str, Any] = json.loads(body)
    _refuse_extra(_MESSAGE.validate_json(body, strict=True))
    return message


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, each with its line and valid, and in the order that the protocol wants."""
    events = []
    for written in stream.decode().split("\n\n")[:-1]:
        name, data = written.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] not in {"ping", "error"}:
            _refuse_extra(_EVENT.validate_json(data.removeprefix("data: "), strict=True))
        events.append(event)
    _check_order([each for each in events if each["type"] != "ping"])
    return events


def _check_order(events: list[dict[str, Any]]) -> None:
    opened, is_open = 0, False
    for place, event in enumerate(events):
        kind = event["type"]
        assert (kind == "message_start") == (place == 0)
        if kind == "content_block_start":
            assert not is_open
            assert event["index"] == opened
            opened, is_open = opened + 1, True
        elif kind.startswith("content_block_"):
            assert is_open
            assert event["index"] == opened - 1
            is_open = kind != "content_block_stop"
        elif kind in {"message_delta", "message_stop"}:
            assert not is_open


def blocks_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the content that a client puts together from a stream."""
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
            if blocks[-1]["type"] in {"tool_use", "server_tool_use"}:
                blocks[-1]["input"] = ""
        elif event["type"] == "content_block_delta":
            _add(blocks[-1], event["delta"])
    return blocks


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        block["input"] += delta["partial_json"]
    elif delta["type"] == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        name = delta["type"].removesuffix("_delta")
        block[name] += delta[name]


def _refuse_extra(value: Any) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, (type(value).__name__, value.model_extra)
        for name in type(value).model_fields:
            _refuse_extra(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            _refuse_extra(each)
