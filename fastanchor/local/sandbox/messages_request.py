"""Reading a request in Anthropic's Messages format, and refusing what Anthropic refuses."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fastanchor.local.sandbox import messages_rules
from fastanchor.local.sandbox.answers import answer_schema
from fastanchor.local.sandbox.chat_request import reasoning_tokens
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Tool, ToolChoice, Turn

_MOST_THOUGHTS = 48
_KIND = re.compile(r"Expected `(\w+)`.*`\$\.?(.*)`$")


class MessagesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a request; others are refused."""

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None = None
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    cache_control: dict[str, Any] | None = None
    container: Any = None
    context_management: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None
    mcp_servers: list[dict[str, Any]] | None = None
    speed: str | None = None
    prefill: Any = None

    @property
    def thinks(self) -> bool:
        """Tell whether thoughts come before the answer."""
        return (self.thinking or {}).get("type") in {"enabled", "adaptive", "between_tools"}

    @property
    def demands_thoughts(self) -> bool:
        """Tell whether a tool turn must begin with the thought that led to it."""
        return (self.thinking or {}).get("type") == "enabled"


def read_messages(body: bytes, *, needs_bound: bool = True) -> MessagesRequest:
    """Parse a body; raises ``BadRequest``."""
    try:
        request = msgspec.json.decode(body, type=MessagesRequest)
    except msgspec.ValidationError as exc:
        raise BadRequest(_complaint(str(exc))) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        message = "The request body is not valid JSON."
        raise BadRequest(message) from exc
    if needs_bound and request.max_tokens is None:
        message = "max_tokens: Field required"
        raise BadRequest(message)
    messages_rules.check(msgspec.structs.asdict(request), thinks=request.thinks)
    return request


def messages_conversation(request: MessagesRequest) -> Conversation:
    """Return what the model sees of a request."""
    system = [Turn("system", _text(request.system))] if request.system else []
    tools = request.tools or []
    has_search = any(str(tool.get("type", "")).startswith("web_search") for tool in tools)
    choice = request.tool_choice or {}
    return Conversation(
        model=request.model,
        turns=[*system, *map(_turn, request.messages)],
        is_stream=bool(request.stream),
        tools=[
            Tool(str(tool["name"]), schema=tool["input_schema"]) for tool in tools if "input_schema" in tool
        ],
        tools_bytes=len(msgspec.json.encode(tools)) if tools else 0,
        tool_choice=_choice(choice),
        is_parallel=not choice.get("disable_parallel_tool_use"),
        can_search=has_search,
        must_search=has_search and choice.get("name") == "web_search",
        most_tokens=request.max_tokens,
        stop=request.stop_sequences or [],
        schema=_schema(request),
        thinks=_thoughts(request),
        shows_thoughts=request.thinks and (request.thinking or {}).get("display") != "omitted",
    )


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """Return a content as a list of blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def _turn(message: dict[str, Any]) -> Turn:
    turn = Turn(str(message["role"]))
    texts: list[str] = []
    for block in blocks_of(message["content"]):
        match block["type"]:
            case "text":
                texts.append(block["text"])
            case "tool_use":
                turn.more_bytes += len(msgspec.json.encode(block))
            case "tool_result":
                turn.results += 1
                texts.append(_text(block.get("content")))
            case "image" | "document":
                turn.pictures += 1
            case _:
                pass
    turn.text = "\n".join(texts)
    if turn.results and not any(block["type"] == "text" for block in blocks_of(message["content"])):
        turn.role = "tool"
    return turn


def _text(content: Any) -> str:
    return "\n".join(str(block.get("text", "")) for block in blocks_of(content))


def _choice(choice: dict[str, Any]) -> ToolChoice:
    match choice.get("type"):
        case "none":
            return ToolChoice("none")
        case "any":
            return ToolChoice("required")
        case "tool":
            return ToolChoice("required", (str(choice.get("name")),))
        case _:
            return ToolChoice()


def _schema(request: MessagesRequest) -> dict[str, Any] | None:
    wanted = (request.output_config or {}).get("format") or request.output_format or {}
    return answer_schema(wanted.get("type"), wanted.get("schema"))


def _thoughts(request: MessagesRequest) -> int:
    if not request.thinks:
        return 0
    budget = (request.thinking or {}).get("budget_tokens")
    if budget is not None:
        return min(int(budget), _MOST_THOUGHTS)
    return reasoning_tokens((request.output_config or {}).get("effort"), "medium")


def _complaint(text: str) -> str:
    """Return a decoder's complaint as Anthropic words it."""
    unknown = re.search(r"unknown field `(\w+)`", text)
    if unknown:
        return f"{unknown.group(1)}: Extra inputs are not permitted"
    missing = re.search(r"missing required field `(\w+)`", text)
    if missing:
        return f"{missing.group(1)}: Field required"
    wrong = _KIND.search(text)
    return f"{wrong.group(2)}: Input should be a valid {wrong.group(1)}" if wrong else text
