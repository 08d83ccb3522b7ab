"""What billing tests are made of: organizations, usage, spools."""

from __future__ import annotations

from typing import Any

import redis
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts import organizations, plans
from accounts.models import Organization, Plan, User
from billing.attempts import AttemptMade
from billing.spool import Usage
from fastanchor.lib.ids import new_id

STARTED_AT_MS = 1_795_000_000_000


def make_organization(email: str = "alice@example.org", plan: str = plans.FREE) -> Organization:
    """Return a new organization owned by a new user."""
    # Tests that commit leave the plans' table empty.
    plans.add_missing_plans(Plan)
    owner = User.objects.create_user(email)
    return organizations.create(name="Alice", plan_code=plan, owner=owner)


def usage(organization: Organization, **changes: Any) -> Usage:
    """Return the usage of one completed request that cost 1,000 nano-USD."""
    values: dict[str, Any] = {
        "request_id": new_id("req"),
        "organization_id": organization.pk,
        "key_id": "key_alice",
        "model_id": "gpt-4o",
        "provider_id": "openai",
        "channel_id": "chan_1",
        "price_id": "1",
        "started_at_ms": STARTED_AT_MS,
        "finished_at_ms": STARTED_AT_MS + 900,
        "first_token_ms": 300,
        "is_stream": True,
        "outcome": "completed",
        "status": 200,
        "input_tokens": 200,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 50,
        "reasoning_tokens": 0,
        "cost_picos": 1_000_000,
        "cost_nano": 1_000,
        "hold_nano": 5_000,
        "is_estimated": False,
        "attempts": 1,
        "finish_reason": "stop",
        "error_code": "",
        "upstream_id": "chatcmpl-1",
    }
    return Usage(**{**values, **changes})


def failed(organization: Organization, **changes: Any) -> Usage:
    """Return the usage of one request whose two attempts failed."""
    values: dict[str, Any] = {
        "outcome": "failed",
        "status": 503,
        "error_code": "service_unavailable",
        "first_token_ms": -1,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_picos": 0,
        "cost_nano": 0,
        "attempts": 2,
        "finish_reason": "",
        "upstream_id": "",
        "attempts_made": (
            AttemptMade("openai", "chan_1", 503, "upstream_error", 40),
            AttemptMade("azure", "chan_2", 0, "unreachable", 3),
        ),
    }
    return usage(organization, **{**values, **changes})


def check_deferred() -> None:
    """Run what PostgreSQL would check at commit."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def no_valkey() -> redis.Redis:
    """Return a client of a server that is not there."""
    return redis.Redis(unix_socket_path="/nowhere/valkey.sock", retry=Retry(NoBackoff(), 0))


UNITS = {
    "cache_write_1h_tokens": 11,
    "audio_input_tokens": 12,
    "cached_audio_tokens": 13,
    "audio_output_tokens": 14,
    "image_input_tokens": 15,
    "images": 16,
    "searches": 17,
    "characters": 18,
    "seconds": 19,
}
