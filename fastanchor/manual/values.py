"""What stands for ``{{name}}`` on the pages: numbers of the code, of the settings, and of the plans in force."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.conf import settings
from django.utils.html import escape

from accounts import keys, plans
from accounts.models import Plan
from billing import budget_alerts, checkout, grants, low_balance, refund_offers
from fastanchor.lib.money import cents_to_nanos, short_usd
from fastanchor.templatetags.fa import count
from gateway import memory
from gateway.errors import MAX_RETRY_AFTER_S
from gateway.runtime import Deadlines
from gateway.stages.dispatch import MAX_ATTEMPTS
from gateway.stages.reserve import LEAST_WHOLE_OUTPUT, STREAM_STEP

NAME = re.compile(r"\{\{([a-z0-9_]+)\}\}")
_MIB, _GIB = 1024**2, 1024**3
_OF_PLANS = re.compile(r"(free|payg)_(rpm|tpm|concurrency|credit)")

# Those that no setting changes.
_WAITS = Deadlines()

_KNOWN: Mapping[str, Callable[[], str]] = {
    "max_body_mib": lambda: str(settings.MAX_BODY_BYTES // _MIB),
    "keep_alive_s": lambda: str(settings.KEEP_ALIVE_S),
    "first_token_s": lambda: str(settings.UPSTREAM_FIRST_TOKEN_S),
    "thinking_min": lambda: str(settings.UPSTREAM_THINKING_S // 60),
    "idle_s": lambda: str(settings.UPSTREAM_IDLE_S),
    "whole_min": lambda: str(settings.UPSTREAM_WHOLE_S // 60),
    "stream_min": lambda: str(int(_WAITS.stream_s) // 60),
    "slow_reader_s": lambda: str(int(_WAITS.slow_reader_s)),
    "drain_s": lambda: str(settings.UPSTREAM_DRAIN_S),
    "attempts": lambda: str(MAX_ATTEMPTS),
    "max_retry_after_s": lambda: str(MAX_RETRY_AFTER_S),
    "stream_step": lambda: count(STREAM_STEP),
    "least_whole": lambda: count(LEAST_WHOLE_OUTPUT),
    "memory_min": lambda: str(memory.TTL_S // 60),
    "contents_size": lambda: f"{settings.CONTENTS_MAX_BYTES // 1024} KiB",
    "responses_days": lambda: str(settings.RESPONSES_DAYS),
    "responses_max_mib": lambda: str(settings.RESPONSES_MAX_BYTES // _MIB),
    "responses_quota_gib": lambda: f"{settings.RESPONSES_QUOTA_BYTES / _GIB:g}",
    "live_keys": lambda: str(keys.MAX_LIVE_KEYS),
    "refund_hours": lambda: str(refund_offers.WINDOW // timedelta(hours=1)),
    "signup_days": lambda: str(grants.SIGNUP_CREDIT_LASTS.days),
    "least_top_up": lambda: _dollars(checkout.LEAST_CENTS),
    "most_top_up": lambda: _dollars(checkout.MOST_CENTS),
    "low_balance": lambda: _dollars(low_balance.DEFAULT_CENTS),
    "budget_percent": lambda: str(budget_alerts.FIRST),
}


def fill(html: str) -> str:
    """Return HTML with its values; raises ``KeyError`` for a name that nobody knows."""
    found = set(NAME.findall(html))
    known = _plans() if any(map(_OF_PLANS.fullmatch, found)) else {}
    told = {name: escape(known[name] if name in known else _KNOWN[name]()) for name in found}
    return NAME.sub(lambda name: told[name[1]], html)


def _plans() -> dict[str, str]:
    told: dict[str, str] = {}
    for code, plan in Plan.objects.in_bulk([plans.FREE, plans.PAY_AS_YOU_GO]).items():
        told |= {
            f"{code}_rpm": count(plan.requests_per_minute),
            f"{code}_tpm": count(plan.tokens_per_minute),
            f"{code}_concurrency": count(plan.concurrency),
            f"{code}_credit": short_usd(plan.signup_credit_nano),
        }
    return told


def _dollars(cents: int) -> str:
    return short_usd(cents_to_nanos(cents))
