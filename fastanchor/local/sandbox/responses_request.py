"""Reading a request of OpenAI's Responses, and refusing what OpenAI refuses."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fastanchor.local.sandbox.answers import answer_schema
from fastanchor.local.sandbox.chat_request import field_in, reasoning_tokens, text_of
from fastanchor.local.sandbox.conversation import BadRequest, Conversation, Tool, ToolChoice, Turn
from fastanchor.local.sandbox.responses_memory import Memory
from fastanchor.local.sandbox.seals import is_intact, is_of

_UNKNOWN = re.compile(r"unknown field `(\w+)`")
_SEARCHES = ("web_search", "web_search_preview")
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_OUTPUTS = set(_CALLS.values()) | {"local_shell_call_output", "shell_call_output", "apply_patch_call_output"}
_ITEMS = {*_CALLS, *_OUTPUTS, "message", "reasoning", "item_reference", "compaction", "additional_tools"}
_TOOLS = {
    "function", "custom", "namespace", "web_search", "web_search_preview", "file_search", "code_interpreter", "mcp",
    "image_generation", "local_shell", "shell", "apply_patch", "computer", "computer_use_preview", "tool_search",
    "programmatic_tool_calling",
}  # fmt: skip
_LEAST_OUTPUT = 16


class ResponsesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a request; others are refused."""

    model: str = ""
    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = True
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None
    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    store: bool | None = True
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    include: list[str] | None = None
    background: bool | None = None
    background_options: Any = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    context_management: Any = None
    client_metadata: Any = None
    access_programs: Any = None
    moderation: Any = None
    image: Any = None

    @property
    def summarizes(self) -> bool:
        """Tell whether the caller gets a summary of the thoughts."""
        return bool((self.reasoning or {}).get("summary"))

    def items(self) -> list[dict[str, Any]]:
        """Return the input as items."""
        if isinstance(self.input, str):
            return [{"type": "message", "role": "user", "content": self.input}] if self.input else []
        return self.input


def read_responses(body: bytes, memory: Memory) -> tuple[ResponsesRequest, list[dict[str, Any]]]:
    """Return a request and all items before the answer, stored ones included; raises ``BadRequest``."""
    request = _decoded(body)
    _check_fields(request)
    items = request.items()
    before: list[dict[str, Any]] = []
    if request.previous_response_id:
        stored = memory.items(request.previous_response_id)
        if stored is None:
            message = f"Previous response with id '{request.previous_response_id}' not found."
            raise BadRequest(message, "previous_response_id", kind="previous_response_not_found")
        before = stored
    _check_items(items)
    _check_calls([*before, *items])
    _check_thoughts([*before, *items], memory)
    return request, [*before, *items]


def responses_conversation(request: ResponsesRequest, items: list[dict[str, Any]]) -> Conversation:
    """Return what the model sees of a request."""
    instructions = [Turn("system", request.instructions)] if request.instructions else []
    tools = request.tools or []
    format_ = (request.text or {}).get("format") or {}
    return Conversation(
        model=request.model,
        turns=[*instructions, *(turn for item in items for turn in _turns(item))],
        is_stream=bool(request.stream),
        tools=[one for tool in tools for one in _tools(tool)],
        tools_bytes=len(msgspec.json.encode(tools)) if tools else 0,
        tool_choice=_choice(request.tool_choice),
        is_parallel=request.parallel_tool_calls is not False,
        can_search=any(tool["type"].startswith(_SEARCHES) for tool in tools),
        must_search=isinstance(request.tool_choice, dict)
        and str(request.tool_choice.get("type")).startswith(_SEARCHES),
        most_tokens=request.max_output_tokens,
        schema=answer_schema(format_.get("type"), format_.get("schema")),
        thinks=reasoning_tokens((request.reasoning or {}).get("effort")),
        shows_thoughts=request.summarizes,
    )


def _decoded(body: bytes) -> ResponsesRequest:
    try:
        return msgspec.json.decode(body, type=ResponsesRequest)
    except msgspec.ValidationError as exc:
        if unknown := _UNKNOWN.search(str(exc)):
            message = f"Unknown parameter: '{unknown.group(1)}'."
            raise BadRequest(message, unknown.group(1), kind="unknown_parameter") from exc
        param = field_in(str(exc))
        raise BadRequest(f"Invalid type for '{param}': {exc}", param, kind="invalid_type") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        message = "We could not parse the JSON body of your request."
        raise BadRequest(message) from exc


def _check_fields(request: ResponsesRequest) -> None:
    if not request.model:
        message = "Missing required parameter: 'model'."
        raise BadRequest(message, "model", kind="missing_required_parameter")
    if not request.input and not request.previous_response_id and not request.conversation:
        message = (
            "One of 'input' or 'previous_response_id' or 'prompt' or 'conversation_id' must be provided."
        )
        raise BadRequest(message, "input", kind="missing_required_parameter")
    if request.max_output_tokens is not None and request.max_output_tokens < _LEAST_OUTPUT:
        message = (
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {_LEAST_OUTPUT}, "
            f"but got {request.max_output_tokens} instead."
        )
        raise BadRequest(message, "max_output_tokens", kind="integer_below_min_value")
    for number, tool in enumerate(request.tools or []):
        kind = str(tool.get("type", "")).split("_20", maxsplit=1)[0]
        if kind not in _TOOLS:
            message = f"Invalid value: '{kind}'. Supported values are: {', '.join(sorted(_TOOLS))}."
            raise BadRequest(message, f"tools[{number}].type", kind="invalid_value")
        if kind in {"function", "custom", "namespace"} and not tool.get("name"):
            message = f"Missing required parameter: 'tools[{number}].name'."
            raise BadRequest(message, f"tools[{number}].name", kind="missing_required_parameter")


