"""The mail about an export that has ended, to whoever asked for it: a link to its page, which asks for the login."""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.utils import timezone

from billing import mails
from billing.exports import jobs, writers
from billing.models import Export, ExportState

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100


def tell(export: Export) -> bool:
    """Send the mail, once; when it cannot be handed over, it stays due. Tells whether it was sent."""
    # Claimed first, so that two workers do not both send it.
    if not jobs.untold().filter(pk=export.pk).update(told_at=timezone.now()):
        return False
    try:
        _send(export)
    except (OSError, SMTPException):
        logger.warning("exports.not_told", extra={"export": export.pk}, exc_info=True)
        Export.objects.filter(pk=export.pk).update(told_at=None)
        return False
    return True


def tell_due() -> int:
    """Send the mails that could not be sent before; returns how many."""
    return sum(map(tell, jobs.untold().select_related("asked_by", "organization")[:MOST_AT_ONCE]))


def _send(export: Export) -> None:
    if export.asked_by is None:
        return
    name = "export_ready" if export.state == ExportState.DONE else "export_failed"
    mails.send_to(
        [export.asked_by.email],
        export.organization,
        name,
        title=writers.of(export.kind).title(export),
        rows=export.rows_done,
        expires_at=export.expires_at,
        why=export.error,
        export_url=mails.link_to("export", export.pk),
    )
