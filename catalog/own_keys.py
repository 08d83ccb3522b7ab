"""Customers' own keys of providers: each is a channel that serves its organization alone.

Requests of that organization for models of that provider go there first, and the provider is paid by the organization. The
secret is sealed like every credential, never shown again, and only ever sent to the provider's own address.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit, plans
from accounts.models import Organization, User
from catalog.channels import checked_base_url, disable_channel, enable_channel
from catalog.credential_states import set_credential
from catalog.models import Adapter, CatalogModel, Channel, Credential, OwnKeyUse, Provider
from catalog.publish import announce_catalog

# Their keys are of no use without a resource, a region or a project, which would be an address to enter.
NEED_MORE = frozenset({Adapter.AZURE, Adapter.BEDROCK, Adapter.VERTEX})


class OwnKeyRefused(Exception):
    """The key cannot be kept; the message can be shown to its owner."""


def is_allowed(organization: Organization) -> bool:
    """Tell whether an organization's plan lets it add keys of its own."""
    return organization.plan_id != plans.FREE


def offered() -> QuerySet[Provider]:
    """Return the providers whose own address needs nothing but a key, and whose models we know."""
    return (
        Provider.objects.exclude(base_url="")
        .exclude(adapter__in=NEED_MORE)
        .filter(pk__in=CatalogModel.objects.values("provider"))
        .order_by("name")
    )


def of(organization: Organization) -> QuerySet[Credential]:
    """Return an organization's own keys with their channels and providers."""
    found = Credential.objects.filter(channel__dedicated_to=organization).exclude(channel__own_key="")
    return found.select_related("channel__provider").order_by("channel__provider__name", "pk")


def add(*, organization: Organization, provider: Provider, secret: str, use: str, by: User) -> Channel:
    """Keep a key of a provider, in service at once; raises ``OwnKeyRefused``, ``BadCredential`` and ``BadAddress``."""
    _refuse_free(organization)
    _refuse_account(secret)
    if not offered().filter(pk=provider.pk).exists():
        message = f"{provider.name} needs more than a key."
        raise OwnKeyRefused(message)
    base_url = checked_base_url(provider.base_url)
    with transaction.atomic():
        # The lock keeps a second key of the same provider waiting until it can be seen here.
        Organization.objects.select_for_update().get(pk=organization.pk)
        if of(organization).filter(channel__provider=provider).exists():
            message = f"You already have a key of {provider.name}. Replace it, or remove it first."
            raise OwnKeyRefused(message)
        channel = Channel.objects.create(
            provider=provider,
            name=f"own key of {organization.pk}",
            adapter=provider.adapter,
            base_url=base_url,
            dedicated_to=organization,
            own_key=OwnKeyUse(use),
            follows_catalog=False,
        )
        credential = set_credential(channel=channel, secret=secret)
        _record("added", channel, by, use=use, ends=credential.last4)
    return channel


def replace(*, channel: Channel, secret: str, by: User) -> None:
    """Put another key in the place of one; it is in service at once. Raises ``OwnKeyRefused`` and ``BadCredential``."""
    if channel.dedicated_to is not None:
        _refuse_free(channel.dedicated_to)
    _refuse_account(secret)
    with transaction.atomic():
        credential = set_credential(channel=channel, secret=secret)
        _record("replaced", channel, by, ends=credential.last4)


def set_use(*, channel: Channel, use: str, by: User) -> None:
    """Say whether our channels may serve where the key does not."""
    before = channel.own_key
    with transaction.atomic():
        channel.own_key = OwnKeyUse(use)
        channel.save(update_fields=["own_key"])
        _record("use_changed", channel, by, before=before, use=use)
        announce_catalog()


def switch_off(*, channel: Channel, by: User) -> None:
    """Use a key no longer, and keep it."""
    with transaction.atomic():
        disable_channel(channel=channel, reason="Switched off by its owner.")
        _record("switched_off", channel, by)


def switch_on(*, channel: Channel, by: User) -> None:
    """Use a key again."""
    with transaction.atomic():
        enable_channel(channel=channel)
        _record("switched_on", channel, by)


@transaction.atomic
def remove(*, channel: Channel, by: User | None) -> None:
    """Forget a key for good; usage records keep the channel's id."""
    _record("removed", channel, by)
    channel.delete()
    announce_catalog()


def remove_all(organization: Organization, *, by: User | None) -> None:
    """Forget all keys of an organization that is leaving."""
    for credential in of(organization):
        remove(channel=credential.channel, by=by)


def _refuse_free(organization: Organization) -> None:
    if not is_allowed(organization):
        raise OwnKeyRefused("Keys of your own come with a paid plan.")


def _refuse_account(secret: str) -> None:
    if secret.lstrip().startswith("{"):
        raise OwnKeyRefused("Enter a plain key; service accounts cannot be used here.")


def _record(what: str, channel: Channel, by: User | None, **after: object) -> None:
    before = {"use": after.pop("before")} if "before" in after else {}
    audit.record(
        f"own_key.{what}",
        subject=f"own key {channel.pk} of {channel.provider_id}",
        organization_id=channel.dedicated_to_id or "",
        before=before,
        after=after,
        by=by,
    )
