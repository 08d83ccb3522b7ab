"""``python -m bench.translation``: CPU per chunk of every passage from a client's format to an upstream's protocol.

Each passage reads the same answer in its upstream's protocol, chunk by chunk, and writes it in the client's format: once
with chunks of text, once with chunks of thoughts and once with pieces of a tool call's arguments. Nothing else runs. The
figures are the fastest of several rounds, taken in turn, and their ratio to chat's text passed on as it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from typing import Any

from bench.translation_streams import KINDS, Kind, wire_of
from catalog.snapshot import Channel, Model, Price, Rates, Route, Tier
from gateway.asked import Attempt
from gateway.endpoints import ENDPOINTS
from gateway.formats.base import Format
from gateway.passages.table import passage_for

TARGET_US = 25.0
# Each is a call from its beginning to its end, so that the target for a chunk does not hold.
WHOLE_CALLS = ("gemini", "tool")
ADAPTERS = ("openai", "openai_responses", "anthropic", "gemini", "deepseek", "qwen", "bedrock")
FORMATS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
_QUESTIONS: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8_000},
}


def attempt_of(format_: Format, adapter: str) -> Attempt:
    """Return an attempt at a stream through an adapter."""
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


def measure(format_: Format, adapter: str, kind: Kind) -> float:
    """Return the microseconds of CPU that one chunk takes on its passage."""
    attempt = attempt_of(format_, adapter)
    passage = passage_for(format_, attempt.route, attempt.model)
    wire = wire_of(adapter, kind)
    translator, splitter = passage.stream(attempt), passage.splitter()
    started = time.process_time_ns()
    for piece in wire:
        for event in splitter.feed(piece):
            translator.feed(event)
    return (time.process_time_ns() - started) / 1_000 / len(wire)


def main() -> int:
    """Print a table; with ``--strict`` exit 1 when a passage is slower than its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.translation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--strict", action="store_true", help=f"exit 1 above {TARGET_US} us a chunk")
    words = parser.parse_args()
    ways = list(itertools.product(FORMATS, ADAPTERS, KINDS))
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(words.rounds):
        for name, adapter, kind in ways:
            took = measure(ENDPOINTS[FORMATS[name]], adapter, kind)
            best[name, adapter, kind] = min(best[name, adapter, kind], took)
    native = best["chat", "openai", "text"]
    print(f"{'client':10} {'upstream':18} {'chunks':8} {'us/chunk':>9} {'x native chat':>14}")
    for (name, adapter, kind), took in best.items():
        print(f"{name:10} {adapter:18} {kind:8} {took:9.2f} {took / native:14.1f}")
    held = [took for (_, adapter, kind), took in best.items() if (adapter, kind) != WHOLE_CALLS]
    return int(words.strict and max(held) > TARGET_US)


if __name__ == "__main__":
    raise SystemExit(main())
