"""Reconciliation: each comparison of our books with Stripe's, and what it found."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from billing.models.ledger import Journal


class ReconciliationKind(models.TextChoices):
    """What is compared."""

    CASH = "cash", "Cash"
    """Stripe's balance transactions with the ledger."""
    USAGE = "usage", "Usage"
    """Usage records with journals, wallets and Stripe's meter."""


class ItemState(models.TextChoices):
    """Whether somebody still has to look at it."""

    OPEN = "open", "Open"
    """Nobody has explained it."""
    EXPLAINED = "explained", "Explained"
    """No money has to move; the note says why."""
    FIXED = "fixed", "Fixed"
    """A journal has put it right."""


class ReconciliationItem(models.Model):
    """One difference between our books and Stripe's; never put right in silence."""

    kind = models.CharField(max_length=40)
    subject = models.CharField(
        max_length=200, help_text="Whose: a Stripe id, an organization and day, a journal."
    )
    ours = models.CharField(max_length=200)
    theirs = models.CharField(max_length=200)
    missing_nano = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="What our books lack of the cash that Stripe holds for us, in nano-USD; empty where no cash differs.",
    )
    state = models.CharField(max_length=20, choices=ItemState, default=ItemState.OPEN)
    opened_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=80, blank=True)
    note = models.CharField(max_length=500, blank=True)
    journal = models.ForeignKey(
        Journal, on_delete=models.PROTECT, null=True, blank=True, related_name="settled_items"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(state="open"), name="reconciliation_item_open_once"
            )
        ]
        permissions = [("close_reconciliationitem", "Can close open items, with a journal or without")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"


class ReconciliationRun(models.Model):
    """One comparison."""

    kind = models.CharField(max_length=20, choices=ReconciliationKind)
    since = models.DateTimeField()
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    compared = models.PositiveIntegerField(default=0, help_text="How many things were compared.")
    findings = models.ManyToManyField(ReconciliationItem, related_name="runs", blank=True)

    def __str__(self) -> str:
        return f"{self.kind} since {self.since:%Y-%m-%d}"
