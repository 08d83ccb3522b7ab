"""Credit that was not paid for: the sign-up credit, promotions, adjustments."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import emails, organizations
from accounts.models import Organization
from billing import ledger, lots, wallets
from billing.models import AccountCode, Journal, JournalKind, LotKind

SIGNUP_CREDIT_LASTS = timedelta(days=90)
# How many sign-up credits go to one neighbourhood of the internet within a day.
MOST_PER_NETWORK = 3
_NETWORK_WINDOW = timedelta(days=1)
_JOURNAL_KINDS = {LotKind.PROMO: JournalKind.GRANT, LotKind.ADJUSTMENT: JournalKind.ADJUSTMENT}


class NoSignupCredit(Exception):
    """The organization gets no sign-up credit; the subclass says why."""


class AlreadyGranted(NoSignupCredit):
    """The organization, or the person who owns it, has had a sign-up credit."""


class NotOffered(NoSignupCredit):
    """The plan offers none, or nobody owns the organization."""


class Disposable(NoSignupCredit):
    """The owner's mailbox is one that anybody opens for ten minutes."""


class TooManyNearby(NoSignupCredit):
    """As many of this neighbourhood as may have had one within a day."""


def grant(  # noqa: PLR0913 - each is a fact of the grant that only its caller knows
    *,
    organization: Organization,
    amount_nano: int,
    reason: str,
    key: str,
    actor: str,
    expires_at: datetime | None = None,
    kind: LotKind = LotKind.PROMO,
) -> Journal:
    """Add promotional or adjustment credit; a ``key`` seen before changes nothing and returns the first journal.

    Raises ``lots.AmountNotPositive``, ``ledger.KeyReused``, and ``KeyError`` for a kind that is bought.
    """
    return lots.add(
        lots.Credit(
            organization=organization,
            kind=kind,
            journal_kind=_JOURNAL_KINDS[kind],
            amount_nano=amount_nano,
            paid_by=AccountCode.PROMO_EXPENSE,
            reason=reason,
            actor=actor,
            expires_at=expires_at,
        ),
        key=key,
    )


def grant_signup_credit(*, organization: Organization, network: str = "") -> Journal:
    """Grant the plan's sign-up credit, once per organization and once per person behind the owner's address.

    ``network`` is the neighbourhood (``lib.networks``) that asks. Raises ``AlreadyGranted``, ``NotOffered``,
    ``Disposable`` or ``TooManyNearby``, all ``NoSignupCredit``.
    """
    amount_nano = organization.plan.signup_credit_nano
    if amount_nano <= 0:
        raise NotOffered
    key = f"promo:signup:{_owner_mark(organization)}"
    try:
        journal = _grant_signup(organization, amount_nano, key, network)
    except (ledger.KeyReused, IntegrityError) as exc:
        # Another organization of this person has had it, or this one had it under another address.
        raise AlreadyGranted from exc
    if not journal.is_new:
        raise AlreadyGranted
    return journal


def _grant_signup(organization: Organization, amount_nano: int, key: str, network: str) -> Journal:
    near = salted_hmac("billing.grants.network", network, algorithm="sha256").hexdigest() if network else ""
    credit = lots.Credit(
        organization=organization,
        kind=LotKind.PROMO,
        journal_kind=JournalKind.SIGNUP,
        amount_nano=amount_nano,
        paid_by=AccountCode.PROMO_EXPENSE,
        reason="Sign-up credit",
        actor="system",
        expires_at=timezone.now() + SIGNUP_CREDIT_LASTS,
        source=("network", near) if near else ("", ""),
    )
    with transaction.atomic(durable=True):
        if near:
            _check_nearby(near)
        wallet = wallets.lock(organization)
        journal = lots.add_to(wallet, credit, key=key)
    wallets.publish([wallet])
    return journal


def _check_nearby(near: str) -> None:
    """Raise ``TooManyNearby``; grants to one neighbourhood wait for each other here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [near])
    since = timezone.now() - _NETWORK_WINDOW
    granted = Journal.objects.filter(kind=JournalKind.SIGNUP, source_id=near, created_at__gte=since)
    if granted.count() >= MOST_PER_NETWORK:
        raise TooManyNearby


def _owner_mark(organization: Organization) -> str:
    """Return a mark of the owner that outlives the account, without keeping the address."""
    try:
        owner = organizations.canonical_owner_email(organization)
    except organizations.NoOwner as exc:
        raise NotOffered from exc
    if emails.is_disposable(owner):
        raise Disposable
    return emails.mark(owner)
