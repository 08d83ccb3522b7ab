"""What goes through Stripe: customers, cards, top-ups, refunds, disputes, events.

Amounts are whole cents, Stripe's own unit. A row that asks Stripe for something is committed before Stripe is asked: its
id is the idempotency key, so that a call whose answer was lost can be made again.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from billing.models.ledger import Journal
from fastanchor.lib.ids import new_id


def new_top_up_id() -> str:
    """Return a fresh ``top_`` id."""
    return new_id("top")


def new_refund_id() -> str:
    """Return a fresh ``ref_`` id."""
    return new_id("ref")


class StripeCustomer(models.Model):
    """An organization as Stripe knows it; one that was deleted at Stripe is succeeded by a new one."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="stripe_customers")
    stripe_id = models.CharField(max_length=80, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)
    details_revision = models.PositiveIntegerField(
        default=0, help_text="Which revision of the billing details Stripe was told."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=Q(deleted_at=None), name="stripe_customer_one_alive"
            )
        ]

    def __str__(self) -> str:
        return self.stripe_id


class PaymentMethod(models.Model):
    """A card that an organization has saved at Stripe; we know no more of it than its owner sees."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="payment_methods")
    customer = models.ForeignKey(StripeCustomer, on_delete=models.PROTECT, related_name="payment_methods")
    stripe_id = models.CharField(max_length=80, unique=True)
    brand = models.CharField(max_length=40)
    last4 = models.CharField(max_length=4)
    expires_year = models.PositiveSmallIntegerField()
    expires_month = models.PositiveSmallIntegerField()
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "saved card"
        constraints = [
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(is_default=True, removed_at=None),
                name="payment_method_one_default",
            )
        ]

    def __str__(self) -> str:
        return f"{self.brand} ending in {self.last4}"


class TopUpSource(models.TextChoices):
    """Who set off a top-up."""

    CHECKOUT = "checkout", "Checkout"
    """A member, on Stripe's page."""
    AUTO = "auto", "Automatic"
    """The balance, which fell below a threshold."""


class TopUpStatus(models.TextChoices):
    """How far a top-up has come; what ends one stands last."""

    CREATED = "created", "Created"
    """Stripe has not confirmed that it knows it."""
    OPEN = "open", "Waiting for payment"
    """Stripe's page is open, or the card wants its owner's consent."""
    PROCESSING = "processing", "Processing"
    """Paid in a way that takes days."""
    SUCCEEDED = "succeeded", "Succeeded"
    """Paid and credited."""
    FAILED = "failed", "Failed"
    """The payment was refused."""
    EXPIRED = "expired", "Expired"
    """Nobody paid in time."""
    MISMATCHED = "mismatched", "Under review"
    """Paid, but not what was ordered: not credited before staff has looked at it."""


# What may still become a payment.
PENDING = (TopUpStatus.CREATED, TopUpStatus.OPEN, TopUpStatus.PROCESSING)


