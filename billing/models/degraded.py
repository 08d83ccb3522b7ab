"""What PostgreSQL keeps while it stands in for Valkey: which of the two decides holds, and the holds themselves.

Ids stand here as plain text, without foreign keys: rows live for seconds, and writing one is a request's own wait.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Admission(models.Model):
    """Which store decides holds now; one row. Each change of it begins another period."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    period = models.PositiveBigIntegerField(default=1)
    is_degraded = models.BooleanField(default=False, help_text="PostgreSQL decides, because Valkey is away.")
    is_open = models.BooleanField(
        default=False, help_text="Every hold of before is known here, so that new ones may be placed."
    )
    since = models.DateTimeField(default=timezone.now)
    complete_epoch = models.CharField(
        max_length=80,
        blank=True,
        help_text="The life of Valkey's memory in which it took over with every hold in PostgreSQL.",
    )

    class Meta:
        verbose_name_plural = "admission"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="admission_is_one_row")]

    def __str__(self) -> str:
        return "PostgreSQL stands in for Valkey" if self.is_degraded else "Valkey decides"


class GatewayProcess(models.Model):
    """A process that serves ``/v1``, by the name of its spool: when it was heard of, and how it fares."""

    spool = models.CharField(max_length=60, primary_key=True)
    host = models.CharField(max_length=60)
    seen_at = models.DateTimeField(default=timezone.now)
    period = models.PositiveBigIntegerField(default=0, help_text="The last period that it has followed.")
    valkey_answers = models.BooleanField(default=True)
    placed = models.PositiveBigIntegerField(default=0, help_text="Holds that PostgreSQL has placed for it.")
    refused = models.PositiveBigIntegerField(
        default=0, help_text="Requests it had to refuse because no hold could be decided."
    )

    class Meta:
        verbose_name_plural = "gateway processes"

    def __str__(self) -> str:
        return self.spool


class SpoolHost(models.Model):
    """A host's shipper: the last period for which it has told all that its spools know."""

    host = models.CharField(max_length=60, primary_key=True)
    seen_at = models.DateTimeField(default=timezone.now)
    period = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.host


class DegradedHold(models.Model):
    """Money held for one request, as far as PostgreSQL has to know; its settlement deletes the row."""

    request_id = models.CharField(max_length=60, primary_key=True)
    organization_id = models.CharField(max_length=40, db_index=True)
    key_id = models.CharField(max_length=40)
    member = models.CharField(max_length=40, blank=True)
    amount_nano = models.BigIntegerField()
    spool = models.CharField(max_length=60)
    is_running = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_nano__gte=0), name="degraded_hold_not_negative")
        ]

    def __str__(self) -> str:
        return self.request_id
