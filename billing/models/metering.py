"""Usage as Stripe is told of it, one event for an organization and a day."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization


class MeterPush(models.Model):
    """One event of Stripe's meter: what an organization used on a day, or what came in late for it.

    The row is committed before Stripe is told, so that nothing is told twice. Money is micro-USD.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="meter_pushes", db_index=False
    )
    day = models.DateField(help_text="UTC, by the start of the requests.")
    revision = models.PositiveSmallIntegerField(help_text="1 for the day itself, more for what came in late.")
    identifier = models.CharField(max_length=100, unique=True, help_text="By which Stripe knows it again.")
    customer = models.CharField(max_length=80, help_text="Whom at Stripe it is counted for.")
    value_micro = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "day", "revision"], name="meter_push_once"),
            models.CheckConstraint(condition=Q(value_micro__gt=0), name="meter_push_positive"),
        ]
        indexes = [models.Index(fields=["day"], condition=Q(sent_at=None), name="meter_push_unsent")]

    def __str__(self) -> str:
        return self.identifier
