"""Telling every process that keys or limits changed, after the change is committed.

Without Valkey an announcement is logged and lost, and the change stands: the counters that watchers poll tell
them to drop everything once Valkey is back, and until then a cached key lives for 30 seconds at most.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import transaction
from redis.exceptions import RedisError

from fastanchor.lib import changes
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)

TOPIC = "keys"


def key_changed(key_id: str) -> None:
    """Make every process forget one key."""
    transaction.on_commit(partial(_announce, f"key:{key_id}"))


def organization_changed(organization_id: str) -> None:
    """Make every process forget all keys of an organization."""
    transaction.on_commit(partial(_announce, f"organization:{organization_id}"))


def plan_changed() -> None:
    """Make every process forget all keys: any organization may be on the plan."""
    transaction.on_commit(partial(_announce, "all"))


def _announce(message: str) -> None:
    try:
        changes.announce(sync_client(), TOPIC, message)
    except (RedisError, OSError):
        logger.exception("accounts.announcement_lost", extra={"announcement": message})
