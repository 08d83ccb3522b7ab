"""``python -m bench.translation``: CPU per chunk of every passage from a client's format to an upstream's protocol.

Each passage reads the same answer in its upstream's protocol, chunk by chunk, and writes it in the client's format;
nothing else runs. The figures are the fastest of several rounds, taken in turn, and their ratio to chat passed on as it is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from catalog.snapshot import Channel, Model, Price, Rates, Route, Tier
from gateway.asked import Attempt
from gateway.endpoints import ENDPOINTS
from gateway.formats.base import Format
from gateway.passages.table import passage_for

CHUNKS = 400
TARGET_US = 25.0
_TEXT = " seven words of an answer, more or less"
_ADAPTERS = ("openai", "openai_responses", "anthropic", "gemini", "deepseek", "qwen")
_FORMATS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
_QUESTIONS: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8_000},
}


def _event(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _chat_stream() -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream/name"}
    delta = {"index": 0, "delta": {"content": _TEXT}, "logprobs": None, "finish_reason": None}
    return [_event(head | {"choices": [delta], "usage": None})] * CHUNKS


def _responses_stream() -> list[bytes]:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": "m",
        "output": [],
    }
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    opening: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.in_progress", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part, **place},
    ]
    delta = {"type": "response.output_text.delta", "delta": _TEXT, "logprobs": [], **place}
    events = opening + [delta] * CHUNKS
    return [_event({"sequence_number": number} | event) for number, event in enumerate(events)]


def _messages_stream() -> list[bytes]:
    usage = {"input_tokens": 9, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_1",
        "stop_reason": None,
        "stop_sequence": None,
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": usage,
    }
    opening: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": _TEXT}}
    return [_event(each) for each in opening + [delta] * CHUNKS]


def _gemini_stream() -> list[bytes]:
    candidate = {"content": {"parts": [{"text": _TEXT}], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
    return [_event({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"})] * CHUNKS


_STREAMS: dict[str, Callable[[], list[bytes]]] = {
    "openai_responses": _responses_stream,
    "anthropic": _messages_stream,
    "gemini": _gemini_stream,
}


def _attempt(format_: Format, adapter: str) -> Attempt:
    body = {"model": "m", "stream": True, **_QUESTIONS[format_.name]}
    channel = Channel(
        "chan_1", "one", "other", adapter, "https://upstream.example/v1", "sk", 1, 1, allow_private=False
    )
    rates = Rates(input=1_000, cached_input=1_000, cache_write=1_000, output=1_000)
    model = Model(
        id="m", provider="other", name="M", context_window=100_000, max_output=8_192, created=0, routes=(),
        capabilities=frozenset({"streaming"}), input_modalities=("text",), output_modalities=("text",),
        prices=(Price("price_1", 0, (Tier(0, rates),)),),
        # Else chat would be passed on to the provider's chat completions.
        traits=frozenset({"responses_only"} if adapter == "openai_responses" else ()),
    )  # fmt: skip
    asked = format_.parse(json.dumps(body).encode(), {})
    return Attempt(asked, model, Route(channel, "upstream/name"), "req_1", {}, model.prices[0])


def measure(format_: Format, adapter: str) -> float:
    """Return the microseconds of CPU that one chunk takes on its passage."""
    attempt = _attempt(format_, adapter)
    passage = passage_for(format_, attempt.route, attempt.model)
    events = _STREAMS.get(adapter, _chat_stream)()
    translator, splitter = passage.stream(attempt), passage.splitter()
    wire = [b"data: " + event + b"\n\n" for event in events]
    started = time.process_time_ns()
    for piece in wire:
        for event in splitter.feed(piece):
            translator.feed(event)
    return (time.process_time_ns() - started) / 1_000 / len(events)


def main() -> int:
    """Print a table; with ``--strict`` exit 1 when a passage is slower than its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--strict", action="store_true", help=f"exit 1 above {TARGET_US} us a chunk")
    words = parser.parse_args()
    pairs = [(name, adapter) for name in _FORMATS for adapter in _ADAPTERS]
    best = dict.fromkeys(pairs, float("inf"))
    for _ in range(words.rounds):
        for name, adapter in pairs:
            took = measure(ENDPOINTS[_FORMATS[name]], adapter)
            best[name, adapter] = min(best[name, adapter], took)
    native = best["chat", "openai"]
    print(f"{'client':10} {'upstream':18} {'us/chunk':>9} {'x native chat':>14}")
    for (name, adapter), took in best.items():
        print(f"{name:10} {adapter:18} {took:9.2f} {took / native:14.1f}")
    return int(words.strict and max(best.values()) > TARGET_US)


if __name__ == "__main__":
    raise SystemExit(main())
