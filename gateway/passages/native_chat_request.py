"""A chat client's request as it is sent on: what the server would refuse is left out, the rest stays as it was written."""

from __future__ import annotations

from typing import Any

import msgspec

from catalog.snapshot import Model
from gateway.formats.chat_body import THOUGHT_FIELDS, ChatRequest
from gateway.formats.chat_form import reasoning_of
from gateway.upstreams.openai_chat_dialect import SAMPLING, Dialect

_ENCODER = msgspec.json.Encoder()


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
    if request.metadata is not None:
        dropped.append("metadata")
    if request.is_reasoned:
        written, left_out = _thoughts(request, dialect, model)
        fields |= written
        dropped += left_out
    if not dialect.is_own and dialect.thoughts_field != "reasoning_content" and _shows_thoughts(request):
        fields["messages"] = _without_thoughts(request.messages)
    return fields, dropped


def _thoughts(request: ChatRequest, dialect: Dialect, model: Model) -> tuple[dict[str, Any], list[str]]:
    """Return what the caller said of thoughts in the server's own words; a server of someone's own gets theirs."""
    if dialect.is_own and "reasoning" in model.capabilities:
        return {}, []
    written = dialect.reasoning(reasoning_of(request), model)
    fields: dict[str, Any] = dict.fromkeys(name for name in THOUGHT_FIELDS if name not in dialect.vendor)
    return fields | (written or {}), ["reasoning"] if written is None else []


def _shows_thoughts(request: ChatRequest) -> bool:
    return b'"reasoning' in bytes(request.messages)


def _without_thoughts(messages: msgspec.Raw) -> msgspec.Raw:
    """Leave out earlier thoughts in another provider's words: a client echoes what it was sent."""
    turns = msgspec.json.decode(messages, type=list[dict[str, msgspec.Raw]])
    for turn in turns:
        turn.pop("reasoning_content", None)
        turn.pop("reasoning", None)
    return msgspec.Raw(_ENCODER.encode(turns))
