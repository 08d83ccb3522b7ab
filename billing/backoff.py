"""What refusals do to the automatic top-up: it waits for 1, 6 and 24 hours, and when the third retry fails too it is off.

A card that is lost, expired or wants its owner is not tried again at all: more attempts would only annoy its bank.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from accounts.models import Organization
from billing.models import AutoTopUp, TopUp, TopUpSource, TopUpStatus

logger = logging.getLogger(__name__)

WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))

_BLOCKED = "The bank has blocked the card for payments like this."
_WRONG = "The card’s details are not valid any more."
# By Stripe's words for declines that another attempt does not change.
_FINAL = {
    "authentication_required": "The bank wants you to confirm the payment yourself.",
    "card_not_supported": "The card cannot be used for payments like this.",
    "currency_not_supported": "The card cannot be charged in US dollars.",
    "do_not_try_again": _BLOCKED,
    "expired_card": "The card has expired.",
    "fraudulent": _BLOCKED,
    "incorrect_number": _WRONG,
    "invalid_account": _WRONG,
    "invalid_expiry_month": _WRONG,
    "invalid_expiry_year": _WRONG,
    "invalid_number": _WRONG,
    "lost_card": _BLOCKED,
    "merchant_blacklist": _BLOCKED,
    "pickup_card": _BLOCKED,
    "restricted_card": _BLOCKED,
    "revocation_of_all_authorizations": _BLOCKED,
    "revocation_of_authorization": _BLOCKED,
    "security_violation": _BLOCKED,
    "stolen_card": _BLOCKED,
    "stop_payment_order": _BLOCKED,
    "transaction_not_allowed": _BLOCKED,
}
_PASSING = {
    "card_velocity_exceeded": "The card has reached a limit that its bank has set.",
    "insufficient_funds": "The card had too little money on it.",
    "processing_error": "The bank had a fault of its own.",
    "withdrawal_count_limit_exceeded": "The card has reached a limit that its bank has set.",
}


def learn(top_up: TopUp) -> None:
    """Take into account what became of an automatic top-up; the wallet and the top-up are locked."""
    if top_up.source != TopUpSource.AUTO:
        return
    if top_up.status == TopUpStatus.SUCCEEDED:
        reset(top_up.organization)
    elif top_up.status in {TopUpStatus.FAILED, TopUpStatus.EXPIRED}:
        _refused(top_up)


def reset(organization: Organization) -> None:
    """Forget the refusals of before; the next attempt may be made at once. What is off stays so, with its reason."""
    AutoTopUp.objects.filter(organization=organization, is_on=True).update(
        failures=0, next_attempt_at=None, last_error="", updated_at=timezone.now()
    )


def switch_off(organization: Organization, *, why: str) -> None:
    """Switch the automatic top-up off and have its owner told why; one that is off stays as it is."""
    changed = AutoTopUp.objects.filter(organization=organization, is_on=True).update(
        is_on=False, is_notice_due=True, last_error=why[:300], updated_at=timezone.now()
    )
    if changed:
        logger.warning("billing.auto_top_up_off", extra={"organization": organization.pk, "why": why})


def why(top_up: TopUp) -> str:
    """Return in plain words why an automatic top-up was refused."""
    code = top_up.failure_code
    if top_up.status == TopUpStatus.EXPIRED:
        return "The payment was cancelled."
    return _FINAL.get(code) or _PASSING.get(code) or top_up.failure or "The bank did not say why."


def _refused(top_up: TopUp) -> None:
    setting = AutoTopUp.objects.select_for_update().filter(organization=top_up.organization).first()
    if setting is None:
        return
    setting.failures += 1
    setting.last_error = why(top_up)[:300]
    is_over = setting.failures > len(WAITS)
    setting.next_attempt_at = None if is_over else timezone.now() + WAITS[setting.failures - 1]
    setting.updated_at = timezone.now()
    setting.save(update_fields=["failures", "last_error", "next_attempt_at", "updated_at"])
    logger.warning(
        "billing.auto_top_up_refused",
        extra={"top_up": top_up.pk, "code": top_up.failure_code, "failures": setting.failures},
    )
    if is_over or top_up.failure_code in _FINAL:
        switch_off(top_up.organization, why=setting.last_error)
