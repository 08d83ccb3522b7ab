"""Every client format in front of every upstream protocol: text, tools, schemas, pictures, thoughts, ends and errors.

The cells are generated from three lists. What a cell's model cannot do by the catalog's word must be a 400 that names
the parameter.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.golden.facts import ANSWER, STREAM, Facts, events
from tests.live.product import LiveProduct
from tests.matrix.speakers import ERROR_OF, PNG, SPEAKERS, TOOL, Called, Speaker, Wish

# By upstream protocol: a model that the product reaches through it.
MODELS = {
    "openai": "groq/meta-llama/llama-4-scout-17b-16e-instruct",
    "openai_responses": "gpt-5",
    "anthropic": "claude-sonnet-4-20250514",
    "gemini": "gemini-3.0-pro",
    "deepseek": "deepseek-v4-flash",
    "qwen": "qwen-3.7-max",
}
MOST_TRIES = 20
SHOWS_THOUGHTS = ("anthropic", "gemini", "deepseek", "qwen")


class Cell:
    """One format in front of one protocol."""

    def __init__(self, speaker: Speaker, protocol: str, http: httpx2.Client, product: LiveProduct) -> None:
        self.speaker = speaker
        self.protocol = protocol
        self.model = MODELS[protocol]
        self.http = http
        self.product = product
        self.nonce = uuid.uuid4().hex[:12]

    def post(self, body: dict[str, Any]) -> httpx2.Response:
        return self.http.post(self.speaker.path, json=body)

    def ask(self, order: str, **wish: Any) -> httpx2.Response:
        text = f"Speak. [[sandbox nonce={self.nonce} {order}]]"
        return self.post(self.speaker.ask(self.model, Wish(text, **wish)))

    def facts(self, response: httpx2.Response, *, is_stream: bool) -> Facts:
        assert response.status_code == 200, response.text
        told = response.text
        return STREAM[self.speaker.name](told) if is_stream else ANSWER[self.speaker.name](json.loads(told))

    def upstream_bodies(self) -> list[Any]:
        """Return what the providers were asked in this cell."""
        asked = [entry for sandbox in self.product.sandboxes for entry in sandbox.log(self.nonce)]
        return [entry["body"] for entry in asked if entry.get("body")]

    def heal(self) -> None:
        """Let every channel of the model answer once, so that no breaker opens and spoils other cells."""
        for sandbox in self.product.sandboxes:
            for _ in range(MOST_TRIES):
                self.ask('text="well again"')
                if any("well again" in str(entry.get("body")) for entry in sandbox.log(self.nonce)):
                    break
                if self.protocol == "openai" and sandbox is not self.product.sandboxes[0]:
                    break

    def abilities(self) -> dict[str, Any]:
        shown = self.http.get(f"/models/{self.model}", headers={"anthropic-version": ""}).json()
        return dict(shown)


def text(cell: Cell, *, is_stream: bool) -> None:
    facts = cell.facts(cell.ask('text="two words"', is_stream=is_stream), is_stream=is_stream)

    assert facts.text == "two words"
    assert facts.reason == "stop"
    assert facts.usage is not None
    assert facts.usage.input > 0
    assert facts.usage.output > 0


def tools(cell: Cell, *, is_stream: bool) -> None:
    script = (
        'script="call:look_up {\\"word\\":\\"tea\\"} + call:look_up {\\"word\\":\\"pot\\"}|text:It is hot."'
    )
    first = Wish(f"Speak. [[sandbox nonce={cell.nonce} {script}]]", is_stream=is_stream, has_tool=True)
    body = cell.speaker.ask(cell.model, first)
    response = cell.post(body)
    facts = cell.facts(response, is_stream=is_stream)
    calls = cell.speaker.calls(response.text, is_stream=is_stream)

    assert facts.calls == [(TOOL, {"word": "tea"}), (TOOL, {"word": "pot"})]
    assert facts.reason == "tool_calls"
    assert len({call.id for call in calls}) == 2
    _second_turn(cell, body, calls, is_stream=is_stream)


def _second_turn(cell: Cell, body: dict[str, Any], calls: list[Called], *, is_stream: bool) -> None:
    follow_up = cell.speaker.go_on(body, calls, "a drink, 90 degrees")
    facts = cell.facts(cell.post(follow_up), is_stream=is_stream)

    assert facts.text == "It is hot."
    assert facts.reason == "stop"
    assert max(str(body).count("a drink, 90 degrees") for body in cell.upstream_bodies()) == 2


def structured(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask("tokens=12", is_stream=is_stream, has_schema=True)
    if "json_schema" not in cell.abilities()["capabilities"] and response.status_code == 400:
        assert _error(cell, response)[0] in {"invalid_request", "invalid_request_error"}
        return
    facts = cell.facts(response, is_stream=is_stream)

    made = json.loads(facts.text)
    assert set(made) == {"city", "people"}
    assert isinstance(made["people"], int)
    assert facts.reason == "stop"


def image(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask('text="a red pixel"', is_stream=is_stream, has_image=True)
    if "image" not in cell.abilities()["input_modalities"]:
        assert response.status_code == 400
        assert "image" in response.text
        return
    facts = cell.facts(response, is_stream=is_stream)

    assert facts.text == "a red pixel"
    assert any(PNG in str(body) for body in cell.upstream_bodies())


def reasoning(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask('think="Let me see." text="two words"', is_stream=is_stream, thinks=True)
    facts = cell.facts(response, is_stream=is_stream)

    assert facts.text == "two words"
    assert facts.reason == "stop"
    if cell.protocol in SHOWS_THOUGHTS:
        assert cell.speaker.thought(response.text, is_stream=is_stream) == "Let me see."


def length(cell: Cell, *, is_stream: bool) -> None:
    facts = cell.facts(cell.ask("tokens=400 think=0", is_stream=is_stream, most=20), is_stream=is_stream)

    assert facts.reason == "length"
    assert facts.text
    assert facts.usage is not None
    assert facts.usage.output <= 20


def refusal(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask("refuse=1", is_stream=is_stream)
    facts = cell.facts(response, is_stream=is_stream)

    # Only OpenAI's protocols have a word for it; models elsewhere refuse in plain ones.
    refused = _refusal_of(response.text, is_stream=is_stream)
    assert facts.reason == "content_filter" or "sorry" in facts.text + refused


def _refusal_of(told: str, *, is_stream: bool) -> str:
    """Return what stands in a field of its own for refusals, in either of OpenAI's formats."""
    if is_stream:
        said = list(events(told))
        deltas = [choice["delta"] for each in said for choice in each.get("choices", ())]
        told_apart = [each["delta"] for each in said if each.get("type") == "response.refusal.delta"]
        return "".join([*(delta.get("refusal") or "" for delta in deltas), *told_apart])
    body = json.loads(told)
    messages = [choice["message"] for choice in body.get("choices", ())]
    parts = [part for item in body.get("output", ()) for part in item.get("content", ())]
    return "".join(each.get("refusal") or "" for each in (*messages, *parts))