def _check_items(items: list[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        if kind not in _ITEMS and not str(kind).endswith(("_call", "_output")):
            message = f"Invalid value: '{kind}'. Supported values are: {', '.join(sorted(_ITEMS))}."
            raise BadRequest(message, f"input[{number}]", kind="invalid_value")
        if kind == "message":
            _check_parts(number, item)


def _check_parts(number: int, item: dict[str, Any]) -> None:
    is_answer = item.get("role") == "assistant"
    allowed = (
        {"output_text", "refusal"}
        if is_answer
        else {"input_text", "input_image", "input_file", "input_audio"}
    )
    content = item.get("content")
    for place, part in enumerate(content if isinstance(content, list) else []):
        if part.get("type") not in allowed:
            message = (
                f"Invalid value: '{part.get('type')}'. Supported values are: "
                f"{' and '.join(repr(name) for name in sorted(allowed))}."
            )
            raise BadRequest(message, f"input[{number}].content[{place}]", kind="invalid_value")


def _check_calls(items: list[dict[str, Any]]) -> None:
    called = {item.get("call_id") for item in items if item.get("type") in _CALLS}
    given = {item.get("call_id") for item in items if item.get("type") in _OUTPUTS}
    for item in items:
        id_, kind = item.get("call_id"), item.get("type")
        if kind in _CALLS and id_ not in given:
            message = f"No tool output found for {str(kind).replace('_', ' ')} {id_}."
            raise BadRequest(message, "input")
        if kind in _CALLS.values() and id_ not in called:
            message = f"No tool call found for {str(kind).replace('_', ' ')} with call_id {id_}."
            raise BadRequest(message, "input")


def _check_thoughts(items: list[dict[str, Any]], memory: Memory) -> None:
    seen: set[str] = set()
    for item in items:
        id_ = str(item.get("id", ""))
        if item.get("type") == "reasoning":
            seen.add(id_)
            _check_thought(id_, item, memory)
        elif (needed := memory.thought_before(id_)) and needed not in seen:
            message = (
                f"Item '{id_}' of type '{item.get('type')}' was provided without its required 'reasoning' item: "
                f"'{needed}'."
            )
            raise BadRequest(message, "input")


def _check_thought(id_: str, item: dict[str, Any], memory: Memory) -> None:
    sealed = item.get("encrypted_content")
    if sealed is None:
        if not memory.keeps(id_):
            message = (
                f"Item with id '{id_}' not found. Items are not persisted when `store` is set to false. Try again "
                "with `store` set to true, or remove this item from your input."
            )
            raise BadRequest(message, "input", status=404)
    # Agents leave the id out; then nothing is left to compare the seal with.
    elif not (is_intact(str(sealed), "responses", id_) if id_ else is_of(str(sealed), "responses")):
        message = f"The encrypted content for item {id_} could not be verified."
        raise BadRequest(message, kind="invalid_encrypted_content")


def _turns(item: dict[str, Any]) -> list[Turn]:
    kind = item.get("type", "message")
    if kind == "message":
        role = str(item.get("role"))
        return [
            Turn(
                {"developer": "system"}.get(role, role),
                text_of(item.get("content")),
                pictures=_pictures(item.get("content")),
            )
        ]
    if kind in _OUTPUTS:
        return [Turn("tool", text_of(item.get("output")), results=1)]
    if kind == "reasoning":
        return []
    return [Turn("assistant", more_bytes=len(msgspec.json.encode(item)))]


def _pictures(content: Any) -> int:
    parts = content if isinstance(content, list) else []
    return sum(1 for part in parts if part.get("type") not in {"input_text", "output_text", "refusal"})


def _tools(tool: dict[str, Any]) -> list[Tool]:
    name = str(tool.get("name", ""))
    match tool.get("type"):
        case "function":
            return [Tool(name, schema=tool.get("parameters"))]
        case "custom":
            return [Tool(name, "custom")]
        case "namespace":
            inner = [one for part in tool.get("tools") or [] for one in _tools(part)]
            return [Tool(one.name, one.kind, one.schema, namespace=name) for one in inner]
        case _:
            return []


def _choice(choice: str | dict[str, Any] | None) -> ToolChoice:
    if isinstance(choice, str):
        return ToolChoice(choice if choice in {"none", "required"} else "auto")  # type: ignore[arg-type]
    if not choice:
        return ToolChoice()
    if choice.get("type") == "allowed_tools":
        mode: Any = choice.get("mode", "auto")
        return ToolChoice(mode, tuple(str(tool.get("name")) for tool in choice.get("tools", [])))
    return ToolChoice("required", (str(choice["name"]),)) if choice.get("name") else ToolChoice()