class TopUp(models.Model):
    """Credit that an organization buys through Stripe; its id is part of every idempotency key."""

    id = models.CharField(primary_key=True, max_length=40, default=new_top_up_id, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="top_ups", db_index=False
    )
    amount_cents = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3, default="usd")
    source = models.CharField(max_length=20, choices=TopUpSource)
    status = models.CharField(max_length=20, choices=TopUpStatus, default=TopUpStatus.CREATED)
    actor = models.CharField(max_length=80, help_text="Who set it off: user:<id> or system.")
    stripe_session = models.CharField(max_length=120, unique=True, null=True, blank=True)
    stripe_intent = models.CharField(max_length=80, unique=True, null=True, blank=True)
    receipt_url = models.URLField(max_length=1000, blank=True)
    failure = models.CharField(
        max_length=300, blank=True, help_text="Why it was refused, in words for its payer."
    )
    failure_code = models.CharField(max_length=80, blank=True, help_text="Stripe's word for why.")
    card = models.ForeignKey(
        PaymentMethod,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="top_ups",
        help_text="The saved card that an automatic top-up charges.",
    )
    journal = models.OneToOneField(
        Journal, on_delete=models.PROTECT, null=True, blank=True, related_name="stripe_top_up"
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="top_up_positive"),
            models.CheckConstraint(condition=Q(currency="usd"), name="top_up_usd"),
            models.CheckConstraint(
                condition=Q(status="succeeded") & Q(journal__isnull=False)
                | ~Q(status="succeeded") & Q(journal__isnull=True),
                name="top_up_credited_once_succeeded",
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(source="auto", status__in=["created", "open", "processing"]),
                name="top_up_one_automatic_pending",
            ),
            models.CheckConstraint(
                condition=~Q(source="auto") | Q(card__isnull=False), name="top_up_automatic_has_card"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="top_up_by_organization"),
            models.Index(
                fields=["created_at"],
                condition=Q(status__in=["created", "open", "processing"]),
                name="top_up_pending",
            ),
        ]
        verbose_name = "top-up"
        permissions = [
            ("sync_topup", "Can sync with Stripe"),
            ("refund_topup", "Can pay unused credit back to its card"),
        ]

    def __str__(self) -> str:
        return f"{self.id} of {self.amount_cents} cents"


class RefundStatus(models.TextChoices):
    """How far a refund has come."""

    REQUESTED = "requested", "Requested"
    """Taken out of the wallet; Stripe has not confirmed that it knows it."""
    PENDING = "pending", "Pending"
    """On its way to the card."""
    SUCCEEDED = "succeeded", "Succeeded"
    """Paid back."""
    FAILED = "failed", "Failed"
    """Not paid back; the credit is in the wallet again."""


class Refund(models.Model):
    """Money on its way back to the card that paid a top-up."""

    id = models.CharField(primary_key=True, max_length=40, default=new_refund_id, editable=False)
    top_up = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="refunds")
    amount_cents = models.PositiveBigIntegerField()
    stripe_id = models.CharField(max_length=80, unique=True, null=True, blank=True)
    status = models.CharField(max_length=20, choices=RefundStatus, default=RefundStatus.REQUESTED)
    actor = models.CharField(
        max_length=80, help_text="Who asked for it: user:<id>, or stripe for its own pages."
    )
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_cents__gt=0), name="refund_positive")]

    def __str__(self) -> str:
        return f"{self.id} of {self.amount_cents} cents"


class Dispute(models.Model):
    """A payment that its payer's bank questions; an inquiry moves no money."""

    stripe_id = models.CharField(primary_key=True, max_length=80)
    top_up = models.ForeignKey(TopUp, on_delete=models.PROTECT, related_name="disputes")
    amount_cents = models.PositiveBigIntegerField()
    status = models.CharField(max_length=40, help_text="Stripe's own word.")
    reason = models.CharField(max_length=80)
    withdrawn_cents = models.PositiveBigIntegerField(
        default=0, help_text="What Stripe holds back, without its fee; 0 again when it was won."
    )
    write_off = models.OneToOneField(
        Journal,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="dispute",
        help_text="By which we gave up what the payer owed us for it.",
    )
    opened_at = models.DateTimeField()
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        permissions = [("write_off_dispute", "Can write off what a dispute has cost")]

    def __str__(self) -> str:
        return f"{self.stripe_id} ({self.status})"


class StripeEvent(models.Model):
    """An event that Stripe told of: a hint that something has changed. It is done with once ``processed_at`` is set."""

    stripe_id = models.CharField(primary_key=True, max_length=80)
    kind = models.CharField(max_length=80)
    created_at = models.DateTimeField(help_text="By Stripe's clock.")
    received_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["received_at"], condition=Q(processed_at=None), name="stripe_event_unprocessed"
            ),
            models.Index(fields=["-received_at", "-stripe_id"], name="stripe_event_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.stripe_id}"