def _error(cell: Cell, response: httpx2.Response) -> tuple[str, str | None]:
    return ERROR_OF[cell.speaker.name](response.json())


def bad_request(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask("error=400", is_stream=is_stream)

    assert response.status_code == 400
    assert _error(cell, response)[0] in {"invalid_request", "invalid_request_error"}


def failure(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask("error=500", is_stream=is_stream)

    assert response.status_code == 500
    assert _error(cell, response)[0] in {"upstream_error", "api_error"}
    assert response.headers["x-should-retry"] == "false"
    cell.heal()


def broken(cell: Cell, *, is_stream: bool) -> None:
    response = cell.ask("tokens=20 close_after=5 think=0", is_stream=is_stream)
    if not is_stream:
        # Whole answers that break off are asked for again, and every time break off.
        assert response.status_code == 500
        cell.heal()
        return
    facts = STREAM[cell.speaker.name](response.text)

    assert facts.has_error
    assert not _ends_cleanly(response.text)
    cell.heal()


def _ends_cleanly(told: str) -> bool:
    kinds = [event.get("type") for event in events(told)]
    return "[DONE]" in told or "message_stop" in kinds or "response.completed" in kinds


Scene = Callable[..., None]
SCENES: tuple[Scene, ...] = (
    text, tools, structured, image, reasoning, length, refusal, bad_request, failure, broken,
)  # fmt: skip
CELLS = [
    pytest.param(*cell, id=f"{cell[0]}-{cell[1]}-{cell[2].__name__}-{cell[3]}")
    for cell in itertools.product(SPEAKERS, MODELS, SCENES, ("whole", "stream"))
]


@pytest.mark.parametrize(("name", "protocol", "scene", "way"), CELLS)
def test_cell(
    name: str,
    protocol: str,
    scene: Scene,
    way: str,
    clients: dict[str, httpx2.Client],
    matrix_product: LiveProduct,
) -> None:
    scene(Cell(SPEAKERS[name], protocol, clients[name], matrix_product), is_stream=way == "stream")
