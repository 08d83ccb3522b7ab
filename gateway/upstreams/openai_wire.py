"""What chat completions and its neighbours share on the wire: usage objects, error bodies, and what is private in them.

Shapes: OpenAI's published specification; usage fields of DeepSeek and Qwen as their documentation names them.
"""

from __future__ import annotations

import re

import msgspec

from catalog.pricing import Usage
from catalog.snapshot import Channel

MAX_COMPLAINT = 500
MAX_TOKENS = 1_000_000_000
# What an error text of an upstream must not carry to a caller: keys, tokens, addresses.
_PRIVATE = re.compile(
    r"(?:\b(?:sk|pk|rk|key|gsk|xai|AIza)[-_A-Za-z0-9]{8,}|Bearer\s+\S+|https?://\S+|\borg-\w+)"
)


# Codes of an account without credit, and how Anthropic says it with status 400. Matched from the start of the text
# only: what a caller wrote and a provider quotes must not take a channel out.
_EMPTY_ACCOUNT_CODES = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached"})
_EMPTY_ACCOUNT_TEXT = "Your credit balance is too low"


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class ReportedUsage(msgspec.Struct):
    """``usage`` of a chat completion as any compatible server reports it."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None


def usage_of(reported: ReportedUsage | None) -> Usage | None:
    """Return a report in our own terms; ``None`` for one that is absent or beyond any model."""
    if reported is None:
        return None
    details, output = reported.prompt_tokens_details, reported.completion_tokens_details
    counts = (
        reported.prompt_tokens,
        (details and details.cached_tokens) or reported.prompt_cache_hit_tokens or 0,
        (details and (details.cache_write_tokens or details.cache_creation_input_tokens)) or 0,
        # Gemini's compatible endpoint leaves its thoughts out of completion_tokens, but not out of the total.
        max(reported.completion_tokens, reported.total_tokens - reported.prompt_tokens),
        (output and output.reasoning_tokens) or 0,
    )
    return sane(Usage(*counts))


def sane(usage: Usage) -> Usage | None:
    """Return a report, or ``None`` for one beyond any model: it could neither be paid nor stored."""
    counts = msgspec.structs.astuple(usage)
    return usage if min(counts) >= 0 and max(counts) <= MAX_TOKENS else None


def blames_our_account(body: bytes) -> bool:
    """Tell whether a refusal means that our own account at the provider has no credit."""
    try:
        error = msgspec.json.decode(body)["error"]
        is_named = {error.get("code"), error.get("type")} & _EMPTY_ACCOUNT_CODES
        return bool(is_named) or str(error.get("message")).startswith(_EMPTY_ACCOUNT_TEXT)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
        return False


def complaint(body: bytes, channel: Channel) -> tuple[str, str | None]:
    """Read the message and ``param`` of a refusal, without keys and addresses."""
    message, param = "The model's provider refused the request as invalid.", None
    try:
        error = msgspec.json.decode(body)["error"]
        message, param = str(error["message"]), error.get("param")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    message = message.replace(channel.api_key, "[removed]") if channel.api_key else message
    return _PRIVATE.sub("[removed]", message)[:MAX_COMPLAINT], param if isinstance(param, str) else None
