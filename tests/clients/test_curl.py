"""curl, on a model of every provider's format, through each of the three formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import give_up
from tests.clients.running import PROGRAMS, SENTENCE, run_in
from tests.clients.snippets import Values, documented
from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

ASKED = f'[[sandbox text="{SENTENCE}"]] Write a sentence with every letter.'
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

Body = dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """How one format asks, and where its answers keep what matters."""

    path: str
    fields: Callable[[str], Body]
    tool: Body
    text: Callable[[Body], str]
    call: Callable[[Body], str]
    piece: Callable[[Body], str]
    is_last: Callable[[Body], bool]


def _messages(prompt: str) -> Body:
    return {"messages": [{"role": "user", "content": prompt}]}


def _of_kind(items: list[Body], kind: str) -> Body:
    (found,) = (item for item in items if item["type"] == kind)
    return found


WIRES = {
    "chat": Wire(
        "/chat/completions",
        _messages,
        {"type": "function", "function": {"name": "get_weather", "parameters": CITY}},
        text=lambda answer: answer["choices"][0]["message"]["content"],
        call=lambda answer: answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"],
        piece=lambda event: event["choices"][0]["delta"].get("content") or "",
        is_last=lambda event: event["choices"][0]["finish_reason"] == "stop",
    ),
    "responses": Wire(
        "/responses",
        lambda prompt: {"input": prompt},
        {"type": "function", "name": "get_weather", "parameters": CITY, "strict": False},
        text=lambda answer: _of_kind(answer["output"], "message")["content"][0]["text"],
        call=lambda answer: _of_kind(answer["output"], "function_call")["name"],
        piece=lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
        is_last=lambda event: event["type"] == "response.completed",
    ),
    "messages": Wire(
        "/messages",
        lambda prompt: {**_messages(prompt), "max_tokens": 1000},
        {"name": "get_weather", "input_schema": CITY},
        text=lambda answer: answer["content"][-1]["text"],
        call=lambda answer: answer["content"][-1]["name"],
        piece=lambda event: event.get("delta", {}).get("text", ""),
        is_last=lambda event: event["type"] == "message_stop",
    ),
}


@dataclass(frozen=True)
class Curl:
    """curl with a customer's key."""

    product: LiveProduct
    key: str
    folder: Path

    def __call__(self, path: str, body: Body, *, key: str = "") -> str:
        """Return what curl printed: the body, then the status on a line of its own."""
        command = ["curl", "--silent", "--show-error", "--no-buffer", f"{self.product.base_url}{path}"]
        headers = ["-H", f"Authorization: Bearer {key or self.key}", "-H", "Content-Type: application/json"]
        ending = ["-d", json.dumps(body), "-w", "\n%{http_code}"]
        return run_in(self.folder, [*command, *headers, *ending], {}).stdout

    def answer(self, path: str, body: Body, *, key: str = "") -> tuple[int, Body]:
        """Return status and parsed answer."""
        text, _, status = self(path, body, key=key).rpartition("\n")
        return int(status), json.loads(text)

    def events(self, path: str, body: Body) -> list[Body]:
        """Return the events of a stream."""
        lines = self(path, {**body, "stream": True}).splitlines()
        texts = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [json.loads(text) for text in texts if text != "[DONE]"]


@pytest.fixture(scope="module")
def curl(product: LiveProduct, tmp_path_factory: pytest.TempPathFactory) -> Curl:
    """Return curl as a new customer uses it."""
    if shutil.which("curl") is None:
        give_up("curl is not tested: it is not installed.")
    return Curl(product, product.new_customer()[1], tmp_path_factory.mktemp("curl"))


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    """Return each format."""
    return WIRES[request.param]


def test_the_documented_line_is_answered(curl: Curl, model: str) -> None:
    values = Values(curl.product.base_url, curl.key, model, "Hello!")

    done = run_in(curl.folder, ["sh", "-c", documented(PROGRAMS / "curl.sh", values)], {})

    assert WIRES["chat"].text(json.loads(done.stdout))


def test_a_whole_answer_arrives(curl: Curl, wire: Wire, model: str) -> None:
    status, answer = curl.answer(wire.path, {"model": model, **wire.fields(ASKED)})

    assert status == 200
    assert wire.text(answer) == SENTENCE


def test_a_stream_arrives_in_pieces_and_ends_as_it_should(curl: Curl, wire: Wire, model: str) -> None:
    events = curl.events(wire.path, {"model": model, **wire.fields(ASKED)})

    pieces = [piece for piece in map(wire.piece, events) if piece]
    assert "".join(pieces) == SENTENCE
    assert len(pieces) >= 5
    assert wire.is_last(events[-1])


def test_a_tool_is_called(curl: Curl, wire: Wire, model: str) -> None:
    asked = {"model": model, "tools": [wire.tool], **wire.fields("What should I wear in Paris?")}

    status, answer = curl.answer(wire.path, asked)

    assert status == 200
    assert wire.call(answer) == "get_weather"


def test_refusals_have_their_status(curl: Curl, wire: Wire) -> None:
    asked = {"model": "gpt-4o", **wire.fields("Hello.")}

    assert curl.answer(wire.path, asked, key="fa_live_nobody")[0] == 401
    assert curl.answer(wire.path, {**asked, "model": "gpt-none"})[0] == 404
    assert curl.answer(wire.path, {**asked, "temperature": 5})[0] == 400
