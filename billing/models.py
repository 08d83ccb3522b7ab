"""Tables of this app: the ledger, wallets, lots, spending of keys, usage records, dead letters.

Money is integer nano-USD. Journals, postings and usage records are only ever added: triggers in the database refuse
everything else. What a table means, and what must always hold, stands in ``billing/README.md``.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
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
    """Credit staff gave to put something right."""
    TOP_UP = "top_up", "Top-up"
    """Credit an organization bought."""
    USAGE = "usage", "Usage"
    """The usage of one organization since its last journal of this kind."""
    EXPIRY = "expiry", "Expiry"
    """Promotional credit that was not used in time."""
    CORRECTION = "correction", "Correction"
    """The reverse of an earlier journal."""


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
        indexes = [models.Index(fields=["organization", "-effective_at"], name="journal_by_organization")]

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


class WalletState(models.TextChoices):
    """Whether a wallet may be spent from."""

    ACTIVE = "active", "Active"
    """Spends down to its floor."""
    FROZEN_DISPUTE = "frozen_dispute", "Frozen: dispute"
    """A payment is disputed; nothing may be spent."""
    FROZEN_FRAUD = "frozen_fraud", "Frozen: fraud"
    """Staff suspects fraud; nothing may be spent."""
    CLOSED = "closed", "Closed"
    """The organization has left; nothing may be spent."""


class Wallet(models.Model):
    """The cached balance of one organization: its ledger accounts minus the usage not yet posted.

    It has no index beside its key, so that PostgreSQL can update the row in place at every settlement.
    """

    organization = models.OneToOneField(Organization, on_delete=models.PROTECT, primary_key=True)
    balance_nano = models.BigIntegerField(default=0)
    unposted_nano = models.BigIntegerField(
        default=0, help_text="Usage in the balance, not yet in the ledger."
    )
    floor_nano = models.BigIntegerField(default=0, help_text="Lowest balance; negative is a credit line.")
    version = models.PositiveBigIntegerField(default=0, help_text="Grows with every change of the balance.")
    state = models.CharField(max_length=20, choices=WalletState, default=WalletState.ACTIVE)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(unposted_nano__gte=0), name="wallet_unposted_not_negative"),
            models.CheckConstraint(condition=Q(floor_nano__lte=0), name="wallet_floor_not_positive"),
        ]

    def __str__(self) -> str:
        return f"Wallet of {self.organization_id}"

    @property
    def spendable_nano(self) -> int:
        """What may be spent or held in all, in nano-USD; never positive unless the wallet is active."""
        room = self.balance_nano - self.floor_nano
        return room if self.state == WalletState.ACTIVE else min(room, 0)


class LotKind(models.TextChoices):
    """Where a lot's credit came from."""

    PROMO = "promo", "Promotional"
    """Given by us; usually expires."""
    ADJUSTMENT = "adjustment", "Adjustment"
    """Given by staff to put something right."""
    PAID = "paid", "Paid"
    """Bought."""


class CreditLotQuerySet(models.QuerySet["CreditLot"]):
    """Lots in the orders that matter."""

    def consumable(self, organization_id: str) -> CreditLotQuerySet:
        """Return the lots that hold credit, in the order in which usage consumes them."""
        lots = self.filter(organization_id=organization_id, remaining_nano__gt=0)
        return lots.order_by("priority", F("expires_at").asc(nulls_last=True), "id")


