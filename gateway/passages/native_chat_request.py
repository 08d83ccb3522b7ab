"""A chat client's request as it is sent on: what the server would refuse is left out, the rest stays as it was written."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET

from catalog.snapshot import Model
from gateway.formats.chat_body import THOUGHT_FIELDS, ChatRequest
from gateway.formats.chat_form import reasoning_of
from gateway.upstreams.compatible import OPENAI
from gateway.upstreams.openai_chat_dialect import SAMPLING, Dialect
from gateway.upstreams.openai_chat_messages import MAX_CALL_ID
from gateway.upstreams.wire_names import bounded

_ENCODER = msgspec.json.Encoder()
# Unescaped, such a pair cannot stand inside a JSON string.
_CUSTOM = re.compile(rb'"type"\s*:\s*"custom"')
_DEVELOPER = re.compile(rb'("role"\s*:\s*)"developer"')
# What only tunes, and none but OpenAI knows.
_OPENAI_ONLY = ("prediction", "prompt_cache_options")
_LONG_ID = re.compile(rb'("(?:id|tool_call_id)"\s*:\s*)"([^"\\]{%d,})"' % (MAX_CALL_ID + 1))


def speaks_otherwise(request: ChatRequest, dialect: Dialect) -> bool:
    """Tell whether the caller waits for words that only OpenAI answers with: then the answer is written anew, too."""
    if dialect.is_own or dialect is OPENAI:
        return False
    return request.is_legacy or request.hides_thoughts or _has_custom(request.tools)


def must_be_rewritten(request: ChatRequest, dialect: Dialect) -> bool:
    """Tell whether a request holds what only OpenAI's servers understand, so that it goes through the form."""
    if dialect.is_own or dialect is OPENAI:
        return False
    if speaks_otherwise(request, dialect) or request.functions is not UNSET:
        return True
    is_restricted = request.tool_choice is not UNSET and b'"allowed_tools"' in bytes(request.tool_choice)
    messages = bytes(request.messages)
    return is_restricted or b'"prompt_cache_breakpoint"' in messages or _has_custom(request.messages)


def _has_custom(raw: msgspec.Raw | msgspec.UnsetType) -> bool:
    return raw is not UNSET and _CUSTOM.search(bytes(raw)) is not None


def adapted(request: ChatRequest, dialect: Dialect, model: Model) -> tuple[dict[str, Any], list[str]]:
    """Return what must be sent otherwise than it was written, and the names of what is left out."""
    dropped: list[str] = []
    if dialect.refuses:
        dropped = [name for name in dialect.refuses if getattr(request, name) is not None]
    if "no_sampling" in model.traits:
        dropped += [name for name in SAMPLING if name not in dropped and getattr(request, name) is not None]
    fields: dict[str, Any] = {"metadata": None, "service_tier": None, "store": None, "usage": None}
    for name in dropped:
        fields[name] = None
    unknown = _unknown(request, dialect)
    fields |= dict.fromkeys(unknown, UNSET)
    dropped += unknown
    if request.metadata is not None:
        dropped.append("metadata")
    if request.is_reasoned:
        written, left_out = _thoughts(request, dialect, model)
        fields |= written
        dropped += left_out
    if not dialect.is_own:
        messages = _fit(bytes(request.messages), dialect)
        if messages is not None:
            fields["messages"] = messages
    return fields, dropped


def _unknown(request: ChatRequest, dialect: Dialect) -> list[str]:
    if dialect.is_own or dialect is OPENAI:
        return []
    return [name for name in _OPENAI_ONLY if getattr(request, name) is not UNSET]


def _thoughts(request: ChatRequest, dialect: Dialect, model: Model) -> tuple[dict[str, Any], list[str]]:
    """Return what the caller said of thoughts in the server's own words; a server of someone's own gets theirs."""
    if dialect.is_own and "reasoning" in model.capabilities:
        return {}, []
    written = dialect.reasoning(reasoning_of(request), model)
    fields: dict[str, Any] = dict.fromkeys(name for name in THOUGHT_FIELDS if name not in dialect.vendor)
    return fields | (written or {}), ["reasoning"] if written is None else []


def _fit(messages: bytes, dialect: Dialect) -> msgspec.Raw | None:
    """Return messages without what only another provider understands, for a client echoes what it was sent.

    ``None`` where they are fit as they are. An unescaped ``"id":`` cannot stand inside a JSON string.
    """
    fit = messages
    if b'"tool_call' in messages:
        fit = _LONG_ID.sub(_bounded, messages)
    if b'"developer"' in fit and dialect is not OPENAI:
        fit = _DEVELOPER.sub(rb'\1"system"', fit)
    has_thoughts = b'"reasoning' in fit and dialect.thoughts_field != "reasoning_content"
    if has_thoughts or (b'"extra_content"' in fit and not dialect.has_google_seals):
        return _without_extras(fit, dialect)
    return None if fit is messages else msgspec.Raw(fit)


def _bounded(found: re.Match[bytes]) -> bytes:
    return b'%b"%b"' % (found[1], bounded(found[2].decode(), MAX_CALL_ID).encode())


def _without_extras(messages: bytes, dialect: Dialect) -> msgspec.Raw:
    turns = msgspec.json.decode(messages, type=list[dict[str, msgspec.Raw]])
    for turn in turns:
        turn.pop("reasoning_content", None)
        turn.pop("reasoning", None)
        if dialect.thoughts_field != "reasoning_details":
            turn.pop("reasoning_details", None)
        calls = turn.get("tool_calls")
        if calls is not None and b'"extra_content"' in bytes(calls) and not dialect.has_google_seals:
            turn["tool_calls"] = msgspec.Raw(_ENCODER.encode(_without_seals(calls)))
    return msgspec.Raw(_ENCODER.encode(turns))


def _without_seals(calls: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    plain = msgspec.json.decode(calls, type=list[dict[str, msgspec.Raw]])
    for call in plain:
        call.pop("extra_content", None)
    return plain
