"""How the business does: the ledger by day, what providers served by day, and what they billed for it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from billing.models.ledger import AccountCode, JournalKind


class _Booked(models.Model):
    """What journals of one kind moved on one account (of everybody's, for a wallet's) in one day (UTC)."""

    day = models.DateField(help_text="The day (UTC) in which the journals are effective.")
    kind = models.CharField(max_length=20, choices=JournalKind)
    code = models.CharField(max_length=40, choices=AccountCode)
    postings = models.BigIntegerField()
    amount_nano = models.BigIntegerField()

    class Meta:
        abstract = True


class LedgerDay(_Booked):
    """What a day came to; with ``LedgerDelta`` it is equal to the postings at every moment."""

    class Meta:
        default_permissions = ()
        permissions = [("view_figures", "Can see revenue, cost and liabilities, and what providers billed")]
        constraints = [models.UniqueConstraint(fields=["day", "kind", "code"], name="ledger_day_once")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.code} of {self.day}"


class LedgerDelta(_Booked):
    """What was booked and is not yet in ``LedgerDay``.

    The database writes it with the postings, so that nobody who books waits for others; a task adds it up and away.
    """

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} on {self.code} of {self.day}, not yet added"


class ServedDay(models.Model):
    """What customers were charged for requests that one provider served to one model in one day (UTC).

    Requests over customers' own keys are not in it: their provider is paid by them.
    """

    day = models.DateField(help_text="The day (UTC) in which the requests were started.")
    provider_id = models.CharField(
        max_length=80, help_text="Who served; not always the model's own provider."
    )
    model_id = models.CharField(max_length=200)
    requests = models.BigIntegerField(help_text="Requests that cost something.")
    cost_nano = models.BigIntegerField(help_text="What they were charged, in nano-USD.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["day", "provider_id", "model_id"], name="served_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.model_id} by {self.provider_id} on {self.day}"


class BillState(models.TextChoices):
    """Whether a file of a provider's bill counts."""

    WAITING = "waiting", "Waits for a confirmation"
    """It would replace what is there; nobody has confirmed that."""
    IN_FORCE = "in_force", "In force"
    """Its days count, but for those that a later file has replaced."""


class BillFile(models.Model):
    """One uploaded file of what a provider billed; the file itself is not kept, its digest and its lines are."""

    provider_id = models.CharField(max_length=80)
    name = models.CharField(max_length=200, help_text="As the file was called.")
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=20, choices=BillState, default=BillState.WAITING)
    lines = models.PositiveIntegerField()
    first_day = models.DateField()
    last_day = models.DateField()
    amount_nano = models.BigIntegerField()
    reason = models.CharField(max_length=300)
    uploaded_by = models.CharField(max_length=80, help_text="user:<id>.")
    uploaded_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.CharField(max_length=80, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [("upload_bill", "Can upload what providers billed")]
        constraints = [models.UniqueConstraint(fields=["provider_id", "sha256"], name="bill_file_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.provider_id}"


class ProviderBill(models.Model):
    """What a provider billed for a day, for one of its models or for all."""

    file = models.ForeignKey(BillFile, on_delete=models.CASCADE, related_name="bills")
    provider_id = models.CharField(max_length=80)
    day = models.DateField()
    model = models.CharField(
        max_length=200, blank=True, help_text="As the provider calls it; empty for the whole day."
    )
    amount_nano = models.BigIntegerField()
    is_current = models.BooleanField(
        default=False, help_text="It counts: confirmed, and not replaced by a later file."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["provider_id", "day", "model"],
                condition=Q(is_current=True),
                name="provider_bill_current_once",
            ),
            models.UniqueConstraint(fields=["file", "day", "model"], name="provider_bill_once_a_file"),
            models.CheckConstraint(condition=Q(amount_nano__gte=0), name="provider_bill_not_negative"),
        ]
        indexes = [
            models.Index(fields=["day"], condition=Q(is_current=True), name="provider_bill_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} on {self.day}: {self.model or 'all'}"
