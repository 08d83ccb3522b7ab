"""Tells, once for each time, that a provider refuses a credential: its owners of an own key, staff of one of ours."""

from __future__ import annotations

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, QuerySet
from django.template.loader import render_to_string

from accounts import organizations
from accounts.models import User
from billing import mails
from catalog.credential_states import working
from catalog.models import Credential, OwnKeyUse

MOST_AT_ONCE = 100


def send_due() -> int:
    """Mail whoever a credential concerns that was refused since they were last told; returns of how many it was.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; it stays due.
    """
    return sum(_tell(pk) for pk in list(_due().values_list("pk", flat=True)[:MOST_AT_ONCE]))


def _due() -> QuerySet[Credential]:
    # A time to try again says that the provider took it out, and nobody here.
    refused = Credential.objects.filter(
        is_enabled=False, retry_at__isnull=False, channel__is_enabled=True
    ).select_related("channel__provider")
    return refused.exclude(told_revision=F("revision")).order_by("pk")


@transaction.atomic
def _tell(pk: str) -> bool:
    # Of two workers the second finds nothing to tell.
    credential = _due().select_for_update(of=("self",), skip_locked=True).filter(pk=pk).first()
    if credential is None:
        return False
    Credential.objects.filter(pk=pk).update(told_revision=credential.revision)
    if credential.channel.own_key:
        _tell_owners(credential)
    else:
        _tell_staff(credential)
    return True


def _tell_owners(credential: Credential) -> None:
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


def _tell_staff(credential: Credential) -> None:
    channel = credential.channel
    facts = {
        "channel": channel,
        "credential": credential,
        "left": working(channel.pk).count(),
        "channels_url": mails.link_to("channels-now"),
    }
    EmailMessage(
        render_to_string("admin/emails/credential_refused_subject.txt", facts).strip(),
        render_to_string("admin/emails/credential_refused.txt", facts),
        to=[user.email for user in _who_can_help()],
    ).send()


def _who_can_help() -> list[User]:
    staff = User.objects.filter(is_staff=True, is_active=True).order_by("pk")
    return [user for user in staff if user.has_perm("catalog.change_credential")]
