"""The table of notes that staff writes about organizations; ``accounts.notes`` writes it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class OrganizationNote(models.Model):
    """What a member of staff wants the next one to know of a customer; the database refuses to change or delete it."""

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.PROTECT, related_name="notes", db_index=False
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    text = models.TextField(max_length=2000)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "note"
        indexes = [models.Index(fields=["organization", "-id"], name="note_by_organization")]
        constraints = [models.CheckConstraint(condition=~models.Q(text=""), name="note_says_something")]

    def __str__(self) -> str:
        return f"note {self.pk} about {self.organization_id}"
