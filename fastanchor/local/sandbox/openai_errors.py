"""OpenAI's error object and headers, which several protocols share, and the list of models."""

from __future__ import annotations

from typing import Any

from fastanchor.lib.ids import random_base62
from fastanchor.local.sandbox.conversation import BadRequest

MODELS = {
    "gpt-4o": "openai",
    "gpt-4.1": "openai",
    "claude-sonnet-4-20250514": "anthropic",
    "claude-haiku-4-20250514": "anthropic",
    "gemini-3.0-pro": "google",
    "deepseek-v4-flash": "deepseek",
    "deepseek-v4-pro": "deepseek",
    "qwen-3.7-max": "alibaba",
}

_CREATED = 1_760_000_000
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The sandbox was told to refuse this request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "You have run out of credits."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Access from your region is not supported.",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM)."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", "server_overloaded", "The engine is currently overloaded, please try again later."),
}


def body(refusal: BadRequest) -> dict[str, Any]:
    """Return OpenAI's error body; ``kind`` of the refusal is its code."""
    kind, code, text = _ERRORS.get(refusal.status, _ERRORS[500 if refusal.status >= 500 else 400])
    message = str(refusal) or text
    return {"error": {"message": message, "type": kind, "param": refusal.param, "code": refusal.kind or code}}


def headers() -> dict[str, str]:
    """Return the headers that OpenAI sends, its account's limits included."""
    return {
        "x-request-id": f"req_{random_base62(32)}",
        "openai-processing-ms": "12",
        "openai-organization": "sandbox",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
    }


def models() -> dict[str, Any]:
    """Return the list of models; other names are served too."""
    return {
        "object": "list",
        "data": [
            {"id": id_, "object": "model", "created": _CREATED, "owned_by": owner}
            for id_, owner in MODELS.items()
        ],
    }
