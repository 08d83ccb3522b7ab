"""What stands on invoices: who buys, and the numbered documents, which are only ever added."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization
from billing.models.ledger import Journal

# How many letters each part of the billing details may have.
LONGEST = {
    "name": 200,
    "line1": 200,
    "line2": 200,
    "city": 100,
    "state": 100,
    "postal_code": 20,
    "country": 2,
    "tax_id": 40,
}


class BillingDetails(models.Model):
    """Who an organization is to its tax office; what is empty is not known."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="billing_details"
    )
    name = models.CharField(
        max_length=LONGEST["name"], blank=True, help_text="Empty: the organization's own."
    )
    email = models.EmailField(blank=True, help_text="Empty: the owner's.")
    line1 = models.CharField(max_length=LONGEST["line1"], blank=True)
    line2 = models.CharField(max_length=LONGEST["line2"], blank=True)
    city = models.CharField(max_length=LONGEST["city"], blank=True)
    state = models.CharField(max_length=LONGEST["state"], blank=True)
    postal_code = models.CharField(max_length=LONGEST["postal_code"], blank=True)
    country = models.CharField(
        max_length=LONGEST["country"], blank=True, help_text="Two letters, as in ISO 3166-1."
    )
    actor = models.CharField(
        max_length=80, default="stripe", help_text="Who told us: user:<id>, or stripe for its own page."
    )
    # Each change is one more; a customer at Stripe remembers which one it was told.
    revision = models.PositiveIntegerField(default=0)
    refusal = models.CharField(max_length=300, blank=True, help_text="Why Stripe does not take them.")
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"billing details of {self.organization_id}"


class TaxId(models.Model):
    """A number under which an organization pays taxes, in Stripe's kinds and spelling."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="tax_ids")
    kind = models.CharField(max_length=20)
    value = models.CharField(max_length=LONGEST["tax_id"])
    refusal = models.CharField(max_length=300, blank=True, help_text="Why Stripe does not take it.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind", "value"], name="tax_id_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class InvoiceKind(models.TextChoices):
    """What a numbered document does."""

    INVOICE = "invoice", "Invoice"
    """Bills a top-up."""
    CREDIT_NOTE = "credit_note", "Credit note"
    """Takes back what an invoice bills, as far as it was paid back."""
    CANCELLATION = "cancellation", "Cancellation of a credit note"
    """Takes back a credit note whose refund did not reach its card."""


class InvoiceCounter(models.Model):
    """The number given last in a year; its row lock makes the numbers of two documents follow each other."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)
    issued_at = models.DateTimeField(help_text="No later document is dated before this.")

    def __str__(self) -> str:
        return f"{self.last} documents in {self.year}"


class Invoice(models.Model):
    """A numbered document about one journal, with seller and buyer as they were; rows are only added."""

    number = models.CharField(primary_key=True, max_length=20)
    year = models.PositiveSmallIntegerField()
    position = models.PositiveIntegerField(
        help_text="1 for the first document of a year, and no gap after it."
    )
    kind = models.CharField(max_length=20, choices=InvoiceKind)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="invoices", db_index=False
    )
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="invoice")
    corrects = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="corrections"
    )
    issued_at = models.DateTimeField()
    amount_cents = models.PositiveBigIntegerField(help_text="In US dollars, tax included.")
    tax_cents = models.PositiveBigIntegerField(default=0)
    seller: models.JSONField[Any, Any] = models.JSONField()
    buyer: models.JSONField[Any, Any] = models.JSONField()
    payment = models.CharField(max_length=120, help_text="How it was paid, in words.")
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["year", "position"], name="invoice_position_once"),
            models.CheckConstraint(condition=Q(position__gt=0, amount_cents__gt=0), name="invoice_positive"),
            models.CheckConstraint(condition=Q(tax_cents__lte=F("amount_cents")), name="invoice_tax_is_part"),
            models.CheckConstraint(
                condition=Q(kind="invoice", corrects__isnull=True)
                | ~Q(kind="invoice") & Q(corrects__isnull=False),
                name="invoice_corrects_another",
            ),
        ]
        indexes = [models.Index(fields=["organization", "-issued_at"], name="invoice_by_organization")]

    def __str__(self) -> str:
        return self.number
