"""Clients of the three formats as their protocols are written down: what they send and what they keep of an answer.

They keep only what the oldest SDKs keep (text, tool calls, ids), so whatever an upstream wants back beyond that must be
remembered by the gateway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from tests.golden.facts import events

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
PARAMETERS = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
TOOL, ABOUT = "look_up", "Looks a word up."
# A red pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="


@dataclass(frozen=True, slots=True)
class Wish:
    """One question in no format yet."""

    text: str
    is_stream: bool = False
    has_tool: bool = False
    has_image: bool = False
    has_schema: bool = False
    thinks: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call as a client keeps it."""

    id: str
    name: str
    arguments: str


class Speaker(Protocol):
    """One format."""

    name: str
    path: str

    def ask(self, model: str, wish: Wish) -> dict[str, Any]:
        """Return the body of a question."""

    def calls(self, told: str, *, is_stream: bool) -> list[Called]:
        """Return the tool calls of an answer."""

    def go_on(self, body: dict[str, Any], calls: list[Called], result: str) -> dict[str, Any]:
        """Return the body that follows on an answer with tool calls."""

    def thought(self, told: str, *, is_stream: bool) -> str:
        """Return what an answer shows of its thoughts."""


class ChatSpeaker:
    """Chat completions."""

    name = "chat"
    path = "/chat/completions"

    def ask(self, model: str, wish: Wish) -> dict[str, Any]:
        content: Any = wish.text
        if wish.has_image:
            picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
            content = [{"type": "text", "text": wish.text}, picture]
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
        if wish.is_stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if wish.has_tool:
            function = {"name": TOOL, "description": ABOUT, "parameters": PARAMETERS}
            body["tools"] = [{"type": "function", "function": function}]
        if wish.has_schema:
            schema = {"name": "town", "schema": SCHEMA, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if wish.thinks:
            body["reasoning_effort"] = "medium"
        if wish.most:
            body["max_completion_tokens"] = wish.most
        return body

    def calls(self, told: str, *, is_stream: bool) -> list[Called]:
        if not is_stream:
            given = json.loads(told)["choices"][0]["message"].get("tool_calls") or []
            return [
                Called(each["id"], each["function"]["name"], each["function"]["arguments"]) for each in given
            ]
        pieces: dict[int, list[str]] = {}
        for delta in [choice["delta"] for chunk in events(told) for choice in chunk["choices"]]:
            for call in delta.get("tool_calls") or ():
                kept = pieces.setdefault(call["index"], ["", "", ""])
                function = call.get("function") or {}
                for place, more in enumerate(
                    (call.get("id"), function.get("name"), function.get("arguments"))
                ):
                    kept[place] += more or ""
        return [Called(*kept) for _, kept in sorted(pieces.items())]

    def go_on(self, body: dict[str, Any], calls: list[Called], result: str) -> dict[str, Any]:
        made = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        answers = [{"role": "tool", "tool_call_id": call.id, "content": result} for call in calls]
        turn = {"role": "assistant", "content": None, "tool_calls": made}
        return body | {"messages": [*body["messages"], turn, *answers]}

    def thought(self, told: str, *, is_stream: bool) -> str:
        if not is_stream:
            return json.loads(told)["choices"][0]["message"].get("reasoning_content") or ""
        deltas = [choice["delta"] for chunk in events(told) for choice in chunk["choices"]]
        return "".join(delta.get("reasoning_content") or "" for delta in deltas)


class MessagesSpeaker:
    """Anthropic's Messages."""

    name = "messages"
    path = "/messages"

    def ask(self, model: str, wish: Wish) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": wish.text}]
        if wish.has_image:
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            content.append({"type": "image", "source": source})
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": wish.most or 4_000,
            "messages": [{"role": "user", "content": content}],
        }
        if wish.is_stream:
            body["stream"] = True
        if wish.has_tool:
            body["tools"] = [{"name": TOOL, "description": ABOUT, "input_schema": PARAMETERS}]
        if wish.has_schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if wish.thinks:
            body["thinking"] = {"type": "enabled", "budget_tokens": 1_024}
        return body

    def calls(self, told: str, *, is_stream: bool) -> list[Called]:
        if not is_stream:
            blocks = [block for block in json.loads(told)["content"] if block["type"] == "tool_use"]
            return [Called(block["id"], block["name"], json.dumps(block["input"])) for block in blocks]
        kept: dict[int, list[str]] = {}
        for event in events(told):
            block = event.get("content_block", {})
            if block.get("type") == "tool_use":
                kept[event["index"]] = [block["id"], block["name"], ""]
            elif event["type"] == "content_block_delta" and event["index"] in kept:
                kept[event["index"]][2] += event["delta"]["partial_json"]
        return [Called(*each) for _, each in sorted(kept.items())]

    def go_on(self, body: dict[str, Any], calls: list[Called], result: str) -> dict[str, Any]:
        made = [
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.name,
                "input": json.loads(call.arguments or "{}"),
            }
            for call in calls
        ]
        answers = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call in calls]
        turns = [{"role": "assistant", "content": made}, {"role": "user", "content": answers}]
        return body | {"messages": [*body["messages"], *turns]}

    def thought(self, told: str, *, is_stream: bool) -> str:
        if not is_stream:
            return "".join(block.get("thinking", "") for block in json.loads(told)["content"])
        deltas = [event["delta"] for event in events(told) if event["type"] == "content_block_delta"]
        return "".join(delta.get("thinking", "") for delta in deltas)


