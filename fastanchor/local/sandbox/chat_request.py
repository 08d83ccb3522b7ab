"""Reading a request in OpenAI's chat format."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fastanchor.local.sandbox.answers import answer_schema
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Tool, ToolChoice, Turn

_REASONING_TOKENS = {"minimal": 4, "low": 16, "medium": 48, "high": 128, "xhigh": 256, "max": 256}
_PLACE = re.compile(r"at `\$\.?([^`]+)`")
_FIELD = re.compile(r"field `(\w+)`")


class ChatRequest(msgspec.Struct):
    """The fields read here; every other field is accepted and ignored."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = 1
    seed: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = True
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    web_search_options: dict[str, Any] | None = None
    # DeepSeek's and Qwen's own.
    thinking: dict[str, Any] | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = None

    @property
    def wants_usage(self) -> bool:
        """Say whether the stream ends in a usage chunk."""
        return bool((self.stream_options or {}).get("include_usage"))

    @property
    def wants_obfuscation(self) -> bool:
        """Say whether chunks are padded, which OpenAI does unless told otherwise."""
        return (self.stream_options or {}).get("include_obfuscation") is not False


def read_chat(body: bytes) -> ChatRequest:
    """Parse a body; raises ``BadRequest``."""
    try:
        request = msgspec.json.decode(body, type=ChatRequest)
    except msgspec.ValidationError as exc:
        raise BadRequest(str(exc), field_in(str(exc))) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        message = "We could not parse the JSON body of your request."
        raise BadRequest(message) from exc
    if not request.messages:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1."
        raise BadRequest(message, "messages")
    _refuse_loose_tools(request.messages)
    return request


def chat_conversation(request: ChatRequest) -> Conversation:
    """Return what the model sees of a request."""
    bounds = (request.max_completion_tokens, request.max_tokens)
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    return Conversation(
        model=request.model,
        turns=[_turn(message) for message in request.messages],
        is_stream=bool(request.stream),
        tools=[_tool(tool) for tool in request.tools or []],
        tools_bytes=len(msgspec.json.encode(request.tools)) if request.tools else 0,
        tool_choice=_choice(request.tool_choice),
        is_parallel=request.parallel_tool_calls is not False,
        can_search=request.web_search_options is not None,
        must_search=request.web_search_options is not None,
        most_tokens=next((bound for bound in bounds if bound is not None), None),
        stop=stop,
        answers=request.n or 1,
        seed=request.seed,
        schema=_schema(request.response_format or {}),
        thinks=_REASONING_TOKENS.get(request.reasoning_effort or "", 0),
    )


def field_in(complaint: str) -> str | None:
    """Return the field that a decoder complains of."""
    found = _PLACE.search(complaint) or _FIELD.search(complaint)
    return found.group(1) if found else None


def reasoning_tokens(effort: str | None, default: str = "") -> int:
    """Return how much an effort thinks."""
    return _REASONING_TOKENS.get(effort or default, 0)


def text_of(content: Any) -> str:
    """Return the text of a content that is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def pictures_in(content: Any) -> int:
    """Return how many parts of a content are no text."""
    parts = content if isinstance(content, list) else []
    return sum(1 for part in parts if isinstance(part, dict) and "text" not in part)


def _turn(message: dict[str, Any]) -> Turn:
    role, calls = str(message.get("role")), message.get("tool_calls")
    return Turn(
        role={"developer": "system"}.get(role, role),
        text=text_of(message.get("content")),
        more_bytes=len(msgspec.json.encode(calls)) if calls else 0,
        pictures=pictures_in(message.get("content")),
        results=1 if role in {"tool", "function"} else 0,
    )


def _tool(tool: dict[str, Any]) -> Tool:
    kind = str(tool.get("type", "function"))
    inner = tool.get(kind)
    if not isinstance(inner, dict) or not inner.get("name"):
        message = f"Missing required parameter: 'tools[0].{kind}'."
        raise BadRequest(message, "tools")
    return Tool(str(inner["name"]), kind, inner.get("parameters"))


def _choice(choice: str | dict[str, Any] | None) -> ToolChoice:
    if isinstance(choice, str):
        return ToolChoice(choice if choice in {"none", "required"} else "auto")  # type: ignore[arg-type]
    if not choice:
        return ToolChoice()
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", {})
        mode: Any = allowed.get("mode", "auto")
        return ToolChoice(mode, tuple(map(_name, allowed.get("tools", []))))
    return ToolChoice("required", (_name(choice),))


def _name(tool: dict[str, Any]) -> str:
    return str(tool.get(str(tool.get("type")), {}).get("name", ""))


def _schema(response_format: dict[str, Any]) -> dict[str, Any] | None:
    kind = response_format.get("type")
    return answer_schema(kind, (response_format.get("json_schema") or {}).get("schema"))


def _refuse_loose_tools(messages: list[dict[str, Any]]) -> None:
    """Refuse tool results without their call, and calls without their results."""
    owed: list[str] = []
    for number, message in enumerate(messages):
        if message.get("role") != "tool":
            _refuse_owed(owed)
            calls = message.get("tool_calls") or []
            owed = [str(call.get("id")) for call in calls if isinstance(call, dict)]
            continue
        if message.get("tool_call_id") not in owed:
            text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            raise BadRequest(f"Invalid parameter: {text}", f"messages.[{number}].role")
        owed.remove(message["tool_call_id"])
    _refuse_owed(owed)


def _refuse_owed(owed: list[str]) -> None:
    if owed:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(owed)}"
        )
        raise BadRequest(text, "messages")
