"""The ledger: accounts, journals and their postings, which are only ever added."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from fastanchor.lib.ids import new_id


def new_journal_id() -> str:
    """Return a fresh ``jnl_`` id."""
    return new_id("jnl")


class AccountCode(models.TextChoices):
    """Where money can be; debits are positive, credits negative."""

    WALLET_PAID = "wallet_paid", "Wallet: paid"
    """What an organization has bought and not used; positive when it owes us."""
    WALLET_PROMO = "wallet_promo", "Wallet: promotional"
    """What we gave an organization and it has not used."""
    STRIPE_CLEARING = "stripe_clearing", "Stripe clearing"
    """Cash that Stripe holds for us."""
    MANUAL_CLEARING = "manual_clearing", "Manual clearing"
    """Cash received outside Stripe, recorded by staff."""
    USAGE_REVENUE = "usage_revenue", "Usage revenue"
    """What organizations have used."""
    PROMO_EXPENSE = "promo_expense", "Promotional expense"
    """What our gifts and adjustments cost us."""
    BANK = "bank", "Bank"
    """Cash that Stripe has paid out to us."""
    STRIPE_RESERVE = "stripe_reserve", "Stripe reserve"
    """Cash that Stripe keeps back from us for a while."""
    STRIPE_FEES = "stripe_fees", "Stripe fees"
    """What Stripe keeps for its work."""
    DISPUTE_LOSS = "dispute_loss", "Dispute loss"
    """Payments taken back after the credit was used."""
    BREAKAGE = "breakage", "Breakage"
    """Credit that expired unused."""
    ROUNDING = "rounding", "Rounding"
    """Parts of a cent that cannot be paid out."""


WALLET_CODES = frozenset({AccountCode.WALLET_PAID, AccountCode.WALLET_PROMO})


class Account(models.Model):
    """One place of money: a wallet's side of an organization, or one of ours (no organization)."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, db_index=False
    )
    code = models.CharField(max_length=40, choices=AccountCode)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "code"], nulls_distinct=False, name="account_once"
            ),
            models.CheckConstraint(
                condition=Q(organization__isnull=False, code__in=sorted(WALLET_CODES))
                | Q(organization__isnull=True) & ~Q(code__in=sorted(WALLET_CODES)),
                name="account_owner_fits_code",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} of {self.organization_id or 'FastAnchor'}"


class JournalKind(models.TextChoices):
    """Why money moved."""

    SIGNUP = "signup", "Sign-up credit"
    """The credit of a plan, once per organization and once per person."""
    GRANT = "grant", "Promotional credit"
    """Credit we gave, usually with an expiry."""
    ADJUSTMENT = "adjustment", "Adjustment"
    """Credit staff gave, or took, to put something right."""
    TOP_UP = "top_up", "Top-up"
    """Credit an organization bought."""
    REFUND = "refund", "Refund"
    """Unused credit on its way back to the card that bought it."""
    REFUND_FAILED = "refund_failed", "Failed refund"
    """A refund that did not reach its card: the credit is here again."""
    DISPUTE = "dispute", "Dispute"
    """A payment that its payer's bank took back, or gave back when we were right."""
    STRIPE = "stripe", "Stripe's own"
    """What Stripe does on our account for itself or for us: fees, payouts."""
    USAGE = "usage", "Usage"
    """The usage of one organization since its last journal of this kind."""
    EXPIRY = "expiry", "Expiry"
    """Promotional credit that was not used in time."""
    CORRECTION = "correction", "Correction"
    """What staff booked to settle an open item."""
    WRITE_OFF = "write_off", "Write-off"
    """A debt that we gave up, because a bank took back a payment whose credit was used."""


# What a numbered document is written about.
INVOICED = frozenset({JournalKind.TOP_UP, JournalKind.REFUND, JournalKind.REFUND_FAILED})


class Journal(models.Model):
    """One movement of money; its postings sum to zero, which the database checks at commit."""

    id = models.CharField(primary_key=True, max_length=40, default=new_journal_id, editable=False)
    idempotency_key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=20, choices=JournalKind)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, db_index=False
    )
    legs = models.PositiveSmallIntegerField(help_text="Number of postings; none can be added later.")
    effective_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=300)
    actor = models.CharField(max_length=80, help_text="Who did it: user:<id>, command:<name> or system.")
    reverses = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by"
    )
    source_type = models.CharField(max_length=40, blank=True)
    source_id = models.CharField(max_length=200, blank=True)

    # True only on the object returned by the very call of ``ledger.post`` that wrote it.
    is_new = False

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(legs__gte=2), name="journal_two_legs"),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(kind="signup"), name="journal_one_signup"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-effective_at"], name="journal_by_organization"),
            # For the lists of staff: of a day, and of a kind that is rare among a million.
            models.Index(fields=["effective_at", "id"], name="journal_by_day"),
            models.Index(fields=["kind", "id"], name="journal_by_kind"),
            models.Index(
                fields=["organization"], condition=Q(kind__in=sorted(INVOICED)), name="journal_invoiced"
            ),
            models.Index(
                fields=["source_id", "created_at"], condition=Q(kind="signup"), name="journal_signups_nearby"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Posting(models.Model):
    """One leg of a journal: debit positive, credit negative."""

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="postings", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="postings")
    amount_nano = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(amount_nano=0), name="posting_not_zero"),
            models.UniqueConstraint(fields=["journal", "account"], name="posting_once_per_account"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_nano} of {self.journal_id}"
