"""Automatic top-ups, for the tests that set them and look at them."""

from __future__ import annotations

from typing import Any

from accounts.models import Organization
from billing import auto_settings
from billing.auto_settings import Wanted
from billing.models import AutoTopUp, TopUp, TopUpSource

ASKING = {"method": "POST", "path": "/v1/payment_intents"}
# The payment is made, the answer is lost, and then Stripe is away.
LOST_ANSWER: list[dict[str, Any]] = [
    {"hang_s": 0.01, "when": "after", "count": 1, **ASKING},
    {"status": 503, **ASKING},
]


def switch_on(organization: Organization, *, cap: int = 20_000) -> None:
    """Let the balance be filled to $50 below $10."""
    wanted = Wanted(is_on=True, threshold_cents=1_000, target_cents=5_000, month_cap_cents=cap)
    auto_settings.save(organization=organization, wanted=wanted, by="user:1")


def automatic() -> list[TopUp]:
    """Return the automatic top-ups, oldest first."""
    return list(TopUp.objects.filter(source=TopUpSource.AUTO).order_by("created_at", "pk"))


def setting_of(organization: Organization) -> AutoTopUp:
    """Return how it stands now."""
    return AutoTopUp.objects.get(organization=organization)
