"""Attempts as the stages make them, for tests of formats, adapters and passages alone."""

from __future__ import annotations

import json
from typing import Any

from catalog.snapshot import Channel, Model, Price, Rates, Route, Tier
from gateway.asked import Asked, Attempt
from gateway.formats.base import Format
from gateway.formats.chat import Chat

_RATES = Rates(input=1_000, cached_input=1_000, cache_write=1_000, output=1_000)


def channel(provider: str = "deepseek", adapter: str = "openai", **fields: Any) -> Channel:
    """Return a channel with a secret of ours."""
    usual = {
        "id": "chan_1", "name": "east", "base_url": "https://upstream.example/v1",
        "api_key": "sk-secret-of-ours-123456", "weight": 1, "priority": 1, "allow_private": False,
    }  # fmt: skip
    return Channel(provider=provider, adapter=adapter, **{**usual, **fields})


def model(model_id: str = "gpt-4o", **fields: Any) -> Model:
    """Return a model that can do everything."""
    usual = {
        "provider": "openai", "name": "A model", "context_window": 200_000, "max_output": 8_192, "created": 0,
        "capabilities": frozenset(
            {"streaming", "tools", "vision", "json_schema", "reasoning", "audio", "files", "web_search"}
        ),
        "input_modalities": ("text", "image", "audio", "file"), "output_modalities": ("text",),
        "prices": (Price("price_1", 0, (Tier(0, _RATES),)),), "routes": (),
    }  # fmt: skip
    return Model(id=model_id, **{**usual, **fields})


def ask(format_: Format, body: dict[str, Any], headers: dict[str, str] | None = None) -> Asked:
    """Read a body in a format."""
    return format_.parse(json.dumps(body).encode(), headers or {})


def attempt(asked: Asked | None = None, **fields: Any) -> Attempt:
    """Return an attempt at what was asked; ``channel``, ``model``, ``upstream_model`` and ``request_id`` may be given."""
    said = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    asked = asked or ask(Chat(), said)
    to = fields.pop("channel", None) or channel()
    which = fields.pop("model", None) or model()
    return Attempt(
        asked=asked,
        model=which,
        price=fields.pop("price", None) or which.prices[0],
        route=Route(to, fields.pop("upstream_model", "upstream/name")),
        request_id=fields.pop("request_id", "req_test"),
        headers=fields.pop("headers", {}),
        **fields,
    )
