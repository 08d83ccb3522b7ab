"""What chat completions and its neighbours share on the wire: usage objects, error bodies, and what is private in them.

Shapes: OpenAI's published specification; usage fields of DeepSeek and Qwen as their documentation names them.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from catalog.pricing import Usage
from catalog.snapshot import Channel
from gateway.upstreams.refusals import read_refusal
from gateway.upstreams.reports import MAX_TOKENS, sane

MAX_COMPLAINT = 500
# What an error text of an upstream must not carry to a caller: keys, tokens, accounts, addresses, models trained by us.
_PRIVATE = re.compile(
    r"(?:\b(?:sk|pk|rk|key|gsk|xai|AIza)[-_A-Za-z0-9]{8,}|Bearer\s+\S+|https?://\S+|\b(?:org|proj|wrkspc)[-_]\w{6,}"
    r"|\borg-\w+|\bft:[-\w.]+:[-\w.:]+|\b[-\w]+(?:\.[-\w]+)*\.(?:azure\.com|amazonaws\.com|internal|local)\b"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)"
)
# How a field may be named: what is longer or has other signs is no field.
_FIELD = re.compile(r"[-\w.\[\]$]{1,200}")


# Codes of an account without credit, and what comes with status 400 for one or for a key that is not valid: Anthropic,
# Google, xAI. Matched from the start of the text only: what a caller wrote and a provider quotes must not take a
# channel out.
_OUR_CODES = frozenset(
    {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "Arrearage", "invalid_api_key"}
)
_OUR_TEXTS = (
    "Your credit balance is too low", "API key not valid", "API key expired", "Incorrect API key provided",
)  # fmt: skip


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class ReportedUsage(msgspec.Struct):
    """``usage`` of a chat completion as any compatible server reports it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    # DeepSeek and Moonshot report what was cached here, OpenRouter its searches under either name.
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    server_tool_use: _ServerTools | None = None
    server_tool_use_details: _ServerTools | None = None


class Alternative(msgspec.Struct):
    """A token that the model could have said, and how likely it was."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Token(Alternative):
    """A token that was said, and its rivals."""

    top_logprobs: list[Alternative] | None = []


def logprobs_of(tokens: list[Token] | None) -> Raw | None:
    """Return log probabilities in chat's shape; ``None`` where there are none."""
    if not tokens:
        return None
    for token in tokens:
        token.top_logprobs = token.top_logprobs or []
    return Raw(msgspec.json.encode(tokens))


def usage_of(told: Any, *, has_search: bool = False) -> Usage | None:
    """Return a report in our own terms; ``None`` for one that is absent, unreadable or beyond any model.

    ``has_search`` tells that a search was ordered, which counts as one where the report is silent.
    """
    reported = _read(told)
    if reported is None:
        return None
    details, output = reported.prompt_tokens_details, reported.completion_tokens_details
    prompt, completion = reported.prompt_tokens or 0, reported.completion_tokens or 0
    counts = (
        prompt,
        (details and details.cached_tokens)
        or reported.prompt_cache_hit_tokens
        or reported.cached_tokens
        or 0,
        (details and (details.cache_write_tokens or details.cache_creation_input_tokens)) or 0,
        # Gemini's compatible endpoint leaves its thoughts out of completion_tokens, but not out of the total.
        max(completion, (reported.total_tokens or 0) - prompt),
        (output and output.reasoning_tokens) or 0,
    )
    if min(counts) < 0 or max(counts) > MAX_TOKENS:
        return None
    is_text = not (details and (details.audio_tokens or details.image_tokens)) and not (
        output and output.audio_tokens
    )
    tools = reported.server_tool_use_details or reported.server_tool_use
    if is_text and not has_search and tools is None:
        return Usage(*counts)
    return sane(_with_other_units(Usage(*counts), reported, has_search=has_search))


def _read(told: Any) -> ReportedUsage | None:
    if told is None or type(told) is ReportedUsage:
        return told
    # Nearly all write plain numbers, which is told at half the cost.
    for is_strict in (True, False):
        try:
            return msgspec.convert(told, ReportedUsage, strict=is_strict)
        except msgspec.ValidationError:
            continue
    # No reason to throw away the answer beside it.
    return None


def _with_other_units(usage: Usage, reported: ReportedUsage, *, has_search: bool) -> Usage:
    details, output = reported.prompt_tokens_details, reported.completion_tokens_details
    tools = reported.server_tool_use_details or reported.server_tool_use
    return msgspec.structs.replace(
        usage,
        audio_input_tokens=(details and details.audio_tokens) or 0,
        audio_output_tokens=(output and output.audio_tokens) or 0,
        image_input_tokens=(details and details.image_tokens) or 0,
        searches=(tools.web_search_requests or 0) if tools else int(has_search),
    )


def headers(channel: Channel, *, is_stream: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers of a request to a server that speaks chat completions."""
    headers = [("content-type", "application/json")]
    if is_stream:
        headers.append(("accept", "text/event-stream"))
    if channel.api_key and channel.adapter == "azure":
        headers.append(("api-key", channel.api_key))
    elif channel.api_key:
        headers.append(("authorization", f"Bearer {channel.api_key}"))
    return tuple(headers)


class OpenAiErrors:
    """How refusals of OpenAI, and of all who write them alike, are read; see ``Adapter``."""

    def blames_our_account(self, body: bytes) -> bool:
        """See ``Adapter.blames_our_account``."""
        return blames_our_account(body)

    def complaint(self, body: bytes, channel: Channel) -> tuple[str, str | None]:
        """See ``Adapter.complaint``."""
        return complaint(body, channel)


def blames_our_account(body: bytes) -> bool:
    """Tell whether a refusal is about our own account: its key or its credit."""
    told = read_refusal(body)
    return bool(told.codes & _OUR_CODES) or told.message.startswith(_OUR_TEXTS)


def complaint(body: bytes, channel: Channel) -> tuple[str, str | None]:
    """Read the message and ``param`` of a refusal, without keys and addresses."""
    told = read_refusal(body)
    message, param = told.message or "The model's provider refused the request as invalid.", told.param
    # What a caller wrote may be quoted at any length; all of it need not be looked through.
    message = message[: 4 * MAX_COMPLAINT]
    message = message.replace(channel.api_key, "[removed]") if channel.api_key else message
    is_field = isinstance(param, str) and _FIELD.fullmatch(param)
    return _PRIVATE.sub("[removed]", message)[:MAX_COMPLAINT], param if is_field else None
