"""The tables of notices that a model is retired: once for each model and date, with whom it goes to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class RetirementNotice(models.Model):
    """That staff had the organizations told that a model ends on a date."""

    model = models.ForeignKey(
        "catalog.CatalogModel", on_delete=models.CASCADE, related_name="retirement_notices"
    )
    retires_at = models.DateTimeField()
    ordered_at = models.DateTimeField(default=timezone.now)
    ordered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        permissions = [("send_retirementnotice", "Can have customers told that a model is retired")]
        constraints = [models.UniqueConstraint(fields=["model", "retires_at"], name="notice_once_a_date")]

    def __str__(self) -> str:
        return f"{self.model_id} until {self.retires_at:%Y-%m-%d}"


class RetirementMail(models.Model):
    """One organization to be told; a worker sends what has no time."""

    notice = models.ForeignKey(RetirementNotice, on_delete=models.CASCADE, related_name="mails")
    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, db_index=False, related_name="retirement_mails"
    )
    requests = models.PositiveBigIntegerField(help_text="Of the 30 days before.")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "notice"], name="retirement_mail_once")
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(sent_at__isnull=True), name="retirement_mail_due")
        ]

    def __str__(self) -> str:
        return f"{self.organization_id} of {self.notice_id}"
