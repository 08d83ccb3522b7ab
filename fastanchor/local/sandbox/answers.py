"""What the sandbox says: text, tool calls or JSON, cut to the caller's bounds and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from random import Random
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox import prose
from fastanchor.local.sandbox.chat_request import ChatRequest
from fastanchor.local.sandbox.directives import Directive, without_directives
from fastanchor.local.sandbox.examples import Examples

# The index of the choice, the delta, how many tokens it carries.
Delta = tuple[int, dict[str, Any], int]

_REASONING_TOKENS = {"low": 16, "medium": 48, "high": 128, "xhigh": 256, "max": 256}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; ``kind`` is ``function`` (JSON arguments) or ``custom`` (free text)."""

    id: str
    kind: str
    name: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer: text pieces or tool calls."""

    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...]
    finish_reason: str

    @property
    def tokens(self) -> int:
        """Return how many pieces the caller gets."""
        return len(self.pieces) + sum(len(call.pieces) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Answer:
    """All choices, and the tokens thought but not shown."""

    choices: tuple[Choice, ...]
    reasoning_tokens: int

    @property
    def completion_tokens(self) -> int:
        """Return the output tokens, reasoning included."""
        return self.reasoning_tokens + sum(choice.tokens for choice in self.choices)

    def deltas(self) -> Iterator[Delta]:
        """Yield everything piece by piece, the choices taking turns."""
        turns = zip_longest(*(_deltas(index, choice) for index, choice in enumerate(self.choices)))
        return (delta for delta in chain.from_iterable(turns) if delta is not None)


def compose(request: ChatRequest, directive: Directive) -> Answer:
    """Return the answer to a request; the same request gets the same one."""
    most = None if directive.ignore_max else request.most_tokens
    reasoning = _REASONING_TOKENS.get(request.reasoning_effort or "", 0)
    if most is not None:
        reasoning = min(reasoning, most // 2)
        most -= reasoning
    choices = tuple(_choice(request, directive, index, most) for index in range(request.n or 1))
    return Answer(choices=choices, reasoning_tokens=reasoning)


def _choice(request: ChatRequest, directive: Directive, index: int, most: int | None) -> Choice:
    prompt = without_directives(request.prompt())
    source = prose.seeded(request.model, prompt, request.seed, index)
    tools = _tools_to_call(request)
    if tools and directive.text is None:
        return _cut_calls(tuple(_call(tool, source, request.last_words()) for tool in tools), most)
    pieces = _text(request, directive, source)
    text = "".join(pieces)
    kept = _before_stop(text, request.stop)
    if kept != text:
        pieces = prose.tokenize(kept)
    if most is not None and len(pieces) > most:
        return Choice(tuple(pieces[:most]), (), "length")
    return Choice(tuple(pieces), (), "stop")


def _text(request: ChatRequest, directive: Directive, source: Random) -> list[str]:
    if directive.text is not None:
        return prose.tokenize(directive.text)
    schema = _answer_schema(request.response_format or {})
    if schema is not None:
        value = Examples(schema, source=source, prompt=request.last_words()).value()
        return prose.tokenize(msgspec.json.encode(value).decode())
    about = prose.topics(request.last_words())
    if directive.tokens is not None:
        return prose.write(source, about=about, tokens=directive.tokens, is_exact=True)
    return prose.write(source, about=about, tokens=prose.natural_length(source), is_exact=False)


def _answer_schema(response_format: dict[str, Any]) -> dict[str, Any] | None:
    match response_format.get("type"):
        case "json_schema":
            return dict(response_format.get("json_schema", {}).get("schema", {}))
        case "json_object":
            texts = {"topic": {"type": "string"}, "answer": {"type": "string"}}
            return {"type": "object", "properties": texts, "required": list(texts)}
        case _:
            return None


def _before_stop(text: str, stop: str | list[str] | None) -> str:
    for sequence in [stop] if isinstance(stop, str) else stop or []:
        text = text.split(sequence, 1)[0] if sequence else text
    return text


def _tools_to_call(request: ChatRequest) -> list[dict[str, Any]]:
    """Return the tools to call now: those named in the prompt, else the first; none after a tool's answer."""
    choice, tools = request.tool_choice, request.tools or []
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", {})
        choice, names = allowed.get("mode"), {_tool_name(tool) for tool in allowed.get("tools", [])}
        tools = [tool for tool in tools if _tool_name(tool) in names]
    if isinstance(choice, dict):
        return [tool for tool in tools if _tool_name(tool) == _tool_name(choice)][:1]
    if choice == "none" or request.messages[-1].get("role") == "tool":
        return []
    named = [tool for tool in tools if _tool_name(tool) in request.last_words()]
    return named if named and request.parallel_tool_calls is not False else (named or tools)[:1]


def _tool_name(tool: dict[str, Any]) -> str:
    return str(tool.get(str(tool.get("type")), {}).get("name", ""))


def _call(tool: dict[str, Any], source: Random, prompt: str) -> ToolCall:
    kind = str(tool.get("type", "function"))
    if kind == "custom":
        pieces = prose.write(source, about=prose.topics(prompt), tokens=12, is_exact=True)
    else:
        schema = tool["function"].get("parameters") or {"type": "object", "properties": {}}
        value = Examples(schema, source=source, prompt=prompt).value()
        pieces = prose.tokenize(msgspec.json.encode(value).decode())
    return ToolCall(f"call_{random_base62(24)}", kind, _tool_name(tool), tuple(pieces))


def _cut_calls(calls: tuple[ToolCall, ...], most: int | None) -> Choice:
    if most is None or sum(len(call.pieces) for call in calls) <= most:
        return Choice((), calls, "tool_calls")
    kept: list[ToolCall] = []
    for call in calls:
        kept.append(ToolCall(call.id, call.kind, call.name, call.pieces[:most]))
        most -= len(kept[-1].pieces)
        if not most:
            break
    return Choice((), tuple(kept), "length")


def _deltas(index: int, choice: Choice) -> Iterator[Delta]:
    for piece in choice.pieces:
        yield index, {"content": piece}, 1
    for number, call in enumerate(choice.calls):
        field = "input" if call.kind == "custom" else "arguments"
        opening = {"id": call.id, "type": call.kind, call.kind: {"name": call.name, field: ""}}
        yield index, {"tool_calls": [{"index": number, **opening}]}, 0
        for piece in call.pieces:
            yield index, {"tool_calls": [{"index": number, call.kind: {field: piece}}]}, 1
