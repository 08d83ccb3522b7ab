"""Tables of this app: notices that customers read on their dashboard, and who has put one away."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Level(models.TextChoices):
    """How loud a notice is."""

    INFO = "info", "Information"
    """News, nothing to do."""
    WARNING = "warning", "Warning"
    """Something that may concern the reader's requests or money."""


class Notice(models.Model):
    """What staff tells customers on every page of the dashboard, until each reader puts it away or it ends."""

    title = models.CharField(max_length=120)
    text = models.TextField(
        blank=True, max_length=1_000, help_text="Markdown; two sentences at most read well."
    )
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    starts_at = models.DateTimeField("from", default=timezone.now, help_text="UTC.")
    ends_at = models.DateTimeField(
        "until", null=True, blank=True, help_text="UTC; empty until somebody sets it."
    )
    plan = models.ForeignKey(
        "accounts.Plan",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="notices",
        help_text="Only organizations of this plan read it; empty for all.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="notice_ends_after_it_starts",
                violation_error_message="It has to end after it begins.",
            )
        ]

    def __str__(self) -> str:
        return self.title


class NoticeDismissal(models.Model):
    """A user has put a notice away."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="dismissals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="dismissals")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "notice"], name="notice_dismissed_once")]

    def __str__(self) -> str:
        return f"{self.notice_id} by {self.user_id}"
