"""Tells owners, once for each time, that the provider refuses a key of theirs."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, QuerySet

from accounts import organizations
from billing import mails
from catalog.models import Credential, OwnKeyUse

MOST_AT_ONCE = 100


def send_due() -> int:
    """Mail the owners of keys that were refused since they were last told; returns of how many keys.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; it stays due.
    """
    return sum(_tell(pk) for pk in list(_due().values_list("pk", flat=True)[:MOST_AT_ONCE]))


def _due() -> QuerySet[Credential]:
    # A time to try again says that the provider took it out, and not its owner.
    refused = Credential.objects.filter(
        is_enabled=False, retry_at__isnull=False, channel__is_enabled=True
    ).exclude(channel__own_key="")
    return refused.exclude(told_revision=F("revision")).order_by("pk")


@transaction.atomic
def _tell(pk: str) -> bool:
    # Of two workers the second finds nothing to tell.
    credential = _due().select_for_update(of=("self",), skip_locked=True).filter(pk=pk).first()
    if credential is None:
        return False
    Credential.objects.filter(pk=pk).update(told_revision=credential.revision)
    channel = credential.channel
    organization = channel.dedicated_to
    assert organization is not None
    mails.send_to(
        organizations.owner_emails(organization),
        organization,
        "own_key_refused",
        provider=channel.provider.name,
        ends=credential.last4,
        why=credential.disabled_reason,
        is_only=channel.own_key == OwnKeyUse.ONLY,
        key_url=mails.link_to("settings:provider-key", channel.pk),
    )
    return True
