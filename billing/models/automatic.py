"""What an organization has set for when its credit runs low: buying more by itself, and being told."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization


class AutoTopUp(models.Model):
    """How an organization's balance fills itself from a saved card."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="auto_top_up"
    )
    is_on = models.BooleanField(default=False)
    threshold_cents = models.PositiveBigIntegerField(help_text="Below this balance it buys.")
    target_cents = models.PositiveBigIntegerField(help_text="Up to this balance it buys.")
    month_cap_cents = models.PositiveBigIntegerField(help_text="The most it buys in a month (UTC).")
    failures = models.PositiveSmallIntegerField(default=0, help_text="Refusals in a row.")
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    is_notice_due = models.BooleanField(
        default=False, help_text="It was switched off, and its owner has yet to be told by mail."
    )
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "automatic top-up"
        constraints = [
            models.CheckConstraint(
                condition=Q(target_cents__gt=F("threshold_cents")), name="auto_top_up_target_above"
            )
        ]

    def __str__(self) -> str:
        return f"Automatic top-up of {self.organization_id}"


class LowBalanceAlert(models.Model):
    """Below which balance an organization is told by mail; once, until the balance has been well above it again."""

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, primary_key=True, related_name="low_balance_alert"
    )
    threshold_cents = models.PositiveBigIntegerField(help_text="0: no mail.")
    is_armed = models.BooleanField(default=True)
    told_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Low-balance alert of {self.organization_id}"
