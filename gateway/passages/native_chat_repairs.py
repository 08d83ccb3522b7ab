"""What compatible servers answer otherwise than OpenAI, mended so that OpenAI's clients can read it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from catalog.pricing import Usage
from fastanchor.lib.ids import new_id
from gateway.upstreams.openai_chat_reader import plain_reason


def complete(shown: dict[str, Any], finish_reason: str | None) -> None:
    """Add what OpenAI's clients expect and other servers leave out."""
    message = shown["message"]
    message.setdefault("role", "assistant")
    calls = message.get("tool_calls")
    has_calls = bool(calls)
    for call in calls or ():
        # Without an id a result could not name its call.
        add_to_call(call, call.get("id") or new_id("call"))
        if isinstance(function := call.get("function"), dict):
            function["arguments"] = function.get("arguments") or "{}"
    if finish_reason not in {"stop", "function_call"} or has_calls:
        shown["finish_reason"] = plain_reason(finish_reason or "stop", has_calls=has_calls)
    if "logprobs" not in shown:
        shown["logprobs"] = None
    if "refusal" not in message:
        message["refusal"] = None
    if not has_calls:
        message.pop("tool_calls", None)
    if type(message.setdefault("content", None)) is list:
        tell_parts(message)


def add_head(answer: dict[str, Any]) -> None:
    """Add what stands at the head of every answer of OpenAI's."""
    answer["id"] = answer.get("id") or new_id("chatcmpl")
    answer["created"] = int(answer.get("created") or time.time())


def add_to_call(call: dict[str, Any], call_id: str) -> None:
    """Add to a call, or to the piece that begins one, what servers leave out; ``call_id`` if it has none that is fit."""
    if call_id:
        call["id"] = call_id
    function = call.get("function")
    if not isinstance(function, dict):
        return
    if function.get("name"):
        call["type"] = call.get("type") or "function"
    if isinstance(arguments := function.get("arguments"), dict):
        function["arguments"] = msgspec.json.encode(arguments).decode()


def tell_parts(said: dict[str, Any]) -> None:
    """Write a list of content parts, as Mistral sends its thoughts, as the texts that clients read."""
    parts = [part for part in said["content"] if isinstance(part, dict)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    thoughts = [
        inner["text"]
        for part in parts
        if isinstance(part.get("thinking"), list)
        for inner in part["thinking"]
        if isinstance(inner, dict) and isinstance(inner.get("text"), str)
    ]
    said["content"] = "".join(texts)
    if thoughts:
        said["reasoning_content"] = "".join(thoughts)


def tell_usage(shown: Any, billed: Usage | None) -> None:
    """Count all output that is billed, and leave out what another gateway charges us: the caller pays something else."""
    if not isinstance(shown, dict):
        return
    for name in ("cost", "cost_details", "cost_in_usd_ticks", "is_byok"):
        shown.pop(name, None)
    if billed is not None and billed.output_tokens != shown.get("completion_tokens"):
        # xAI and Google leave thoughts out of it, but not out of the total.
        shown["completion_tokens"] = billed.output_tokens
