"""Tells owners that a model which their organization uses is retired: once for each organization, model and date."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import organizations
from billing import mails
from catalog.retirement_tables import RetirementMail

MOST_AT_ONCE = 100


def send_due() -> int:
    """Send what was ordered and not sent yet; returns to how many organizations.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; it stays due.
    """
    due = RetirementMail.objects.filter(sent_at__isnull=True).order_by("pk")
    return sum(_send(pk) for pk in list(due.values_list("pk", flat=True)[:MOST_AT_ONCE]))


@transaction.atomic
def _send(pk: int) -> bool:
    # Of two workers the second finds nothing to send.
    rows = RetirementMail.objects.select_for_update(of=("self",), skip_locked=True)
    rows = rows.select_related("organization", "notice__model__provider", "notice__model__replaced_by")
    row = rows.filter(pk=pk, sent_at__isnull=True).first()
    if row is None:
        return False
    row.sent_at = timezone.now()
    row.save(update_fields=["sent_at"])
    model = row.notice.model
    mails.send_to(
        organizations.owner_emails(row.organization),
        row.organization,
        "model_retires",
        model=model,
        retires_at=row.notice.retires_at,
        requests=row.requests,
        model_url=mails.link_to("model", model.pk),
    )
    return True
