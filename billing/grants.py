"""Credit that was not paid for: the sign-up credit, promotions, adjustments."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.utils import timezone

from accounts import organizations
from accounts.models import Organization
from billing import ledger, lots
from billing.models import AccountCode, Journal, JournalKind, LotKind

SIGNUP_CREDIT_LASTS = timedelta(days=90)
_JOURNAL_KINDS = {LotKind.PROMO: JournalKind.GRANT, LotKind.ADJUSTMENT: JournalKind.ADJUSTMENT}


class NoSignupCredit(Exception):
    """The organization gets no sign-up credit; the subclass says why."""


class AlreadyGranted(NoSignupCredit):
    """The organization, or the person who owns it, has had a sign-up credit."""


class NotOffered(NoSignupCredit):
    """The plan offers none, or nobody owns the organization."""


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


def grant_signup_credit(*, organization: Organization) -> Journal:
    """Grant the plan's sign-up credit, once per organization and once per person behind the owner's address.

    Raises ``AlreadyGranted`` or ``NotOffered``, both ``NoSignupCredit``.
    """
    amount_nano = organization.plan.signup_credit_nano
    if amount_nano <= 0:
        raise NotOffered
    key = f"promo:signup:{_owner_digest(organization)}"
    try:
        journal = _grant_signup(organization, amount_nano, key)
    except (ledger.KeyReused, IntegrityError) as exc:
        # Another organization of this person has had it, or this one had it under another address.
        raise AlreadyGranted from exc
    if not journal.is_new:
        raise AlreadyGranted
    return journal


def _grant_signup(organization: Organization, amount_nano: int, key: str) -> Journal:
    return lots.add(
        lots.Credit(
            organization=organization,
            kind=LotKind.PROMO,
            journal_kind=JournalKind.SIGNUP,
            amount_nano=amount_nano,
            paid_by=AccountCode.PROMO_EXPENSE,
            reason="Sign-up credit",
            actor="system",
            expires_at=timezone.now() + SIGNUP_CREDIT_LASTS,
        ),
        key=key,
    )


def _owner_digest(organization: Organization) -> str:
    """Return a mark of the owner that outlives the account, without keeping the address."""
    try:
        owner = organizations.canonical_owner_email(organization)
    except organizations.NoOwner as exc:
        raise NotOffered from exc
    return hashlib.sha256(owner.encode()).hexdigest()
