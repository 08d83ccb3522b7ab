"""What Anthropic refuses with 400 although the fields are all there."""

from __future__ import annotations

import re
from typing import Any

from fastanchor.local.sandbox.conversation import BadRequest
from fastanchor.local.sandbox.seals import is_intact, opens

_MOST_CACHE_MARKS = 4
_LEAST_BUDGET = 1024
_MOST_OUTPUT = 128_000
_LEAST_TOP_P = 0.95
_ROLES = {"user", "assistant", "system"}
_THOUGHTS = {"thinking", "redacted_thinking"}
_TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
# These take neither sampling parameters nor a budget of thoughts nor the beginning of their answer.
_STRICT = re.compile(r"claude-(opus-4-[78]|(opus|sonnet|fable)-5|haiku-5-5)")
_BLOCKS = {
    "text": "text",
    "image": "source",
    "document": "source",
    "tool_use": "id",
    "tool_result": "tool_use_id",
    "thinking": "signature",
    "redacted_thinking": "data",
}


def check(request: dict[str, Any], *, thinks: bool) -> None:
    """Raise ``BadRequest`` where Anthropic would refuse a request."""
    _check_bounds(request)
    _check_messages(request["messages"])
    demands_thoughts = (request["thinking"] or {}).get("type") == "enabled"
    _check_tool_turns(request["messages"], demands_thoughts=demands_thoughts)
    _check_tools(request["tools"] or [])
    marks = _marks(request["system"]) + _marks(request["tools"]) + _marks(request["messages"])
    marks += 1 if request["cache_control"] else 0
    _refuse(
        marks > _MOST_CACHE_MARKS,
        f"A maximum of {_MOST_CACHE_MARKS} blocks with cache_control may be provided. Found {marks}.",
    )
    if thinks:
        _check_thinking(request)
    if _STRICT.search(request["model"]):
        _check_strict(request)


def _check_tool_turns(messages: list[dict[str, Any]], *, demands_thoughts: bool) -> None:
    """Raise ``BadRequest`` for calls without results, results without calls, and lost or changed thoughts."""
    for number, message in enumerate(messages):
        blocks = _blocks(message)
        following = _blocks(messages[number + 1]) if number + 1 < len(messages) else []
        before = _blocks(messages[number - 1]) if number else []
        if message["role"] == "assistant":
            _check_calls(number, blocks, following, is_last=number + 1 == len(messages))
        else:
            _check_results(number, blocks, before)
        _check_seals(number, blocks)
    if demands_thoughts:
        _check_last_turn(messages)


def _check_bounds(request: dict[str, Any]) -> None:
    most = request["max_tokens"]
    if most is not None:
        _refuse(most < 1, "max_tokens: Input should be greater than or equal to 1")
        _refuse(
            most > _MOST_OUTPUT,
            f"max_tokens: {most} > {_MOST_OUTPUT}, which is the maximum allowed number of output tokens for "
            f"{request['model']}",
        )
    temperature = request["temperature"]
    _refuse(
        temperature is not None and not 0 <= temperature <= 1,
        "temperature: Input should be less than or equal to 1",
    )
    _refuse(
        any(not text.strip() for text in request["stop_sequences"] or []),
        "stop_sequences: each stop sequence must contain non-whitespace",
    )


def _check_messages(messages: list[dict[str, Any]]) -> None:
    _refuse(not messages, "messages: at least one message is required")
    for number, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        _refuse(role not in _ROLES, f"messages.{number}.role: Input should be 'user' or 'assistant'")
        _refuse(
            not isinstance(content, str | list), f"messages.{number}.content: Input should be a valid list"
        )
        is_last_answer = number + 1 == len(messages) and role == "assistant"
        _refuse(
            not content and not is_last_answer, f"messages.{number}: all messages must have non-empty content"
        )
        for place, block in enumerate(_blocks(message)):
            _check_block(f"messages.{number}.content.{place}", block)
    last = messages[-1]
    texts = [block.get("text", "") for block in _blocks(last) if block["type"] == "text"]
    _refuse(
        last["role"] == "assistant" and bool(texts) and texts[-1] != texts[-1].rstrip(),
        "messages: final assistant content cannot end with trailing whitespace",
    )


def _check_block(place: str, block: Any) -> None:
    _refuse(not isinstance(block, dict) or "type" not in block, f"{place}.type: Field required")
    kind = block["type"]
    needed = _BLOCKS.get(kind)
    _refuse(needed is not None and needed not in block, f"{place}.{kind}.{needed}: Field required")
    _refuse(kind == "text" and not block["text"], "messages: text content blocks must be non-empty")
    _refuse(
        kind == "tool_use" and not isinstance(block.get("input"), dict),
        f"{place}.tool_use.input: Input should be a valid dictionary",
    )


