"""A Responses body as it is sent on to an upstream that speaks the same: without what is ours, foreign, or unpriced."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from gateway.asked import MOST_SEARCHES, Attempt
from gateway.form import Form, WebSearch
from gateway.formats.responses import ResponsesAsked
from gateway.formats.responses_body import SEALS, ResponsesRequest, StreamOptions
from gateway.formats.responses_ids import with_their_ids
from gateway.formats.responses_items import split_items
from gateway.formats.responses_seals import is_wrapped
from gateway.formats.responses_tools import SEARCH_KINDS, read_choice
from gateway.upstreams.base import CannotExpress
from gateway.upstreams.openai_responses_wire import server_of
from gateway.upstreams.tools import SEARCH, offer

_ENCODER = msgspec.json.Encoder()
# What runs at the caller's, or is priced. Everything else would be billed by a measure of its own.
_OFFERED = SEARCH_KINDS | {"function", "custom", "namespace", "local_shell", "apply_patch", "tool_search"}
_SAMPLING = ("temperature", "top_p")
# Items that need no id.
_NAMELESS = frozenset({"message", "function_call", "custom_tool_call"})
_LEFT_OUT: dict[str, Any] = {
    "background": None,
    "background_options": None,
    "client_metadata": None,
    "metadata": None,
    "previous_response_id": None,
    "service_tier": None,
    "store": False,
}


class _Reasoning(msgspec.Struct):
    type: str | None = None
    encrypted_content: str | None = None
    summary: list[dict[str, Any]] | None = None
    content: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None


_ITEM = msgspec.json.Decoder(_Reasoning)


def write_request(attempt: Attempt) -> tuple[bytes, tuple[str, ...]]:
    """Return the body for this route's channel and what was left out; raises ``CannotExpress``."""
    assert isinstance(attempt.asked, ResponsesAsked)
    request, model, channel = attempt.asked.body, attempt.model, attempt.route.channel
    server = server_of(channel)
    tools, choice, dropped = _tools(attempt.asked, attempt)
    fields = _LEFT_OUT | {
        "model": attempt.route.upstream_model,
        "input": _input(request.input, looks_up_thoughts=server.looks_up_thoughts),
        "include": _include(request, reasons="reasoning" in model.capabilities),
        "tools": tools,
        "tool_choice": choice,
        "stream_options": _stream_options(request, has_padding=server.has_padding),
    }
    if not (request.stream or server.streams_only_if_asked):
        fields["stream"] = False
    if attempt.output_bound is not None:
        fields["max_output_tokens"] = attempt.output_bound
    if server.limits_searches and request.max_tool_calls is None and _searches(attempt.asked, dropped):
        # No more than are held for.
        fields["max_tool_calls"] = MOST_SEARCHES
    if "no_sampling" in model.traits:
        dropped += [name for name in _SAMPLING if getattr(request, name) is not None]
        fields |= dict.fromkeys(_SAMPLING)
    return _ENCODER.encode(msgspec.structs.replace(request, **fields)), tuple(dropped)


def _searches(asked: ResponsesAsked, dropped: list[str]) -> bool:
    return f"tools.{SEARCH}" not in dropped and any(isinstance(tool, WebSearch) for tool in asked.tools)


def _include(request: ResponsesRequest, *, reasons: bool) -> list[str] | None:
    # Models that do not reason refuse to seal their thoughts; agents ask for it always.
    return [each for each in request.include or () if reasons or each != SEALS] or None


def _stream_options(request: ResponsesRequest, *, has_padding: bool) -> StreamOptions | None:
    if not (request.stream and has_padding):
        return None
    return StreamOptions(bool(request.stream_options and request.stream_options.include_obfuscation))


def _input(raw: Raw, *, looks_up_thoughts: bool) -> Raw:
    whole = with_their_ids(bytes(raw))
    if b'"reasoning"' not in whole and b'"tool_search_output"' not in whole:
        return Raw(whole)
    given = split_items(Raw(whole))
    items = [
        written for item in given if (written := _item(bytes(item), looks_up_thoughts=looks_up_thoughts))
    ]
    if len(items) < len(given):
        # OpenAI misses a thought by the ids of what followed it.
        items = [_without_id(item) for item in items]
    return Raw(b"[" + b",".join(items) + b"]")


