"""Reading a request of Gemini's own protocol, and refusing what Gemini refuses."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fastanchor.local.sandbox import gemini_rules
from fastanchor.local.sandbox.answers import answer_schema
from fastanchor.local.sandbox.chat_request import reasoning_tokens
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Tool, ToolChoice, Turn
from fastanchor.local.sandbox.dialect import decode

_THINKS = re.compile(r"gemini-(2\.5-(pro|flash$|flash-\d)|[3-9])")
_MOST_THOUGHTS = 48
_PART_KINDS = ("inlineData", "fileData")
_SNAKE = re.compile(r"_([a-z])")


class GeminiRequest(msgspec.Struct):
    """A request whose keys are all in camel case."""

    contents: list[dict[str, Any]]
    system: str
    tools: list[dict[str, Any]]
    calling: dict[str, Any]
    config: dict[str, Any]

    @property
    def thinking(self) -> dict[str, Any]:
        """Return what is asked about thoughts."""
        return dict(self.config.get("thinkingConfig") or {})

    @property
    def functions(self) -> list[dict[str, Any]]:
        """Return the functions on offer."""
        return [function for tool in self.tools for function in tool.get("functionDeclarations", [])]


def read_gemini(body: bytes, model: str) -> GeminiRequest:
    """Parse a body; raises ``BadRequest``."""
    raw = _renamed(decode(body, "Invalid JSON payload received."), "", "root")
    request = GeminiRequest(
        contents=[_content(content, number) for number, content in enumerate(_list(raw, "contents"))],
        system="\n".join(_texts(_content(raw.get("systemInstruction") or {}, 0))),
        tools=[_tool(tool, number) for number, tool in enumerate(_list(raw, "tools"))],
        calling=_calling(raw.get("toolConfig") or {}),
        config=_renamed(raw.get("generationConfig") or {}, "generation_config", "config"),
    )
    if request.config.get("thinkingConfig"):
        request.config["thinkingConfig"] = _renamed(
            request.config["thinkingConfig"], "generation_config.thinking_config", "thinking"
        )
    gemini_rules.check(request.contents, request.config, request.functions, model)
    return request


def gemini_conversation(request: GeminiRequest, model: str, *, is_stream: bool) -> Conversation:
    """Return what the model sees of a request."""
    config = request.config
    system = [Turn("system", request.system)] if request.system else []
    has_search = any("googleSearch" in tool or "googleSearchRetrieval" in tool for tool in request.tools)
    return Conversation(
        model=model,
        turns=[*system, *map(_turn, request.contents)],
        is_stream=is_stream,
        tools=[Tool(str(one["name"]), schema=_parameters(one)) for one in request.functions],
        tools_bytes=len(msgspec.json.encode(request.tools)) if request.tools else 0,
        tool_choice=_choice(request.calling),
        can_search=has_search,
        most_tokens=config.get("maxOutputTokens"),
        stop=config.get("stopSequences") or [],
        answers=config.get("candidateCount") or 1,
        seed=config.get("seed"),
        schema=_schema(config),
        thinks=_thoughts(request.thinking, model),
        shows_thoughts=bool(request.thinking.get("includeThoughts")),
    )


def _renamed(value: Any, place: str, kind: str) -> dict[str, Any]:
    """Return an object with camel-case keys; refuse a key that the protocol does not have there."""
    if not isinstance(value, dict):
        message = f"Invalid value at '{place}': expected an object."
        raise BadRequest(message)
    renamed: dict[str, Any] = {}
    for key, inner in value.items():
        name = _SNAKE.sub(lambda found: found.group(1).upper(), key) if not key.startswith("_") else key
        if name not in gemini_rules.KEYS[kind]:
            where = f" at '{place}'" if place else ""
            message = f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
            raise BadRequest(message)
        renamed[name] = inner
    return renamed


def _list(raw: dict[str, Any], name: str) -> list[Any]:
    found = raw.get(name) or []
    # A single content need not be in a list.
    return found if isinstance(found, list) else [found]


def _content(content: Any, number: int) -> dict[str, Any]:
    place = f"contents[{number}]"
    content = _renamed(content, place, "content")
    parts = [_part(part, f"{place}.parts[{index}]") for index, part in enumerate(content.get("parts") or [])]
    return {**content, "parts": parts}


def _part(raw: Any, place: str) -> dict[str, Any]:
    part = _renamed(raw, place, "part")
    for kind, keys in (
        ("functionCall", "call"),
        ("functionResponse", "response"),
        ("inlineData", "blob"),
        ("fileData", "file"),
    ):
        if kind in part:
            part[kind] = _renamed(part[kind], f"{place}.{kind}", keys)
    return part


def _tool(raw: Any, number: int) -> dict[str, Any]:
    place = f"tools[{number}]"
    tool = _renamed(raw, place, "tool")
    if "functionDeclarations" in tool:
        tool["functionDeclarations"] = [
            _renamed(one, f"{place}.function_declarations[{index}]", "function")
            for index, one in enumerate(tool["functionDeclarations"])
        ]
    return tool


def _calling(config: Any) -> dict[str, Any]:
    config = _renamed(config, "tool_config", "tool_config")
    return _renamed(
        config.get("functionCallingConfig") or {}, "tool_config.function_calling_config", "calling"
    )


def _turn(content: dict[str, Any]) -> Turn:
    turn = Turn("assistant" if content.get("role") == "model" else "user")
    turn.text = "\n".join(_texts(content))
    for part in content["parts"]:
        if "functionCall" in part:
            turn.more_bytes += len(msgspec.json.encode(part["functionCall"]))
        if "functionResponse" in part:
            turn.more_bytes += len(msgspec.json.encode(part["functionResponse"]))
            turn.results += 1
            turn.role = "tool"
        turn.pictures += any(kind in part for kind in _PART_KINDS)
    return turn


def _texts(content: dict[str, Any]) -> list[str]:
    return [str(part["text"]) for part in content["parts"] if "text" in part and not part.get("thought")]


def _parameters(function: dict[str, Any]) -> dict[str, Any] | None:
    return function.get("parametersJsonSchema") or function.get("parameters")


def _choice(calling: dict[str, Any]) -> ToolChoice:
    names = tuple(calling.get("allowedFunctionNames") or ())
    match str(calling.get("mode", "AUTO")).upper():
        case "NONE":
            return ToolChoice("none")
        case "ANY":
            return ToolChoice("required", names)
        case _:
            return ToolChoice("auto", names)


def _schema(config: dict[str, Any]) -> dict[str, Any] | None:
    if config.get("responseMimeType") != "application/json":
        return None
    schemas = (config.get(name) for name in ("responseJsonSchema", "_responseJsonSchema", "responseSchema"))
    schema = next((schema for schema in schemas if schema), None)
    return answer_schema("json_schema" if schema else "json_object", schema)


def _thoughts(thinking: dict[str, Any], model: str) -> int:
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if level:
        return reasoning_tokens(str(level).lower())
    if budget is not None and budget >= 0:
        return min(int(budget), _MOST_THOUGHTS)
    return reasoning_tokens("low") if _THINKS.search(model) else 0
