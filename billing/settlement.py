"""Settlement: usage from the spools becomes usage records, and balances move, in one transaction per batch.

Balances move only for rows that were really inserted, so a batch that comes twice counts once. Every organization's
wallet is locked first, in the order of their ids, so that no two settlements wait for each other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction

from billing import admission, health, holds, served_days, spending, usage_sums, wallets
from billing.models import Outcome, Wallet
from billing.spool import Checkpoint, Intent, Usage
from fastanchor.lib.money import PICOS_PER_NANO

# How far the clocks of hosts may be apart.
_CLOCKS_DIFFER_S = 60.0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one organization's part of a batch came to: the new truth, and the requests that are now in it."""

    wallet: holds.PublishedWallet
    ended: list[str] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    spending: holds.Spending | None = None


class _Row(NamedTuple):
    """An inserted usage record, as far as money is concerned, and what else is counted of it."""

    request_id: str
    organization_id: str
    key_id: str
    day: int
    cost_nano: int
    seen: health.Seen


def settle_batch(usages: Sequence[Usage], *, released: Mapping[str, str] | None = None) -> list[Settlement]:
    """Store usage and move balances in one transaction; returns one settlement per organization.

    ``released`` maps further requests, which ended without a usage record, to their organizations. Raises
    ``DataError``, ``IntegrityError`` or ``ValueError`` when a record cannot be stored: then nothing was.
    """
    released = released or {}
    with transaction.atomic(durable=True):
        locked = _lock({usage.organization_id for usage in usages}, set(released.values()))
        rows = _insert(usages)
        _move_balances(rows, locked)
        spending.add(
            [
                spending.Cost(row.organization_id, row.key_id, row.day, row.cost_nano)
                for row in rows
                if row.cost_nano
            ]
        )
        usage_sums.add(usages, [row.request_id for row in rows])
        spent = _spent(usages)
        admission.settled({usage.request_id for usage in usages} | released.keys())
        served_days.add(usages, [row.request_id for row in rows])
        health.add(row.seen for row in rows)
    return _settlements(usages, released, rows, locked, spent)


def interrupted(intent: Intent, checkpoint: Checkpoint | None, *, at_ms: int) -> Usage:
    """Return the usage of a request whose gateway process died: the last estimate, within its hold."""
    hold_nano = checkpoint.hold_nano if checkpoint else intent.hold_nano
    cost_nano = max(0, min(hold_nano, checkpoint.cost_nano if checkpoint else intent.cost_nano))
    return Usage(
        request_id=intent.request_id,
        organization_id=intent.organization_id,
        key_id=intent.key_id,
        model_id=intent.model_id,
        provider_id=intent.provider_id,
        channel_id=intent.channel_id,
        price_id=intent.price_id,
        started_at_ms=intent.started_at_ms,
        finished_at_ms=max(at_ms, intent.started_at_ms),
        first_token_ms=-1,
        is_stream=intent.is_stream,
        outcome=Outcome.INTERRUPTED.value,
        status=0,
        input_tokens=0,
        cached_tokens=0,
        cache_write_tokens=0,
        output_tokens=checkpoint.output_tokens if checkpoint else 0,
        reasoning_tokens=0,
        cost_picos=cost_nano * PICOS_PER_NANO,
        cost_nano=cost_nano,
        hold_nano=hold_nano,
        is_estimated=True,
        attempts=1,
        finish_reason="",
        error_code=Outcome.INTERRUPTED.value,
        upstream_id="",
        is_own_key=intent.is_own_key,
    )


def _lock(spenders: set[str], others: set[str]) -> dict[str, Wallet]:
    missing = spenders - set(Wallet.objects.filter(pk__in=spenders).values_list("pk", flat=True))
    Wallet.objects.bulk_create([Wallet(organization_id=pk) for pk in sorted(missing)], ignore_conflicts=True)
    locked = Wallet.objects.select_for_update().filter(pk__in=spenders | others).order_by("pk")
    return {wallet.pk: wallet for wallet in locked}


