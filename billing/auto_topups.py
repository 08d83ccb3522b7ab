"""The automatic top-up: a balance that falls below its threshold is filled from the saved card.

The wish is a row that is committed before Stripe is asked, and its id is the idempotency key: a call whose answer was
lost is made again, and is the same payment. Nothing of traffic waits for any of this.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import Organization
from billing import backoff, cards, disputes, wallets
from billing.checkout import LEAST_CENTS, MOST_CENTS
from billing.models import (
    PENDING,
    AutoTopUp,
    PaymentMethod,
    TopUp,
    TopUpSource,
    TopUpStatus,
    Wallet,
    WalletState,
)
from billing.months import Month
from billing.stripe_api import cards as stripe_cards, payments
from billing.stripe_api.client import (
    CardRefused,
    StripeFault,
    StripeRefused,
    StripeUnavailable,
    is_configured,
)
from billing.sync import NotOurs, sync
from fastanchor.lib.money import NANOS_PER_CENT

logger = logging.getLogger(__name__)

# How many organizations one sweep looks at; the next one is seconds away.
MOST_AT_ONCE = 100
# An answer is lost once it is older than any call takes with its retries.
_LOST = timedelta(seconds=90)
# Stripe remembers a key for a day at least: until then the call may be made again, afterwards only looked for.
_SAME_KEY = timedelta(hours=23)
_GIVEN_UP = timedelta(hours=24)
# What was or may still be paid counts towards a month's limit.
_COUNTED = (*PENDING, TopUpStatus.SUCCEEDED, TopUpStatus.MISMATCHED)


def consider(organization: Organization, *, now: datetime | None = None) -> bool:
    """Buy credit if the balance is below the threshold and nothing stands against it; returns whether Stripe was asked.

    Raises ``StripeUnavailable``: then ``resume`` asks again.
    """
    top_up = _order(organization, now or timezone.now()) if is_configured() else None
    if top_up is not None:
        _ask(top_up)
    return top_up is not None


def sweep() -> int:
    """Consider every organization whose balance is below its threshold; returns for how many Stripe was asked.

    Raises ``StripeUnavailable`` at the first that Stripe does not answer, for it would not answer the others either.
    """
    due = Organization.objects.filter(pk__in=_due(timezone.now()).values("pk")[:MOST_AT_ONCE])
    return sum(_consider_one(each) for each in due)


def resume(*, now: datetime | None = None) -> int:
    """Ask again for automatic top-ups whose answer was lost; returns how many there were. Raises ``StripeUnavailable``."""
    now = now or timezone.now()
    lost = TopUp.objects.filter(
        source=TopUpSource.AUTO,
        status=TopUpStatus.CREATED,
        stripe_intent=None,
        created_at__lt=now - _LOST,
    ).select_related("organization", "card__customer")
    found = list(lost.order_by("created_at", "pk")[:MOST_AT_ONCE])
    for top_up in found:
        if now - top_up.created_at < _SAME_KEY:
            _ask(top_up)
        else:
            _look_for(top_up, now)
    return len(found)


def bought_cents(organization: Organization, *, now: datetime | None = None) -> int:
    """Return what was bought automatically in this month (UTC), with what may still be paid."""
    month = Month.of(now or timezone.now())
    rows = TopUp.objects.filter(
        organization=organization,
        source=TopUpSource.AUTO,
        status__in=_COUNTED,
        created_at__gte=month.start,
        created_at__lt=month.end,
    )
    return int(rows.aggregate(cents=Sum("amount_cents"))["cents"] or 0)


def _due(now: datetime) -> QuerySet[AutoTopUp]:
    pending = TopUp.objects.filter(organization=OuterRef("pk"), source=TopUpSource.AUTO, status__in=PENDING)
    below = Q(organization__wallet__balance_nano__lt=F("threshold_cents") * NANOS_PER_CENT)
    return (
        AutoTopUp.objects.filter(
            below,
            Q(next_attempt_at=None) | Q(next_attempt_at__lte=now),
            ~Exists(pending),
            ~Exists(disputes.undecided(OuterRef("pk"))),
            is_on=True,
            organization__wallet__state=WalletState.ACTIVE,
        )
        # Who has waited longest comes first, so that nobody waits for ever.
        .order_by("updated_at", "pk")
    )


def _consider_one(organization: Organization) -> bool:
    try:
        return consider(organization)
    except StripeUnavailable:
        raise
    except (StripeFault, NotOurs):
        logger.exception("billing.auto_top_up_failed", extra={"organization": organization.pk})
        return False


def _order(organization: Organization, now: datetime) -> TopUp | None:
    """Commit the wish for a payment, if one is due: nobody else can, while the wallet is locked."""
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        setting = _due(now).filter(organization=organization).first()
        if setting is None:
            return None
        card = cards.default_of(organization)
        if card is None:
            backoff.switch_off(organization, why="There is no saved card.")
            return None
        cents = _amount_cents(wallet, setting, now)
        if cents < LEAST_CENTS:
            _wait_for_next_month(setting, now)
            return None
        return _create(organization, card, cents, now)


def _create(organization: Organization, card: PaymentMethod, cents: int, now: datetime) -> TopUp:
    top_up = TopUp.objects.create(
        organization=organization,
        amount_cents=cents,
        source=TopUpSource.AUTO,
        actor="system",
        card=card,
        created_at=now,
    )
    logger.info("billing.auto_top_up", extra={"top_up": top_up.pk, "cents": cents})
    return top_up


def _amount_cents(wallet: Wallet, setting: AutoTopUp, now: datetime) -> int:
    """Return what is missing to the target, or what the month's limit leaves of it."""
    missing = setting.target_cents - wallet.balance_nano // NANOS_PER_CENT
    left = setting.month_cap_cents - bought_cents(wallet.organization, now=now)
    return min(max(missing, LEAST_CENTS), MOST_CENTS, left)


