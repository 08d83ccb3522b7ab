"""How receipts, credit and keys are written in ``/v1``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Raw

from accounts.keyring import Caller
from accounts.plans import FREE
from catalog.breakdown import Line
from fastanchor.lib.money import PICOS_PER_NANO, exact_picos, exact_usd
from gateway.books import Credit, KeyStanding
from gateway.receipts import Receipt

_UNITS = frozenset({"image", "search", "character", "second"})


def shown_receipt(receipt: Receipt) -> dict[str, Any]:
    """Write a receipt."""
    entry, found, adjustment = receipt.entry, receipt.breakdown, receipt.adjustment
    return {
        "id": entry.request_id,
        "object": "generation",
        "model": entry.model_id,
        "provider": entry.provider_id,
        "key_id": entry.key_id,
        "price": {
            "id": entry.price_id,
            "valid_from": None if receipt.price is None else _moment(receipt.price.valid_from * 1_000),
            "currency": "USD",
            "above_input_tokens": found.above_tokens,
            "during": found.during,
            "rule": receipt.rule,
        },
        "lines": [_line(line) for line in found.lines],
        "adjustment": None
        if adjustment is None
        else {"reason": adjustment.reason, **_picos("cost", adjustment.picos)},
        **_picos("cost", entry.cost_picos),
        **_nanos("charged", entry.cost_nano),
        **_nanos("hold", entry.hold_nano),
        "total_cost": _number(entry.cost_nano),
        "is_charged": receipt.is_charged,
        "is_estimated": entry.is_estimated,
        "why": receipt.why,
        "outcome": entry.outcome,
        "status": entry.status,
        "finish_reason": entry.finish_reason,
        "error_code": entry.error_code or None,
        "is_stream": entry.is_stream,
        "attempts": entry.attempts,
        "started_at": _moment(entry.started_at_ms),
        "first_token_ms": None if entry.first_token_ms < 0 else entry.first_token_ms,
        "finished_at": _moment(entry.finished_at_ms),
        "duration_ms": entry.finished_at_ms - entry.started_at_ms,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "reasoning_tokens": entry.reasoning_tokens,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "unit": line.kind if line.kind in _UNITS else "token",
        "count": line.count,
        **_picos("rate", line.rate_picos),
        **_picos("cost", line.picos),
    }


def shown_credit(credit: Credit) -> dict[str, Any]:
    """Write what an organization has; ``total_credits`` less ``total_usage`` is the total that is left."""
    return {
        "currency": "USD",
        **_nanos("total", credit.balance_nano),
        **_nanos("held", credit.held_nano),
        **_nanos("available", credit.available_nano),
        **_nanos("promotional", credit.promo_nano),
        "promotional_expires_at": None
        if credit.promo_expires_at is None
        else _moment(credit.promo_expires_at * 1_000),
        "total_credits": _number(credit.balance_nano + credit.used_nano),
        "total_usage": _number(credit.used_nano),
    }


def shown_key(caller: Caller, standing: KeyStanding, *, at: float) -> dict[str, Any]:
    """Write what a key may do and what remains of its budgets."""
    held = standing.held_nano or 0
    total = _budget(caller.budget_total_nano, standing.spent_nano, held)
    return {
        "id": caller.key_id,
        "label": standing.name,
        "organization_id": caller.organization_id,
        "plan": caller.plan,
        "is_free": caller.plan == FREE,
        "expires_at": _moment(caller.expires_at * 1_000) if caller.expires_at else None,
        "allowed_models": sorted(caller.allowed_models),
        "limits": {
            "requests_per_minute": _least(caller.requests_per_minute, caller.key_requests_per_minute),
            "tokens_per_minute": _least(caller.tokens_per_minute, caller.key_tokens_per_minute),
            "concurrency": caller.concurrency,
        },
        "budgets": {
            "total": total,
            "month": _budget(caller.budget_month_nano, standing.spent_month_nano, held)
            | {"resets_at": _next_month(at)},
        },
        **_nanos("held", standing.held_nano),
        "usage": _number(standing.spent_nano),
        "usage_monthly": _number(standing.spent_month_nano),
        "limit": _number(total["limit_nano_usd"]),
        "limit_remaining": _number(total["remaining_nano_usd"]),
        "is_free_tier": caller.plan == FREE,
    }


def _budget(limit: int, spent: int, held: int) -> dict[str, Any]:
    """Write a budget as admission reads it: what running requests hold is not free for others."""
    remains = None if limit < 0 else max(0, limit - spent - held)
    return {
        **_nanos("limit", None if limit < 0 else limit),
        **_nanos("spent", spent),
        **_nanos("remaining", remains),
    }


def _least(limit: int, own: int) -> int:
    return min(limit, own) if own else limit


def _nanos(name: str, nanos: int | None) -> dict[str, Any]:
    return {name: None if nanos is None else exact_usd(nanos), f"{name}_nano_usd": nanos}


def _picos(name: str, picos: int) -> dict[str, Any]:
    return {name: exact_picos(picos), f"{name}_pico_usd": picos}


def _number(nanos: int | None) -> Raw | None:
    """Write dollars as a number of JSON with all its places."""
    return None if nanos is None else Raw(exact_picos(nanos * PICOS_PER_NANO).encode())


def _moment(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _next_month(at: float) -> str:
    now = datetime.fromtimestamp(at, UTC)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return _moment(int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000)
