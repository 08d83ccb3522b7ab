"""``usageMetadata`` of the Gemini protocol in our own terms."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from catalog.pricing import Usage
from gateway.upstreams.reports import MAX_TOKENS


class _Modality(msgspec.Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class UsageMetadata(msgspec.Struct, rename="camel"):
    """A report as Gemini writes it; what is zero is often left out."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Modality] | None = None
    tool_use_prompt_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None
    cache_tokens_details: list[_Modality] | None = None


def usage_of(reported: UsageMetadata, searches: int) -> Usage | None:
    """Return a report in our own terms; ``None`` for one that counts nothing or more than any model can."""
    if reported.prompt_token_count is None and reported.candidates_token_count is None:
        return None
    read = (reported.prompt_token_count or 0) + (reported.tool_use_prompt_token_count or 0)
    thoughts, written = reported.thoughts_token_count or 0, reported.candidates_token_count or 0
    # Some answers count the thoughts among the candidates' tokens already: then the total is reached without them.
    output = written if thoughts and reported.total_token_count == read + written else written + thoughts
    heard = [*(reported.prompt_tokens_details or ()), *(reported.tool_use_prompt_tokens_details or ())]
    counts = {
        "input_tokens": read,
        "cached_tokens": reported.cached_content_token_count or 0,
        "output_tokens": output,
        "reasoning_tokens": thoughts,
        "audio_input_tokens": _of("AUDIO", heard),
        # A document is read as pictures of its pages.
        "image_input_tokens": _of("IMAGE", heard) + _of("DOCUMENT", heard),
        "cached_audio_tokens": _of("AUDIO", reported.cache_tokens_details or ()),
        "audio_output_tokens": _of("AUDIO", reported.candidates_tokens_details or ()),
    }
    parts = [written, reported.prompt_token_count or 0, reported.tool_use_prompt_token_count or 0]
    if min(*counts.values(), *parts) < 0 or max(counts.values()) > MAX_TOKENS:
        return None
    return Usage(cache_write_tokens=0, searches=searches, **counts)


def _of(modality: str, details: Iterable[_Modality]) -> int:
    return sum(each.token_count for each in details if each.modality == modality)