class ResponsesSpeaker:
    """OpenAI's Responses, without anything stored."""

    name = "responses"
    path = "/responses"

    def ask(self, model: str, wish: Wish) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "input_text", "text": wish.text}]
        if wish.has_image:
            content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"})
        body: dict[str, Any] = {
            "model": model,
            "store": False,
            "input": [{"role": "user", "content": content}],
        }
        if wish.is_stream:
            body["stream"] = True
        if wish.has_tool:
            body["tools"] = [
                {"type": "function", "name": TOOL, "description": ABOUT, "parameters": PARAMETERS}
            ]
        if wish.has_schema:
            wanted = {"type": "json_schema", "name": "town", "schema": SCHEMA, "strict": True}
            body["text"] = {"format": wanted}
        if wish.thinks:
            body["reasoning"] = {"effort": "medium", "summary": "auto"}
        if wish.most:
            body["max_output_tokens"] = wish.most
        return body

    def _output(self, told: str, *, is_stream: bool) -> list[Any]:
        if not is_stream:
            return list(json.loads(told)["output"])
        return [event["item"] for event in events(told) if event["type"] == "response.output_item.done"]

    def calls(self, told: str, *, is_stream: bool) -> list[Called]:
        items = [item for item in self._output(told, is_stream=is_stream) if item["type"] == "function_call"]
        return [Called(item["call_id"], item["name"], item["arguments"]) for item in items]

    def go_on(self, body: dict[str, Any], calls: list[Called], result: str) -> dict[str, Any]:
        made = [
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
            for call in calls
        ]
        answers = [{"type": "function_call_output", "call_id": call.id, "output": result} for call in calls]
        return body | {"input": [*body["input"], *made, *answers]}

    def thought(self, told: str, *, is_stream: bool) -> str:
        items = [item for item in self._output(told, is_stream=is_stream) if item["type"] == "reasoning"]
        return "".join(part["text"] for item in items for part in item["summary"])


SPEAKERS: dict[str, Speaker] = {
    each.name: each for each in (ChatSpeaker(), MessagesSpeaker(), ResponsesSpeaker())
}
# Where each format says what kind an error is, and what it calls a bad request.
ERROR_CODE = {"chat": "code", "messages": "type", "responses": "code"}
BAD_REQUEST = {"chat": "invalid_request", "messages": "invalid_request_error", "responses": "invalid_request"}
