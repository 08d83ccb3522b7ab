"""What compatible servers answer otherwise than OpenAI, mended so that OpenAI's clients can read it."""

from __future__ import annotations

from typing import Any

from catalog.pricing import Usage
from gateway.upstreams.openai_chat_reader import plain_reason


def complete(shown: dict[str, Any], finish_reason: str | None) -> None:
    """Add what OpenAI's clients expect and other servers leave out."""
    message = shown["message"]
    has_calls = bool(message.get("tool_calls"))
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
