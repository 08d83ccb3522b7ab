"""What becomes of an organization's money when its account is deleted.

Bought credit goes back to the cards that paid for it; what cannot, lapses only when the owner has agreed. The ledger,
invoices and usage records stay: they are what the law wants kept, and the audit holds of them as before.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from redis.exceptions import RedisError

from accounts.models import Organization
from billing import admission, customers, details, disputes, holds, posting, refunds, sync, wallets
from billing.exports import jobs
from billing.models import (
    PENDING,
    AutoTopUp,
    CreditLot,
    Dispute,
    LotKind,
    Refund,
    RefundStatus,
    TopUp,
    TopUpStatus,
    WalletState,
)
from billing.stripe_api.client import StripeRefused, is_configured
from fastanchor.lib.money import NANOS_PER_CENT
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)


class Obstacle(StrEnum):
    """Why an account cannot be deleted now, in words for its owner."""

    REQUESTS = "Requests are still running. Wait until they have ended, or stop your programs."
    UNKNOWN = "We cannot see just now whether requests are running. Try again in a minute."
    PAYMENT = "A payment is open or under review. One that nobody pays closes by itself within an hour."
    REFUND = "A refund is on its way to your card. Try again when it has arrived."
    DISPUTE = "A bank disputes a payment. Try again when that is decided."
    DEBT = "The balance is below zero. Add credit to settle it first."
    FROZEN = "Your credit is frozen. Write to us."


@dataclass(frozen=True, slots=True)
class Rest:
    """What is unused: goes back to cards (cents), was bought and cannot go back, was given (both nano-USD)."""

    refundable_cents: int
    lapsing_nano: int
    promo_nano: int

    @property
    def needs_consent(self) -> bool:
        """Tell whether bought credit of a cent or more would lapse."""
        return self.lapsing_nano >= NANOS_PER_CENT


def obstacles(organizations: Collection[Organization]) -> list[Obstacle]:
    """Return what stands in the way of deleting organizations; one query for all of them."""
    found = [_running(each) for each in organizations]
    for row in _standing(organizations):
        found += [
            Obstacle.PAYMENT if row["pays"] else None,
            Obstacle.REFUND if row["is_paid_back"] else None,
            Obstacle.DISPUTE if row["is_disputed"] else None,
            Obstacle.DEBT if (row["wallet__balance_nano"] or 0) < 0 else None,
            Obstacle.FROZEN if row["wallet__state"] == WalletState.FROZEN_FRAUD else None,
        ]
    return list(dict.fromkeys(each for each in found if each))


def _standing(organizations: Collection[Organization]) -> Iterable[Mapping[str, Any]]:
    of = OuterRef("pk")
    asked = [RefundStatus.REQUESTED, RefundStatus.PENDING]
    return (
        Organization.objects.filter(pk__in=[each.pk for each in organizations])
        .annotate(
            pays=Exists(TopUp.objects.filter(organization=of, status__in=[*PENDING, TopUpStatus.MISMATCHED])),
            is_paid_back=Exists(Refund.objects.filter(top_up__organization=of, status__in=asked)),
            is_disputed=Exists(disputes.undecided(of)),
        )
        .values("pays", "is_paid_back", "is_disputed", "wallet__balance_nano", "wallet__state")
    )


def _running(organization: Organization) -> Obstacle | None:
    if admission.is_degraded():
        return Obstacle.UNKNOWN
    try:
        known = holds.known_wallet(sync_client(), organization.pk)
    except RedisError:
        return Obstacle.UNKNOWN
    return Obstacle.REQUESTS if known and (known.running or known.held_nano) else None


def rest_of(organization: Organization) -> Rest:
    """Return what is unused of an organization's credit, and what becomes of it."""
    return rests_of([organization])[organization.pk]


def rests_of(organizations: Collection[Organization]) -> dict[str, Rest]:
    """Return what is unused of each organization's credit, as if all usage were posted already; one query."""
    ids = [each.pk for each in organizations]
    lots = (
        CreditLot.objects.filter(organization__in=ids, remaining_nano__gt=0)
        .annotate(
            unposted=F("organization__wallet__unposted_nano"),
            can_go_back=Exists(_payable().filter(journal=OuterRef("journal"))),
        )
        .order_by("organization_id", "priority", F("expires_at").asc(nulls_last=True), "id")
    )
    found = {pk: Rest(0, 0, 0) for pk in ids}
    for pk, group in groupby(lots, key=lambda lot: lot.organization_id):
        found[pk] = _rest(list(group))
    return found


