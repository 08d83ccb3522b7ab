"""What an organization wants of its automatic top-up, and how it stands, for the page that shows it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization
from billing import auto_topups, cards, disputes, wallets
from billing.models import AutoTopUp, PaymentMethod, TopUp, TopUpSource

logger = logging.getLogger(__name__)


class NoCard(Exception):
    """Without a saved card nothing can be bought automatically."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is set: on or off, below which balance, up to which, and how much in a month."""

    is_on: bool
    threshold_cents: int
    target_cents: int
    month_cap_cents: int


FIRST = Wanted(is_on=False, threshold_cents=1_000, target_cents=5_000, month_cap_cents=20_000)


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands: what is set, the card it charges, its last payment, what this month has cost.

    ``is_paused`` while a bank holds a payment back.
    """

    setting: AutoTopUp | None
    card: PaymentMethod | None
    last: TopUp | None
    bought_cents: int
    is_paused: bool


def wanted_of(organization: Organization) -> Wanted:
    """Return what is set, or what we propose."""
    row = AutoTopUp.objects.filter(organization=organization).first()
    if row is None:
        return FIRST
    return Wanted(row.is_on, row.threshold_cents, row.target_cents, row.month_cap_cents)


def save(*, organization: Organization, wanted: Wanted, by: str) -> None:
    """Set what is wanted; switched on again, it forgets the refusals of before. Raises ``NoCard``."""
    if wanted.is_on and cards.default_of(organization) is None:
        raise NoCard
    wallets.of(organization)
    with transaction.atomic(durable=True):
        known = AutoTopUp.objects.select_for_update().filter(organization=organization).first()
        AutoTopUp.objects.update_or_create(
            organization=organization, defaults={**_columns(wanted), **_afresh(known, wanted)}
        )
        audit.record_change(
            "auto_top_up.set",
            before={name: getattr(known, name) for name in _columns(wanted)} if known else {},
            after=_columns(wanted),
            subject=f"organization {organization.pk}",
            organization_id=organization.pk,
        )
    logger.info(
        "billing.auto_top_up_set",
        extra={"organization": organization.pk, "by": by, "set": _columns(wanted)},
    )


def standing(organization: Organization) -> Standing:
    """Return how the automatic top-up of an organization stands."""
    bought = TopUp.objects.filter(organization=organization, source=TopUpSource.AUTO)
    return Standing(
        setting=AutoTopUp.objects.filter(organization=organization).first(),
        card=cards.default_of(organization),
        last=bought.order_by("-created_at", "-pk").first(),
        bought_cents=auto_topups.bought_cents(organization),
        is_paused=disputes.undecided(organization.pk).exists(),
    )


def _columns(wanted: Wanted) -> dict[str, int | bool]:
    return {
        "is_on": wanted.is_on,
        "threshold_cents": wanted.threshold_cents,
        "target_cents": wanted.target_cents,
        "month_cap_cents": wanted.month_cap_cents,
    }


def _afresh(known: AutoTopUp | None, wanted: Wanted) -> dict[str, object]:
    """Return what else changes: switching forgets what was, and another limit may be less than reached."""
    changed: dict[str, object] = {"updated_at": timezone.now()}
    if known is None or known.is_on != wanted.is_on:
        changed |= {"failures": 0, "last_error": "", "is_notice_due": False, "next_attempt_at": None}
    elif not known.failures:
        changed["next_attempt_at"] = None
    return changed
