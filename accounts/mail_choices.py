"""Which mails a member wants, and the links by which they are stopped without logging in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.core import signing
from django.utils import timezone

from accounts.models import MailChoice, MailKind, Membership, Organization

_WANTED_UNLESS_SAID = {
    MailKind.LOW_BALANCE: True,
    MailKind.BUDGET: True,
    MailKind.PAYMENT: True,
    MailKind.NEWS: False,
}
_SALT = "accounts.mail_choices"


class UnknownLink(Exception):
    """The link is none of ours, or its member has left."""


def of(membership: Membership) -> dict[MailKind, bool]:
    """Return for each kind of mail whether a member wants it."""
    said = {MailKind(each.kind): each.is_wanted for each in membership.mail_choices.all()}
    return {**_WANTED_UNLESS_SAID, **said}


def change(membership: Membership, wanted: Mapping[MailKind, bool]) -> None:
    """Set which kinds a member wants from now on."""
    now = timezone.now()
    MailChoice.objects.bulk_create(
        [
            MailChoice(membership=membership, kind=kind, is_wanted=is_wanted, changed_at=now)
            for kind, is_wanted in wanted.items()
        ],
        update_conflicts=True,
        unique_fields=["membership", "kind"],
        update_fields=["is_wanted", "changed_at"],
    )


def wanting(organization: Organization, kind: MailKind, addresses: Iterable[str]) -> dict[str, Membership]:
    """Return the members behind these addresses who want mails of a kind, by address and in its order."""
    wanted = list(addresses)
    rows = organization.memberships.filter(user__email__in=wanted, user__is_active=True).select_related(
        "user"
    )
    members = {each.user.email: each for each in rows.prefetch_related("mail_choices")}
    return {at: members[at] for at in wanted if at in members and of(members[at])[kind]}


def token_of(membership: Membership, kind: MailKind) -> str:
    """Return what stands in the link that stops a kind of mail."""
    return signing.dumps([membership.pk, kind.value], salt=_SALT)


def read(token: str) -> tuple[Membership, MailKind]:
    """Return whom and what a link is about; raises ``UnknownLink``."""
    try:
        pk, kind = signing.loads(token, salt=_SALT)
        membership = Membership.objects.select_related("user", "organization").get(pk=pk)
    except (signing.BadSignature, Membership.DoesNotExist, ValueError) as exc:
        raise UnknownLink from exc
    return membership, MailKind(kind)
