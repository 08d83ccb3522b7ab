"""What people take away as files that take a while to write."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization, User
from fastanchor.lib.ids import new_id


def new_export_id() -> str:
    """Return a fresh ``exp_`` id."""
    return new_id("exp")


class ExportState(models.TextChoices):
    """How far an export is."""

    QUEUED = "queued", "Waiting"
    """Nobody has begun to write it."""
    RUNNING = "running", "Writing"
    """It is being written, or waits for its next piece."""
    DONE = "done", "Ready"
    """Its files can be downloaded until it expires."""
    FAILED = "failed", "Failed"
    """It could not be written; ``error`` tells why."""
    CANCELLED = "cancelled", "Cancelled"
    """Its people do not want it any more."""
    EXPIRED = "expired", "Expired"
    """Its files are gone."""


UNFINISHED = (ExportState.QUEUED, ExportState.RUNNING)


class Export(models.Model):
    """One export: what is wanted, how far it is, and the stored files that together are the download.

    It is written piece by piece (``billing.exports.runs``); who works on it has a lease, so that another can go on after
    the last stored part when a worker dies. ``kind`` names a writer (``billing.exports.writers``).
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_export_id, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="exports", db_index=False
    )
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    kind = models.CharField(max_length=30)
    file_format = models.CharField(max_length=10)
    wanted = models.JSONField(
        default=dict, blank=True, help_text="What is in it, in the words of its writer."
    )
    state = models.CharField(max_length=20, choices=ExportState, default=ExportState.QUEUED)
    asked_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    rows_about = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Rows expected, where known."
    )
    rows_done = models.PositiveBigIntegerField(default=0)
    parts = models.JSONField(default=list, blank=True, help_text="Stored files in order: name, size, rows.")
    part_begun = models.CharField(max_length=300, blank=True, help_text="A file that may be left behind.")
    position = models.CharField(max_length=200, blank=True, help_text="Where the next part begins.")
    lease = models.CharField(max_length=40, blank=True, help_text="Who works on it.")
    leased_until = models.DateTimeField(null=True, blank=True)
    losses = models.PositiveSmallIntegerField(default=0, help_text="How many workers died of it.")
    error = models.CharField(max_length=300, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="When the mail about its end was sent.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=ExportState.values), name="export_state_known")
        ]
        indexes = [
            models.Index(fields=["organization", "-asked_at", "id"], name="export_by_organization"),
            models.Index(fields=["asked_at"], condition=Q(state__in=UNFINISHED), name="export_unfinished"),
            models.Index(fields=["ended_at"], name="export_ended"),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part["size"] for part in self.parts)

    @property
    def is_unfinished(self) -> bool:
        """Tell whether it is still to be written."""
        return self.state in UNFINISHED
