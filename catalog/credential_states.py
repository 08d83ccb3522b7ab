"""Which credentials of channels are in service, and who took the others out.

An upstream that refuses one takes it out, and the channel's others go on; a channel without any that works is left out
of the snapshot. What an upstream refused is tried again by a probe, first after five minutes, later every six hours.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts import audit
from catalog.credentials import main_credential, seal_secret
from catalog.models import Channel, Credential
from catalog.publish import announce_catalog
from catalog.verdicts import Refusal

logger = logging.getLogger(__name__)

MAIN = "main"
FIRST_RETRY = timedelta(minutes=5)
LONGEST_RETRY = timedelta(hours=6)


@transaction.atomic
def set_credential(*, channel: Channel, secret: str) -> Credential:
    """Give a saved channel its first secret, or another one in its place; raises ``BadCredential``."""
    credential = main_credential(channel) or Credential(channel=channel, name=MAIN)
    _replace(credential, secret)
    _record("replaced", credential, ends=credential.last4)
    return credential


@transaction.atomic
def save_credential(*, credential: Credential, secret: str = "") -> None:
    """Save a credential; a secret, if given, replaces the sealed one and is in service. Raises ``BadCredential``."""
    if secret:
        _replace(credential, secret)
        return
    credential.save()
    announce_catalog()


@transaction.atomic
def refuse_credential(refusal: Refusal) -> bool:
    """Take out of service what an upstream refused; tells whether it was in service in that very state until now."""
    pk, _, revision = refusal.credential.partition(".")
    credential = (
        Credential.objects.select_for_update().filter(pk=pk, revision=revision, is_enabled=True).first()
    )
    if credential is None:
        return False
    _take_out(credential, refusal.reason, retry_at=timezone.now() + FIRST_RETRY)
    _record("disabled", credential, reason=credential.disabled_reason)
    # Whose own key it is gets a mail; staff need not look.
    logger.log(
        logging.INFO if credential.channel.own_key else logging.ERROR,
        "catalog.credential.out",
        extra={
            "channel": credential.channel_id,
            "credential": credential.pk,
            "left": working(credential.channel_id).count(),
        },
    )
    return True


def disable_credential(*, credential: Credential, reason: str) -> None:
    """Take a credential out of service until staff put it back."""
    with transaction.atomic():
        _take_out(credential, reason, retry_at=None)
        _record("disabled", credential, reason=credential.disabled_reason)


@transaction.atomic
def enable_credential(*, credential: Credential) -> None:
    """Put a credential back into service."""
    _put_back(credential)
    credential.save(update_fields=_STATE)
    _record("enabled", credential)
    announce_catalog()


def due_for_retry() -> QuerySet[Credential]:
    """Return the credentials that an upstream refused and that should be tried again now."""
    return Credential.objects.filter(
        is_enabled=False, retry_at__lte=timezone.now(), channel__is_enabled=True
    ).order_by("channel__own_key", "retry_at", "pk")  # Ours first: customers' own keys may be many.


def wait_longer(*, credential: Credential) -> None:
    """Note that one was tried again and does not work yet."""
    wait = min(FIRST_RETRY * 2 ** min(credential.retries + 1, 10), LONGEST_RETRY)
    Credential.objects.filter(pk=credential.pk, is_enabled=False).update(
        retry_at=timezone.now() + wait, retries=F("retries") + 1
    )


def working(channel_id: str) -> QuerySet[Credential]:
    """Return a channel's credentials that are in service."""
    return Credential.objects.filter(channel=channel_id, is_enabled=True)


_STATE = ("is_enabled", "disabled_reason", "retry_at", "retries", "revision")


def _replace(credential: Credential, secret: str) -> None:
    seal_secret(credential=credential, secret=secret)
    _put_back(credential)
    credential.save()
    announce_catalog()


def _take_out(credential: Credential, reason: str, *, retry_at: datetime | None) -> None:
    credential.is_enabled = False
    credential.disabled_reason = reason[:200]
    credential.retry_at, credential.retries = retry_at, 0
    credential.save(update_fields=_STATE)
    announce_catalog()


def _put_back(credential: Credential) -> None:
    credential.is_enabled = True
    credential.disabled_reason = ""
    credential.retry_at, credential.retries = None, 0
    credential.revision += 1


def _record(what: str, credential: Credential, **after: object) -> None:
    audit.record(
        f"credential.{what}",
        subject=f"credential {credential.pk} of channel {credential.channel_id}",
        after=after,
    )