# One array per column: a statement of one shape whatever the size of the batch.
_COLUMNS = {
    "request_id": "text", "organization_id": "text", "key_id": "text", "model_id": "text", "provider_id": "text",
    "channel_id": "text", "price_id": "text", "started_at_ms": "bigint", "finished_at_ms": "bigint",
    "first_token_ms": "bigint", "is_stream": "boolean", "outcome": "text", "status": "bigint",
    "input_tokens": "bigint", "cached_tokens": "bigint", "cache_write_tokens": "bigint", "output_tokens": "bigint",
    "reasoning_tokens": "bigint", "cost_picos": "bigint", "cost_nano": "bigint", "hold_nano": "bigint",
    "is_estimated": "boolean", "attempts": "bigint", "finish_reason": "text", "error_code": "text",
    "upstream_id": "text", "cache_write_1h_tokens": "bigint", "audio_input_tokens": "bigint",
    "cached_audio_tokens": "bigint", "audio_output_tokens": "bigint", "image_input_tokens": "bigint",
    "images": "bigint", "searches": "bigint", "characters": "bigint", "seconds": "bigint", "attempts_made": "jsonb",
    "considered": "jsonb", "is_own_key": "boolean",
}  # fmt: skip
_TARGETS = {
    "started_at_ms": ("started_at", "'epoch'::timestamptz + started_at_ms * interval '1 millisecond'"),
    "finished_at_ms": ("finished_at", "'epoch'::timestamptz + finished_at_ms * interval '1 millisecond'"),
    "first_token_ms": ("first_token_ms", "nullif(first_token_ms, -1)"),
    # What an upstream says is cut to its column, so that no upstream can make its own bill impossible to store.
    "finish_reason": ("finish_reason", "left(finish_reason, 40)"),
    "error_code": ("error_code", "left(error_code, 60)"),
    "upstream_id": ("upstream_id", "left(upstream_id, 200)"),
}
_INSERT = f"""
INSERT INTO billing_usagerecord ({", ".join(_TARGETS.get(name, (name, name))[0] for name in _COLUMNS)}, settled_at)
SELECT {", ".join(_TARGETS.get(name, (name, name))[1] for name in _COLUMNS)}, now()
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())}) AS usage ({", ".join(_COLUMNS)})
ON CONFLICT DO NOTHING
RETURNING request_id, organization_id, key_id, to_char(started_at AT TIME ZONE 'UTC', 'YYYYMMDD')::integer,
    cost_nano, {health.COLUMNS}
"""  # noqa: S608 - the names stand above
_UPSTREAM_TEXTS = frozenset({"finish_reason", "error_code", "upstream_id"})


def _insert(usages: Sequence[Usage]) -> list[_Row]:
    if not usages:
        return []
    in_order = sorted(usages, key=lambda usage: usage.request_id)
    with connection.cursor() as cursor:
        columns: list[Any] = [[_value(usage, name) for usage in in_order] for name in _COLUMNS]
        cursor.execute(_INSERT, columns)
        return [_Row._make([*row[:5], health.Seen(*row[5:])]) for row in cursor.fetchall()]


def _value(usage: Usage, name: str) -> object:
    value = getattr(usage, name)
    if name in {"attempts_made", "considered"}:
        return json.dumps(value) if value else None
    return value.replace("\0", "") if name in _UPSTREAM_TEXTS else value


def _move_balances(rows: Sequence[_Row], locked: Mapping[str, Wallet]) -> None:
    costs: Counter[str] = Counter()
    for row in rows:
        if row.cost_nano:
            costs[row.organization_id] += row.cost_nano
    if not costs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE billing_wallet SET balance_nano = balance_nano - cost, unposted_nano = unposted_nano + cost,
                version = version + 1, updated_at = now()
            FROM unnest(%s::text[], %s::bigint[]) AS sums (organization, cost) WHERE organization_id = organization
            """,
            [list(costs), list(costs.values())],
        )
    for organization_id, cost in costs.items():
        wallet = locked[organization_id]
        wallet.balance_nano -= cost
        wallet.version += 1


def _spent(usages: Sequence[Usage]) -> dict[str, holds.Spending]:
    """Return what the keys of a batch, their members and organizations have spent, seen from the latest request.

    A gateway's clock may be ahead of ours: at midnight its request already belongs to the new day.
    """
    now = datetime.now(UTC)
    latest = max((usage.started_at_ms for usage in usages), default=0)
    ahead_s = min(max(0, latest / 1_000 - now.timestamp()), _CLOCKS_DIFFER_S)
    return spending.of_keys(
        {(usage.organization_id, usage.key_id) for usage in usages}, now + timedelta(seconds=ahead_s)
    )


def _settlements(
    usages: Sequence[Usage],
    released: Mapping[str, str],
    rows: Sequence[_Row],
    locked: Mapping[str, Wallet],
    spent: Mapping[str, holds.Spending],
) -> list[Settlement]:
    found = {
        pk: Settlement(wallets.published(wallet), spending=spent.get(pk)) for pk, wallet in locked.items()
    }
    for usage in usages:
        found[usage.organization_id].ended.append(usage.request_id)
    for row in rows:
        found[row.organization_id].inserted.append(row.request_id)
    for request_id, organization_id in released.items():
        if organization_id in found:
            found[organization_id].ended.append(request_id)
    return list(found.values())