def _rest(lots: list[Any]) -> Rest:
    unposted: int = lots[0].unposted or 0
    cents = lapsing = promo = 0
    for lot in lots:
        used = min(unposted, lot.remaining_nano)
        unposted -= used
        left = lot.remaining_nano - used
        if lot.kind != LotKind.PAID:
            promo += left
        elif lot.can_go_back:
            cents += left // NANOS_PER_CENT
            lapsing += left % NANOS_PER_CENT
        else:
            lapsing += left
    return Rest(cents, lapsing, promo)


def _payable() -> QuerySet[TopUp]:
    """Return the top-ups whose unused credit can go back; what a bank has refused once is not tried again."""
    if not is_configured():
        return TopUp.objects.none()
    refused = Refund.objects.filter(top_up=OuterRef("pk"), status=RefundStatus.FAILED)
    taken_back = Dispute.objects.filter(top_up=OuterRef("pk"), withdrawn_cents__gt=0)
    return TopUp.objects.filter(~Exists(refused), ~Exists(taken_back), status=TopUpStatus.SUCCEEDED)


def close(organization: Organization) -> None:
    """Let nothing be spent and nothing be bought automatically from now on; again it does nothing."""
    _turn(organization, WalletState.CLOSED)
    AutoTopUp.objects.filter(organization=organization).update(is_on=False, is_notice_due=False)


def reopen(organization: Organization) -> None:
    """Let be spent again what ``close`` has shut; the automatic top-up stays off."""
    if wallets.of(organization).state == WalletState.CLOSED:
        _turn(organization, WalletState.ACTIVE)


def _turn(organization: Organization, state: WalletState) -> None:
    with transaction.atomic(durable=True):
        wallet = wallets.lock(organization)
        # A freeze for fraud is staff's to lift; nothing can be spent under it either.
        if wallet.state != WalletState.FROZEN_FRAUD:
            wallets.turn(wallet, state)
        if state == WalletState.ACTIVE:
            disputes.freeze_or_thaw(wallet)
    wallets.publish([wallet])


def pay_back(organization: Organization, *, actor: str) -> None:
    """Send unused bought credit back to its cards; safe twice. Raises ``StripeUnavailable`` and ``refunds.InUse``."""
    unused = _payable().filter(organization=organization, journal__lot__remaining_nano__gt=0)
    waiting = list(unused.select_related("organization").order_by("created_at", "pk"))
    if not waiting:
        return
    with _opened(organization):
        for top_up in waiting:
            _pay_back(top_up, actor)


@contextmanager
def _opened(organization: Organization) -> Iterator[None]:
    """Let credit be set aside: there is none to take in a wallet that is closed."""
    _turn(organization, WalletState.ACTIVE)
    try:
        yield
    finally:
        _turn(organization, WalletState.CLOSED)


def _pay_back(top_up: TopUp, actor: str) -> None:
    cents = refunds.refundable_cents(TopUp.objects.select_related("journal__lot").get(pk=top_up.pk))
    if not cents:
        return
    try:
        sync.send_refund(refunds.request(top_up=top_up, cents=cents, actor=actor))
    except refunds.NotRefundable:
        # Another run has just asked for it.
        return
    except StripeRefused as exc:
        # It is in the wallet again, and its owner has said what shall become of it then.
        logger.warning("leaving.refund_refused", extra={"top_up": top_up.pk, "code": exc.code})


def is_asking(organization: Organization) -> bool:
    """Tell whether Stripe has not confirmed a refund yet."""
    return Refund.objects.filter(top_up__organization=organization, status=RefundStatus.REQUESTED).exists()


def finish(organization: Organization) -> None:
    """End what credit is left, and delete exports and who bought it, here and at Stripe; safe twice. Raises ``StripeFault``."""
    posting.end_credit(organization)
    jobs.forget(organization)
    if is_configured():
        customers.remove(organization)
    details.forget(organization)