def _wait_for_next_month(setting: AutoTopUp, now: datetime) -> None:
    AutoTopUp.objects.filter(pk=setting.pk).update(next_attempt_at=Month.of(now).end, updated_at=now)


def _ask(top_up: TopUp) -> None:
    """Ask Stripe for the payment, and take in what became of it."""
    assert top_up.card is not None
    try:
        intent_id = stripe_cards.charge(
            customer_id=top_up.card.customer.stripe_id,
            card_id=top_up.card.stripe_id,
            cents=top_up.amount_cents,
            top_up_id=top_up.pk,
        )
    except CardRefused as exc:
        if not exc.intent_id:
            _fail(top_up, exc.decline_code or exc.code, exc.message)
            return
        intent_id = exc.intent_id
    except StripeRefused as exc:
        _fail(top_up, exc.code, exc.message)
        # Not the bank's word but Stripe's: card or customer may be gone.
        cards.sync(top_up.organization)
        return
    sync(intent_id)


def _fail(top_up: TopUp, code: str, words: str) -> None:
    """Note that Stripe has made no payment of this."""
    with transaction.atomic(durable=True):
        wallets.lock(top_up.organization)
        row = TopUp.objects.select_for_update(of=("self",)).get(pk=top_up.pk)
        if row.status != TopUpStatus.CREATED:
            return
        row.status, row.failure_code, row.failure = TopUpStatus.FAILED, code[:80], words[:300]
        row.updated_at = timezone.now()
        row.save(update_fields=["status", "failure_code", "failure", "updated_at"])
        backoff.learn(row)


def _look_for(top_up: TopUp, now: datetime) -> None:
    """Look for a payment that cannot be asked for again; one that Stripe does not know was never made."""
    for intent_id in payments.find_intents(top_up.pk):
        with suppress(NotOurs):
            sync(intent_id)
            return
    if now - top_up.created_at > _GIVEN_UP:
        TopUp.objects.filter(pk=top_up.pk, status=TopUpStatus.CREATED).update(
            status=TopUpStatus.EXPIRED, updated_at=now
        )
