"""The table of the audit log; ``accounts.audit`` writes it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """One change: when, by whom, from where, what, and how it was before and after.

    It names rows by their ids and refers to none of them, for it outlives them. The database refuses to change or delete
    it, but for one thing: the address of a person who has deleted the account is taken out.
    """

    at = models.DateTimeField(default=timezone.now)
    user_id = models.BigIntegerField(null=True)
    # As it was at that moment; empty where no person acted, or one who is gone.
    email = models.CharField(max_length=254, blank=True)
    # By what it was done where no person did it: the name of a command or a task.
    process = models.CharField(max_length=80, blank=True)
    address = models.GenericIPAddressField(null=True)
    organization_id = models.CharField(max_length=40, blank=True)
    # Why, in the words of the member of staff who did it.
    reason = models.CharField(max_length=300, blank=True, default="", db_default="")
    what = models.CharField(max_length=60)
    subject = models.CharField("object", max_length=200, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes = [
            models.Index(fields=["organization_id", "-id"], name="audit_by_organization"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
            models.Index(fields=["user_id", "-id"], name="audit_by_user"),
            models.Index(fields=["email", "-id"], name="audit_by_email"),
            # By the begin of it, too, in any collation.
            models.Index(
                fields=["what", "-id"],
                opclasses=["varchar_pattern_ops", "int8_ops"],
                name="audit_by_what_begins",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what} of {self.subject}" if self.subject else self.what
