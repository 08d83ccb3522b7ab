"""Recorded traffic of every provider, as an Anthropic client would see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.pricing import Usage
from gateway.assembly import Assembly
from gateway.form import Refusal, Text, ToolCall
from gateway.formats.messages import Messages
from gateway.formats.messages_writer import usage_object
from gateway.passages.table import ADAPTERS
from gateway.passages.translation import Translation
from gateway.upstreams.base import BadAnswer
from tests.gateway.attempts import ask, attempt, channel, model
from tests.gateway.formats.messages_shapes import blocks_of, events_of, message_of

RECORDINGS = Path(__file__).resolve().parents[4] / "shared" / "recordings"
# What an endpoint speaks, by a part of its address.
_ADAPTERS = {
    "/v1/messages": "anthropic",
    "/responses": "openai_responses",
    "/chat/completions": "openai",
    "enerateContent": "gemini",
}
_QUESTION = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no folder with recorded provider traffic")


def recorded(*, is_stream: bool) -> Iterator[tuple[str, str, Any]]:
    """Return name, adapter and answer of each recorded exchange that went well."""
    for path in sorted(RECORDINGS.glob("*/*.json")):
        exchange = json.loads(path.read_text(encoding="utf-8"))
        adapter = next((name for mark, name in _ADAPTERS.items() if mark in exchange["endpoint"]), None)
        if adapter and exchange["status"] == 200 and path.name.endswith(".stream.json") == is_stream:
            yield path.name, adapter, exchange["response"]


def words(parts: list[Any]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))


def test_every_recorded_answer_is_a_valid_message_that_says_the_same() -> None:
    seen = 0
    to = attempt(ask(Messages(), _QUESTION), model=model("m"), channel=channel())
    for name, adapter, said in recorded(is_stream=False):
        body = json.dumps(said).encode()
        try:
            result = ADAPTERS[adapter].answer(body, to.asked.form())
        except BadAnswer:
            continue
        answer = Translation(Messages(), ADAPTERS[adapter]).answer(body, to)
        message = message_of(answer.body)

        parts = result.choices[0].parts
        texts = [block["text"] for block in message["content"] if block["type"] == "text"]
        assert "".join(texts) == words(parts), name
        calls = [(b["id"], b["name"]) for b in message["content"] if b["type"] == "tool_use"]
        assert calls == [(part.id, part.name) for part in parts if isinstance(part, ToolCall)], name
        if result.usage is not None:
            assert message["usage"].items() >= usage_object(result.usage).items(), name
        seen += 1
    assert seen >= 100


def test_every_recorded_stream_is_a_valid_stream_that_says_the_same() -> None:
    seen = 0
    to = attempt(ask(Messages(), _QUESTION), model=model("m"), channel=channel())
    for name, adapter, said in recorded(is_stream=True):
        passage = Translation(Messages(), ADAPTERS[adapter])
        splitter, translator = passage.splitter(), passage.stream(to)
        reader = ADAPTERS[adapter].reader(to.asked.form())
        pieces = splitter.feed(said.encode()) + splitter.finish()
        try:
            wire = b"".join([translator.feed(piece) for piece in pieces])
        except BadAnswer:
            continue
        assembly = Assembly()
        assembly.take([event for piece in pieces for event in reader.feed(piece)])

        assert translator.finish_reason, name
        usage = translator.usage or Usage(1, 0, 0, 2, 0)
        written = events_of(wire + translator.closing(usage))
        blocks = blocks_of(written)
        parts = assembly.result().choices[0].parts
        assert "".join(block["text"] for block in blocks if block["type"] == "text") == words(parts), name
        calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        wanted = [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)]
        assert calls == wanted, name
        assert written[-2]["usage"] == usage_object(usage), name
        seen += 1
    assert seen >= 40
