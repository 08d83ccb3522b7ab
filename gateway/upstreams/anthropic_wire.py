"""What everything that speaks Anthropic's Messages shares on the wire: usage, stop reasons, headers.

Shapes: the types of Anthropic's published Python SDK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel, Model
from gateway.events import FinishReason
from gateway.upstreams.reports import MAX_TOKENS

VERSION = "2023-06-01"
TARGET = "/messages"
# What its own tools found comes in one event, such as a whole PDF in base64.
MAX_EVENT_BYTES = 16 * 1024 * 1024
# Where neither the caller nor the catalog knows a maximum; the protocol demands one.
ASSUMED_MAX_OUTPUT = 16_384
_PLAIN_WINDOW = 200_000

_STOP_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # The provider stopped in the middle of its own tools or of a compaction: the answer is not complete.
    "pause_turn": "length",
    "compaction": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_HEADER_VALUE = re.compile(r"[\w.,:;=/ -]{1,1000}", re.ASCII)
_ITERATIONS = frozenset({"message", "compaction"})


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _ServerToolUse(msgspec.Struct):
    web_search_requests: int | None = None


class _Iteration(msgspec.Struct):
    type: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class ReportedUsage(msgspec.Struct):
    """``usage`` of a message or of a ``message_delta``; the latter is cumulative and may leave fields out."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerToolUse | None = None
    iterations: list[_Iteration] | None = None

    def updated(self, later: ReportedUsage) -> ReportedUsage:
        """Return this report with what a later one says."""
        fields = {name: getattr(later, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(self, **{name: it for name, it in fields.items() if it is not None})


def usage_of(reported: ReportedUsage | None) -> Usage | None:
    """Return a report in our own terms; ``None`` for one that is absent or beyond any model."""
    if reported is None or reported.input_tokens is None or reported.output_tokens is None:
        return None
    read = _total(reported, "cache_read_input_tokens")
    written = _total(reported, "cache_creation_input_tokens")
    kept = reported.cache_creation
    written_1h = (kept and kept.ephemeral_1h_input_tokens) or 0
    if kept is not None and written_1h and not kept.ephemeral_5m_input_tokens:
        # The split stands only in the first report of a stream; the later total has no other kind.
        written_1h = max(written_1h, written)
    written = max(written, written_1h)
    fresh, output = _total(reported, "input_tokens"), _total(reported, "output_tokens")
    details, tools = reported.output_tokens_details, reported.server_tool_use
    thoughts = (details and details.thinking_tokens) or 0
    searches = (tools and tools.web_search_requests) or 0
    counts = (fresh, read, written, output, thoughts, written_1h, searches)
    if min(counts) < 0 or max(counts) > MAX_TOKENS or fresh + read + written > MAX_TOKENS:
        return None
    return Usage(
        input_tokens=fresh + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=min(thoughts, output),
        cache_write_1h_tokens=written_1h,
        searches=searches,
    )


def _total(reported: ReportedUsage, name: str) -> int:
    # The totals leave out what a compaction of the context used; its own entry tells.
    parts = [getattr(each, name) or 0 for each in reported.iterations or () if each.type in _ITERATIONS]
    total = getattr(reported, name) or 0
    return max(total, sum(parts)) if min(total, *parts, 0) >= 0 else -1


def finish_reason(stop_reason: str) -> FinishReason:
    """Return our reason for one of theirs; what is unknown is a plain end."""
    return _STOP_REASONS.get(stop_reason, "stop")


def request_headers(
    channel: Channel, caller: Mapping[str, str], model: Model, *, is_stream: bool, is_native: bool
) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request: our credential, and what the caller says of the protocol's version."""
    version = (_clean(caller.get("anthropic-version", "")) if is_native else "") or VERSION
    headers = [("content-type", "application/json"), ("anthropic-version", version)]
    # Betas of a sign-in that is not by key belong to the caller's own account.
    left_out: tuple[str, ...] = ("oauth-",)
    if model.context_window <= _PLAIN_WINDOW:
        # A longer prompt than the catalog knows has another price than the catalog's.
        left_out += ("context-1m-",)
    betas = [each.strip() for each in _clean(caller.get("anthropic-beta", "")).split(",")]
    if chosen := [each for each in betas if each and not each.startswith(left_out)]:
        headers.append(("anthropic-beta", ",".join(chosen)))
    if is_stream:
        headers.append(("accept", "text/event-stream"))
    if channel.api_key:
        headers.append(("x-api-key", channel.api_key))
    return tuple(headers)


def _clean(value: str) -> str:
    return value if _HEADER_VALUE.fullmatch(value) else ""


def is_named_well(kind: str) -> bool:
    """Tell whether the type of an event may stand in an ``event:`` line."""
    return kind.isascii() and kind.replace("_", "").isalnum()
