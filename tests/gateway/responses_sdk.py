"""Responses and their events checked against the types of the official SDK, every required field included."""

from __future__ import annotations

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
# The SDK leaves these out of its type, though OpenAI sends and documents them.
_REQUIRED = {
    "id", "object", "created_at", "status", "error", "incomplete_details", "instructions", "model", "tools", "output",
    "parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p", "usage", "previous_response_id",
    "reasoning", "store", "text", "truncation", "user", "max_output_tokens", "background", "service_tier",
}  # fmt: skip


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """Return a stream's events; each must be named by its line ``event:`` and numbered from 0."""
    events: list[dict[str, Any]] = []
    for block in stream.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == len(events)
        events.append(event)
    return events


def check_events(events: list[dict[str, Any]]) -> None:
    """Fail unless each event has what the SDK's type of it needs, and items and parts begin and end in order."""
    open_items: dict[int, str] = {}
    ended = 0
    for event in events:
        if event["type"] != "error":
            _EVENTS.validate_python(event)
        if "response" in event:
            check_response(event["response"])
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(open_items)
            open_items[event["output_index"]] = event["item"]["id"]
        elif event["type"] == "response.output_item.done":
            assert event["output_index"] == ended
            assert open_items[event["output_index"]] == event["item"]["id"]
            ended += 1
        elif "item_id" in event:
            assert event["output_index"] == ended
            assert open_items[event["output_index"]] == event["item_id"]
    assert ended == len(open_items)


def check_response(response: dict[str, Any]) -> None:
    """Fail unless a response has all fields that the SDK and OpenAI's specification require."""
    Response.model_validate(response)
    assert response.keys() >= _REQUIRED
