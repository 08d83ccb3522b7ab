"""How receipts, credit and keys are written in ``/v1``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Raw

from accounts.keyring import Caller
from accounts.plans import FREE
from billing.attempts import AttemptMade
from catalog.breakdown import Line
from fastanchor.lib.money import PICOS_PER_NANO, exact_picos, exact_usd
from fastanchor.lib.windows import Window, next_start
from gateway.books import Credit, KeyStanding, Standing
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
            "valid_from": None if receipt.price is None else _moment(receipt.price.valid_from_ms),
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
        "is_own_key": entry.is_own_key,
        "is_estimated": entry.is_estimated,
        "why": receipt.why,
        "outcome": entry.outcome,
        "status": entry.status,
        "finish_reason": entry.finish_reason,
        "error_code": entry.error_code or None,
        "is_stream": entry.is_stream,
        "attempts": entry.attempts,
        "attempts_made": [_attempt(each, entry.model_id) for each in entry.all_attempts()],
        "started_at": _moment(entry.started_at_ms),
        "first_token_ms": None if entry.first_token_ms < 0 else entry.first_token_ms,
        "finished_at": _moment(entry.finished_at_ms),
        "duration_ms": entry.finished_at_ms - entry.started_at_ms,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "reasoning_tokens": entry.reasoning_tokens,
    }


def _attempt(made: AttemptMade, model_id: str) -> dict[str, Any]:
    return {
        "model": made.model_id or model_id,
        "provider": made.provider_id,
        "status": made.status or None,
        "error_code": made.error_code or None,
        "duration_ms": made.ms,
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
    spent, now = standing.key.spent, datetime.fromtimestamp(at, UTC)
    budgets = _budgets(caller, standing.key, now)
    lifetime = budgets[Window.LIFETIME]
    return {
        "id": caller.key_id,
        "label": standing.name,
        "organization_id": caller.organization_id,
        "plan": caller.plan,
        "is_free": caller.plan == FREE,
        "expires_at": _moment(caller.expires_at * 1_000) if caller.expires_at else None,
        "allowed_models": sorted(caller.allowed_models),
        "allowed_ip_ranges": [str(network) for network in caller.networks],
        "limits": {
            "requests_per_minute": _least(caller.requests_per_minute, caller.key_requests_per_minute),
            "tokens_per_minute": _least(caller.tokens_per_minute, caller.key_tokens_per_minute),
            "concurrency": caller.concurrency,
        },
        "budgets": budgets,
        "member_budgets": _budgets(caller, standing.member, now) if standing.member else None,
        "organization_budgets": _budgets(caller, standing.organization, now),
        **_nanos("held", standing.key.held_nano),
        "usage": _number(spent.lifetime_nano),
        "usage_daily": _number(spent.day_nano),
        "usage_weekly": _number(spent.week_nano),
        "usage_monthly": _number(spent.month_nano),
        "limit": _number(lifetime["limit_nano_usd"]),
        "limit_remaining": _number(lifetime["remaining_nano_usd"]),
        "is_free_tier": caller.plan == FREE,
    }


def _budgets(caller: Caller, standing: Standing, now: datetime) -> dict[str, dict[str, Any]]:
    """Write the budgets of the key, the member or the organization, as admission reads them."""
    spent, flat = standing.spent, caller.budgets
    limits = {flat[i + 1]: int(flat[i + 2]) for i in range(0, len(flat), 3) if flat[i] == spent.subject}
    return {
        window: _budget(limits.get(window), getattr(spent, f"{window}_nano"), standing.held_nano or 0)
        | {"resets_at": _start(window, now)}
        for window in Window
    }


def _budget(limit: int | None, spent: int, held: int) -> dict[str, Any]:
    """Write a budget; what running requests hold is not free for others."""
    return {
        **_nanos("limit", limit),
        **_nanos("spent", spent),
        **_nanos("remaining", None if limit is None else max(0, limit - spent - held)),
    }


def _start(window: Window, now: datetime) -> str | None:
    start = next_start(window, now)
    return None if start is None else _moment(int(start.timestamp()) * 1_000)


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