def _check_tools(tools: list[dict[str, Any]]) -> None:
    for number, tool in enumerate(tools):
        if tool.get("type", "custom") != "custom":
            continue
        _refuse("name" not in tool, f"tools.{number}.custom.name: Field required")
        _refuse(
            not _TOOL_NAME.match(str(tool["name"])),
            f"tools.{number}.custom.name: String should match pattern '{_TOOL_NAME.pattern}'",
        )
        schema = tool.get("input_schema")
        _refuse(schema is None, f"tools.{number}.custom.input_schema: Field required")
        _refuse(
            not isinstance(schema, dict) or schema.get("type") != "object",
            f"tools.{number}.custom.input_schema.type: Input should be 'object'",
        )
    names = [tool.get("name") for tool in tools]
    _refuse(len(names) != len(set(names)), "tools: Tool names must be unique.")


def _check_thinking(request: dict[str, Any]) -> None:
    thinking, most = request["thinking"], request["max_tokens"]
    _refuse(
        request["temperature"] not in {None, 1},
        "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at "
        "https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
    )
    _refuse(request["top_k"] is not None, "`top_k` must be unset when thinking is enabled.")
    _refuse(
        request["top_p"] is not None and request["top_p"] < _LEAST_TOP_P,
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
    )
    _refuse(
        (request["tool_choice"] or {}).get("type") in {"any", "tool"},
        "Thinking may not be enabled when tool_choice forces tool use.",
    )
    _refuse(
        request["messages"][-1]["role"] == "assistant",
        "Prefilling assistant responses is not supported when thinking is enabled.",
    )
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens")
        _refuse(budget is None, "thinking.enabled.budget_tokens: Field required")
        _refuse(
            budget < _LEAST_BUDGET,
            f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_LEAST_BUDGET}",
        )
        _refuse(
            most is not None and most <= budget, "`max_tokens` must be greater than `thinking.budget_tokens`."
        )


def _check_strict(request: dict[str, Any]) -> None:
    for name in ("temperature", "top_p", "top_k"):
        _refuse(request[name] is not None, f"`{name}` is not supported for this model.")
    _refuse(
        (request["thinking"] or {}).get("type") == "enabled",
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
    )
    _refuse(
        request["messages"][-1]["role"] == "assistant",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    )


def _check_calls(
    number: int, blocks: list[dict[str, Any]], following: list[dict[str, Any]], *, is_last: bool
) -> None:
    owed = [block["id"] for block in blocks if block["type"] == "tool_use"]
    given = {block["tool_use_id"] for block in following if block["type"] == "tool_result"}
    missing = [id_ for id_ in owed if id_ not in given]
    _refuse(
        bool(missing) and not is_last,
        f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message.",
    )
    kinds = [block["type"] for block in following]
    late = "tool_result" in kinds and any(
        kind != "tool_result" for kind in kinds[: kinds.index("tool_result")]
    )
    _refuse(
        bool(owed) and late,
        f"messages.{number + 1}: `tool_result` blocks must come before any other content of the message.",
    )


def _check_results(number: int, blocks: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    called = {block["id"] for block in before if block["type"] == "tool_use"}
    for place, block in enumerate(blocks):
        if block["type"] == "tool_result":
            id_ = block["tool_use_id"]
            _refuse(
                id_ not in called,
                f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
            )


def _check_seals(number: int, blocks: list[dict[str, Any]]) -> None:
    for place, block in enumerate(blocks):
        where = f"messages.{number}.content.{place}"
        if block["type"] == "thinking":
            sealed, thought = block["signature"], block.get("thinking", "")
            # A thought may also come back without its text, as it is sent when its display is off.
            is_known = is_intact(sealed, "anthropic", thought) or is_intact(
                sealed, "anthropic-hidden", thought
            )
            _refuse(not is_known, f"{where}: Invalid `signature` in `thinking` block")
        elif block["type"] == "redacted_thinking":
            _refuse(
                not opens(block["data"], "anthropic"), f"{where}: Invalid `data` in `redacted_thinking` block"
            )


def _check_last_turn(messages: list[dict[str, Any]]) -> None:
    """Demand the thought that began the turn whose tool results end the conversation."""
    number = len(messages)
    # A turn goes on as long as the user's messages hold tool results.
    while number and (messages[number - 1]["role"] == "assistant" or _has_results(messages[number - 1])):
        number -= 1
    turn = messages[number:]
    if not turn or not _has_results(turn[-1]) or turn[0]["role"] != "assistant":
        return
    first = _blocks(turn[0])[0]["type"]
    _refuse(
        first not in _THOUGHTS,
        f"messages.{number}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost "
        "set of `tool_use` and `tool_result` blocks). To avoid this requirement, disable `thinking`.",
    )


def _has_results(message: dict[str, Any]) -> bool:
    return any(block["type"] == "tool_result" for block in _blocks(message))


def _marks(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_marks, value))
    if isinstance(value, dict):
        mark = value.get("cache_control")
        _refuse(not isinstance(mark, dict | None), "cache_control: Input should be a valid dictionary")
        return (1 if mark else 0) + _marks(value.get("content"))
    return 0


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _refuse(is_wrong: bool, message: str) -> None:  # noqa: FBT001
    if is_wrong:
        raise BadRequest(message)
