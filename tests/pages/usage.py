"""Usage as the shipper brings it: settled in PostgreSQL, then told to the live pages."""

from __future__ import annotations

import time
from typing import Any

from accounts.models import ApiKey, Organization
from billing import partitions
from billing.announcements import announce_live
from billing.settlement import settle_batch
from billing.spool import Usage
from fastanchor.lib.ids import new_id
from fastanchor.lib.valkey import sync_client


def serve(organization: Organization, key: ApiKey, **changes: Any) -> Usage:
    """Store and announce one completed request of just now; returns what was stored."""
    partitions.prepare()
    usage = one(organization, key, **changes)
    announce_live(sync_client(), settle_batch([usage]))
    return usage


def one(organization: Organization, key: ApiKey, **changes: Any) -> Usage:
    """Return what a gateway would write of one completed request of just now."""
    now_ms = time.time_ns() // 1_000_000
    values: dict[str, Any] = {
        "request_id": new_id("req"),
        "organization_id": organization.pk,
        "key_id": key.pk,
        "model_id": "gpt-4o",
        "provider_id": "openai",
        "channel_id": "chan_1",
        "price_id": "price_1",
        "started_at_ms": now_ms - 900,
        "finished_at_ms": now_ms,
        "first_token_ms": 300,
        "is_stream": True,
        "outcome": "completed",
        "status": 200,
        "input_tokens": 1_200,
        "cached_tokens": 1_024,
        "cache_write_tokens": 0,
        "output_tokens": 34,
        "reasoning_tokens": 0,
        "cost_picos": 347_500_000,
        "cost_nano": 347_500,
        "hold_nano": 5_000_000,
        "is_estimated": False,
        "attempts": 1,
        "finish_reason": "stop",
        "error_code": "",
        "upstream_id": "chatcmpl-1",
    }
    return Usage(**{**values, **changes})
