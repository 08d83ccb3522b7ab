"""What an organization has: its wallet, and the lots of credit in it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from billing.models.ledger import Journal


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
        permissions = [("adjust_wallet", "Can give credit and take credit back")]

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
            models.Index(fields=["organization", "-id"], name="lot_by_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} lot {self.pk}"
