"""Callers who leave in mid-stream pay for what was made, in whatever format they asked and whatever the upstream does then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from billing.spool import Usage
from gateway.call import Request
from gateway.endpoints import ENDPOINTS
from gateway.pipeline import serve
from tests.gateway.conftest import Build
from tests.gateway.house import SSE_HEAD, Upstream, chunked

SAID = "Once upon a time there was a gateway that lost its caller. "
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100},
    "/v1/responses": {"input": "hi"},
}
OPENINGS: dict[str, list[dict[str, Any]]] = {
    "openai": [{"id": "up_1", "model": "m", "choices": [{"index": 0, "delta": {"content": SAID}}]}],
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                "id": "m_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 3, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SAID}},
    ],
    "openai_responses": [
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": {"id": "resp_theirs", "status": "in_progress", "output": [], "usage": None},
        },
        {
            "type": "response.output_item.added",
            "sequence_number": 1,
            "output_index": 0,
            "item": {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
        },
        {"type": "response.output_text.delta", "sequence_number": 2, "output_index": 0, "delta": SAID},
    ],
    "gemini": [{"responseId": "r", "candidates": [{"content": {"parts": [{"text": SAID}]}}]}],
}


def _event(data: dict[str, Any]) -> bytes:
    kind = f"event: {data['type']}\n" if "type" in data else ""
    return chunked(f"{kind}data: {json.dumps(data)}\n\n".encode())


@pytest.mark.parametrize("is_silent", [True, False], ids=["silence", "an error"])
@pytest.mark.parametrize("adapter", OPENINGS)
@pytest.mark.parametrize("path", BODIES)
async def test_who_leaves_a_stream_that_never_ends_pays_for_what_was_sent(
    build: Build, upstream: Upstream, path: str, adapter: str, *, is_silent: bool
) -> None:
    house = await build(drain_s=0.2)
    house.adapter = adapter
    await house.gateway.catalog.refresh()
    # Chat clients are served in their own protocol wherever it is spoken.
    spoken = "openai" if (path, adapter) == ("/v1/chat/completions", "openai_responses") else adapter
    opening = b"".join(_event(each) for each in OPENINGS[spoken])
    error = _event({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    upstream.script = upstream.says(
        SSE_HEAD + opening, b"" if is_silent else error, pause_s=5 if is_silent else 0.05
    )
    headers = {"authorization": f"Bearer {house.token}", "content-type": "application/json"}
    body = json.dumps({"model": "m", "stream": True, **BODIES[path]}).encode()
    reply = serve(house.gateway, Request(headers, body, ENDPOINTS[path]))
    await reply.begun()
    assert reply.status == 200

    reply.leave()
    await house.settled()

    (usage,) = house.records(Usage)
    assert usage.outcome == "client_left"
    assert usage.cost_nano > 0
    # Half an answer must not come back as a whole one.
    assert house.shelf.kept == {}