def _without_id(raw: bytes) -> bytes:
    item: dict[str, Any] = msgspec.json.decode(raw)
    if "id" not in item or item.get("type", "message") not in _NAMELESS:
        return raw
    del item["id"]
    return _ENCODER.encode(item)


def _item(raw: bytes, *, looks_up_thoughts: bool) -> bytes:
    """Return an item as it may be sent, or nothing."""
    if b'"reasoning"' in raw:
        item = _ITEM.decode(raw)
        if item.type == "reasoning":
            return _thought(raw, item, looks_up_thoughts=looks_up_thoughts)
    if b'"tool_search_output"' in raw:
        whole = msgspec.json.decode(raw)
        if isinstance(whole.get("tools"), list):
            _refuse_unpriced(whole["tools"], "input")
        return _ENCODER.encode(whole)
    return raw


def _thought(raw: bytes, item: _Reasoning, *, looks_up_thoughts: bool) -> bytes:
    is_foreign = is_wrapped(item.encrypted_content or "")
    if item.encrypted_content and not is_foreign:
        return raw
    if looks_up_thoughts or not (item.content or item.summary):
        return b""
    if not is_foreign:
        return raw
    texts = [each.get("text") for each in item.content or item.summary or ()]
    content = [{"type": "reasoning_text", "text": text} for text in texts if isinstance(text, str)]
    return _ENCODER.encode({"type": "reasoning", "summary": [], "content": content})


def _tools(asked: ResponsesAsked, attempt: Attempt) -> tuple[Raw | UnsetType, Raw | UnsetType, list[str]]:
    request = asked.body
    if request.tools is UNSET:
        return UNSET, request.tool_choice, []
    tools: list[dict[str, Any]] = msgspec.json.decode(request.tools)
    _refuse_unpriced(tools, "tools")
    told = request.tool_choice
    if server_of(attempt.route.channel).has_dear_search:
        tools, told = [_priced(tool) for tool in tools], _priced_choice(told)
    choice = read_choice(request.tool_choice, asked.namespaces)
    offered = offer(
        Form([], tools=asked.tools, tool_choice=choice),
        attempt.model.capabilities,
        protocol="responses",
        has_search=True,
        has_custom=True,
    )
    if not offered.dropped:
        return Raw(_ENCODER.encode(tools)), told, []
    left = [tool for tool in tools if tool["type"] not in SEARCH_KINDS]
    if not left:
        return UNSET, UNSET, list(offered.dropped)
    return Raw(_ENCODER.encode(left)), _without_search(told), list(offered.dropped)


def _priced(tool: dict[str, Any]) -> dict[str, Any]:
    return tool | {"type": SEARCH} if tool.get("type") in SEARCH_KINDS else tool


def _priced_choice(raw: Raw | UnsetType) -> Raw | UnsetType:
    choice = None if raw is UNSET or b"web_search_preview" not in bytes(raw) else msgspec.json.decode(raw)
    if not isinstance(choice, dict):
        return raw
    if isinstance(choice.get("tools"), list):
        choice["tools"] = [_priced(tool) for tool in choice["tools"]]
    return Raw(_ENCODER.encode(_priced(choice)))


def _without_search(raw: Raw | UnsetType) -> Raw | UnsetType:
    choice = None if raw is UNSET else msgspec.json.decode(raw)
    if not isinstance(choice, dict) or not isinstance(choice.get("tools"), list):
        return raw
    left = [tool for tool in choice["tools"] if tool.get("type") not in SEARCH_KINDS]
    return Raw(_ENCODER.encode(choice | {"tools": left} if left else "none"))


def _refuse_unpriced(tools: list[dict[str, Any]], place: str) -> None:
    for index, tool in enumerate(tools):
        kind = tool.get("type")
        environment = tool.get("environment")
        is_local = kind == "shell" and isinstance(environment, dict) and environment.get("type") == "local"
        if kind not in _OFFERED and not is_local:
            raise CannotExpress(
                f"{place}[{index}].type" if place == "tools" else place,
                f"The tool '{kind}' is not offered here. Functions, custom tools and {SEARCH} are.",
            )
