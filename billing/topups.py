"""Top-ups: credit that an organization has bought."""

from __future__ import annotations

from accounts import organizations, plans
from accounts.models import Organization
from billing import invoices, lots
from billing.models import AccountCode, Journal, JournalKind, LotKind
from fastanchor.lib.money import cents_to_nanos


def record_top_up(*, organization: Organization, cents: int, key: str, actor: str) -> Journal:
    """Add credit paid for outside Stripe; a ``key`` seen before changes nothing and returns the first journal.

    The first payment moves a Free organization to Pay-as-you-go. Raises ``lots.AmountNotPositive`` and
    ``ledger.KeyReused``.
    """
    journal = lots.add(
        lots.Credit(
            organization=organization,
            kind=LotKind.PAID,
            journal_kind=JournalKind.TOP_UP,
            amount_nano=cents_to_nanos(cents),
            paid_by=AccountCode.MANUAL_CLEARING,
            reason="Top-up",
            actor=actor,
        ),
        key=key,
    )
    # Also after a repeated key: the first call may have died between the payment and this.
    invoices.write_for(organization)
    leave_free_plan(organization)
    return journal


def leave_free_plan(organization: Organization) -> None:
    """Move a Free organization to Pay-as-you-go, as its first payment does."""
    if Organization.objects.filter(pk=organization.pk, plan=plans.FREE).exists():
        organizations.change_plan(organization=organization, plan_code=plans.PAY_AS_YOU_GO, by=None)
