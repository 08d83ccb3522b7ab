"""The three plans every installation starts with; afterwards staff edit them in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastanchor.lib.money import NANOS_PER_USD

if TYPE_CHECKING:
    from accounts.models import Plan

FREE = "free"
PAY_AS_YOU_GO = "payg"
ENTERPRISE = "enterprise"

FIRST_PLANS: dict[str, dict[str, Any]] = {
    FREE: {
        "name": "Free",
        "requests_per_minute": 5,
        "tokens_per_minute": 10_000,
        "concurrency": 4,
        "priority": 0,
        "signup_credit_nano": 5 * NANOS_PER_USD,
    },
    PAY_AS_YOU_GO: {
        "name": "Pay-as-you-go",
        "requests_per_minute": 500,
        "tokens_per_minute": 1_000_000,
        "concurrency": 200,
        "priority": 10,
    },
    ENTERPRISE: {
        "name": "Enterprise",
        "requests_per_minute": 5_000,
        "tokens_per_minute": 10_000_000,
        "concurrency": 1_000,
        "priority": 20,
        "is_custom": True,
    },
}


def add_missing_plans(plan_model: type[Plan]) -> None:
    """Create the plans that are not there; those that exist keep what staff made of them."""
    for code, values in FIRST_PLANS.items():
        plan_model.objects.get_or_create(code=code, defaults=values)
