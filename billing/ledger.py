"""The ledger: ``post`` is the one function that writes postings.

Debits are positive, credits negative; the database checks at commit that a journal's legs sum to zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from accounts import audit
from accounts.models import Organization
from billing.models import WALLET_CODES, Account, AccountCode, Journal, JournalKind, Posting

# What nobody decided: it happens all the time, and the ledger itself is its record.
_UNTOLD = frozenset({JournalKind.USAGE, JournalKind.EXPIRY, JournalKind.STRIPE})


class KeyReused(Exception):
    """An idempotency key came back with another content than that of its ``first`` journal."""

    def __init__(self, first: Journal) -> None:
        super().__init__(f"The key {first.idempotency_key!r} belongs to journal {first.id}.")
        self.first = first


def post(  # noqa: PLR0913 - a journal has this many facts, and callers name each
    *,
    key: str,
    kind: JournalKind,
    legs: Mapping[AccountCode, int],
    organization: Organization | None,
    reason: str,
    actor: str,
    effective_at: datetime | None = None,
    source: tuple[str, str] = ("", ""),
    reverses: Journal | None = None,
) -> Journal:
    """Write one journal with its postings (nano-USD, debit positive, zero legs left out).

    Wallet accounts are those of ``organization``, all others are ours. A ``key`` seen before writes nothing and
    returns the first journal (``is_new`` is false), or raises ``KeyReused`` when its content differs. An unbalanced
    journal raises ``IntegrityError`` when the transaction commits.
    """
    amounts = {code: amount for code, amount in legs.items() if amount}
    journal = Journal(
        idempotency_key=key,
        kind=kind,
        organization=organization,
        legs=len(amounts),
        effective_at=effective_at or timezone.now(),
        reason=reason,
        actor=actor,
        source_type=source[0],
        source_id=source[1],
        reverses=reverses,
    )
    with transaction.atomic():
        first = _insert(journal)
        if first is not None:
            return _same(first, journal, amounts)
        _write_legs(journal, amounts)
        if kind not in _UNTOLD:
            _record(journal, amounts)
    journal.is_new = True
    return journal


def _record(journal: Journal, amounts: Mapping[AccountCode, int]) -> None:
    legs = {str(code): amount for code, amount in amounts.items()}
    audit.record(
        f"money.{journal.kind!s}",
        subject=f"journal {journal.pk}",
        organization_id=journal.organization_id or "",
        reason=journal.reason,
        after={
            "legs": legs,
            "reason": journal.reason,
            "actor": journal.actor,
            "key": journal.idempotency_key,
        },
    )


def _insert(journal: Journal) -> Journal | None:
    """Insert the journal, or return the one that has its key."""
    try:
        # Waits for another transaction that is writing the same key, then sees its journal below.
        with transaction.atomic():
            journal.save(force_insert=True)
    except IntegrityError:
        first = Journal.objects.filter(idempotency_key=journal.idempotency_key).first()
        if first is None:
            raise
        return first
    return None


def _same(first: Journal, again: Journal, amounts: Mapping[AccountCode, int]) -> Journal:
    is_same = (first.kind, first.organization_id) == (again.kind, again.organization_id)
    if not is_same or legs_of(first) != amounts:
        raise KeyReused(first)
    return first


def _write_legs(journal: Journal, amounts: Mapping[AccountCode, int]) -> None:
    accounts = _accounts(journal.organization, amounts.keys())
    Posting.objects.bulk_create(
        [
            Posting(journal=journal, account=accounts[code], amount_nano=amount)
            for code, amount in amounts.items()
        ]
    )


def _accounts(
    organization: Organization | None, codes: Collection[AccountCode]
) -> dict[AccountCode, Account]:
    # One order for everybody, so that two transactions never wait for each other's new accounts.
    wanted = [
        Account(organization=organization if code in WALLET_CODES else None, code=code)
        for code in sorted(codes)
    ]
    found = _find_accounts(organization, codes)
    if len(found) < len(wanted):
        Account.objects.bulk_create(
            [account for account in wanted if account.code not in found], ignore_conflicts=True
        )
        found = _find_accounts(organization, codes)
    return found


def _find_accounts(
    organization: Organization | None, codes: Collection[AccountCode]
) -> dict[AccountCode, Account]:
    ours = Account.objects.filter(
        organization=None, code__in=[code for code in codes if code not in WALLET_CODES]
    )
    theirs = Account.objects.filter(
        organization=organization, code__in=[code for code in codes if code in WALLET_CODES]
    )
    return {AccountCode(account.code): account for account in [*ours, *theirs]}


def legs_of(journal: Journal) -> dict[AccountCode, int]:
    """Return the legs of a journal in nano-USD."""
    rows = Posting.objects.filter(journal=journal).values_list("account__code", "amount_nano")
    return {AccountCode(code): amount for code, amount in rows}


def credit_of(organization: Organization) -> int:
    """Return what the ledger owes an organization in nano-USD; negative when it owes us."""
    postings = Posting.objects.filter(account__organization=organization, account__code__in=WALLET_CODES)
    total: int | None = postings.aggregate(total=Sum("amount_nano"))["total"]
    return -(total or 0)