class CreditLot(models.Model):
    """A batch of credit with one kind and expiry; usage consumes lots in the order of ``consumable``."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="lots", db_index=False
    )
    kind = models.CharField(max_length=20, choices=LotKind)
    granted_nano = models.BigIntegerField()
    remaining_nano = models.BigIntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    priority = models.SmallIntegerField(help_text="Lower is consumed first.")
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="lot")

    objects = CreditLotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(granted_nano__gt=0), name="lot_granted_positive"),
            models.CheckConstraint(
                condition=Q(remaining_nano__gte=0) & Q(remaining_nano__lte=F("granted_nano")),
                name="lot_remaining_within_granted",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "priority", "expires_at", "id"],
                condition=Q(remaining_nano__gt=0),
                name="lot_consumable",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(remaining_nano__gt=0, expires_at__isnull=False),
                name="lot_expiring",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} lot {self.pk}"


class KeySpend(models.Model):
    """What one API key has spent in one month (UTC) by settled usage."""

    key_id = models.CharField(max_length=40)
    month = models.CharField(max_length=6, help_text="YYYYMM of the requests' start.")
    cost_nano = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key_id", "month"], name="key_spend_once_a_month"),
            models.CheckConstraint(condition=Q(cost_nano__gte=0), name="key_spend_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} in {self.month}"


class Outcome(models.TextChoices):
    """How a request ended, which decides who pays."""

    COMPLETED = "completed", "Completed"
    """Served to its end: the caller pays the actual usage."""
    CLIENT_LEFT = "client_left", "Client left"
    """The caller hung up: it pays what the upstream billed, or input and what was relayed."""
    UPSTREAM_DIED = "upstream_died", "Upstream died"
    """The upstream broke off after content: the caller pays input and what was delivered, within its hold."""
    CUT = "cut", "Cut"
    """The credit ran out in mid-stream: the caller pays what was delivered."""
    FREE = "free", "Free"
    """Nothing was delivered, or the fault was ours: the caller pays nothing."""
    INTERRUPTED = "interrupted", "Interrupted"
    """The gateway process died: the caller pays the last estimate, within its hold."""


class UsageRecord(models.Model):
    """The one durable row of one request that an upstream billed or may have billed.

    Partitioned by month of ``started_at`` (``billing.partitions``); the database's primary key is
    ``(request_id, started_at)``, because a partitioned table's key must contain what it is partitioned by.
    """

    request_id = models.CharField(primary_key=True, max_length=64, db_collation="C")
    organization = models.ForeignKey(
        Organization,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="usage_records",
    )
    key_id = models.CharField(max_length=40)
    model_id = models.CharField(max_length=200)
    provider_id = models.CharField(max_length=80)
    channel_id = models.CharField(max_length=80)
    price_id = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    first_token_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="From start to first token."
    )
    is_stream = models.BooleanField()
    outcome = models.CharField(max_length=20, choices=Outcome)
    status = models.PositiveSmallIntegerField(help_text="HTTP status sent to the caller.")
    input_tokens = models.PositiveBigIntegerField()
    cached_tokens = models.PositiveBigIntegerField()
    cache_write_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    reasoning_tokens = models.PositiveBigIntegerField()
    cost_picos = models.PositiveBigIntegerField(help_text="Exact cost in pico-USD, before rounding.")
    cost_nano = models.PositiveBigIntegerField(help_text="What was charged, in nano-USD.")
    hold_nano = models.PositiveBigIntegerField()
    is_estimated = models.BooleanField()
    attempts = models.PositiveSmallIntegerField()
    finish_reason = models.CharField(max_length=40, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    upstream_id = models.CharField(max_length=200, blank=True)
    settled_at = models.DateTimeField(default=timezone.now)
    # Parts of the tokens above that have rates of their own, then what is billed beside tokens. The database fills in
    # zeros, so that a shipper of an older version can still settle.
    cache_write_1h_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    audio_input_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    cached_audio_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    audio_output_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    image_input_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    images = models.PositiveBigIntegerField(default=0, db_default=0)
    searches = models.PositiveBigIntegerField(default=0, db_default=0)
    characters = models.PositiveBigIntegerField(default=0, db_default=0)
    seconds = models.PositiveBigIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="usage_outcome_known"),
            models.CheckConstraint(
                condition=~Q(outcome="free") | Q(cost_nano=0), name="usage_free_costs_nothing"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-started_at", "request_id"], name="usage_by_organization")
        ]

    def __str__(self) -> str:
        return self.request_id


class DeadLetter(models.Model):
    """A record of a spool that could not be stored; numbers and ids only, kept until staff has dealt with it."""

    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the payload.")
    request_id = models.CharField(max_length=64)
    organization_id = models.CharField(max_length=64)
    payload = models.TextField(help_text="The record as JSON.")
    error = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"Dead letter {self.request_id}"
