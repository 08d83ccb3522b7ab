"""Channels and their routes: adding, changing, enabling. Every function announces what it changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from catalog.addresses import Resolve, normal_base_url, refuse_private, refuse_unsafe, resolve_host
from catalog.credential_states import set_credential
from catalog.models import Adapter, CatalogModel, Channel, Route
from catalog.publish import announce_catalog

SANDBOX = "sandbox"
# Where the sandbox speaks which protocol, below its address.
SANDBOX_PATHS: dict[str, str] = {
    Adapter.OPENAI: "/v1",
    Adapter.OPENAI_RESPONSES: "/v1",
    Adapter.ANTHROPIC: "/anthropic/v1",
    Adapter.GEMINI: "/gemini/v1beta",
    Adapter.DEEPSEEK: "/deepseek",
    Adapter.QWEN: "/qwen/v1",
}
DEFAULT_PRIORITY = 10


class UnknownModels(Exception):
    """Names that are no models; carries them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(f"No such models: {', '.join(self.names)}.")


class ChannelExists(Exception):
    """The provider already has a channel of that name."""


def checked_base_url(text: str, *, resolve: Resolve = resolve_host) -> str:
    """Return a base URL in normal form; raises ``BadAddress``.

    Only https and public addresses are allowed, unless the settings allow private ones.
    """
    base_url = normal_base_url(text)
    if not settings.ALLOW_PRIVATE_UPSTREAMS:
        refuse_private(base_url, resolve)
        refuse_unsafe(base_url)
    return base_url


@transaction.atomic
def add_channel(
    *, channel: Channel, credential: str, models: Sequence[str] = (), adapter: str = ""
) -> Channel:
    """Save a new channel with routes for the named models, or for all of its provider's, now and in future.

    Its ``base_url`` comes from ``checked_base_url``; without a name it is called by its id, without an ``adapter`` it
    speaks its provider's own. Raises ``BadCredential``, ``ChannelExists`` and ``UnknownModels``.
    """
    channel.name = channel.name or channel.id
    channel.adapter = adapter or channel.provider.adapter
    channel.follows_catalog = not models
    if Channel.objects.filter(provider=channel.provider, name=channel.name).exists():
        message = f"{channel.provider_id} already has a channel {channel.name!r}."
        raise ChannelExists(message)
    channel.save(force_insert=True)
    _record("channel.added", channel, provider=channel.provider_id, base_url=channel.base_url)
    set_credential(channel=channel, secret=credential)
    add_routes(channel=channel, models=models)
    return channel


@transaction.atomic
def save_channel(*, channel: Channel, credential: str = "") -> None:
    """Save a channel; a credential, if given, replaces its first one. Raises ``BadCredential``."""
    channel.save()
    if credential:
        set_credential(channel=channel, secret=credential)
    announce_catalog()


@transaction.atomic
def add_routes(*, channel: Channel, models: Sequence[str] = ()) -> int:
    """Add the routes that a channel lacks, for the named models or all of its provider's; returns how many.

    Raises ``UnknownModels``.
    """
    wanted = {model.pk: model for model in _models_for(channel, models)}
    if missing := set(models) - wanted.keys():
        raise UnknownModels(missing)
    present = set(channel.routes.values_list("model_id", flat=True))
    routes = [
        Route(model=model, channel=channel, upstream_model=upstream_name(channel, model))
        for model_id, model in wanted.items()
        if model_id not in present
    ]
    Route.objects.bulk_create(routes)
    if routes:
        announce_catalog()
    return len(routes)


@transaction.atomic
def remove_foreign_routes(*, channel: Channel) -> int:
    """Take from a channel of the sandbox the models that another one of its protocols serves; returns how many."""
    removed, _ = channel.routes.exclude(model__in=_spoken_by_sandbox(channel.adapter)).delete()
    if removed:
        announce_catalog()
    return removed


def upstream_name(channel: Channel, model: CatalogModel) -> str:
    """Return the name by which a channel calls a model: the provider's own, the sandbox uses ours."""
    return model.upstream_name if channel.provider_id == model.provider_id else model.pk


def follow_catalog() -> int:
    """Add routes for new models to the channels that follow their provider; returns how many."""
    return sum(
        add_routes(channel=channel) for channel in Channel.objects.filter(follows_catalog=True).order_by("pk")
    )


@transaction.atomic
def set_weights(*, weights: Mapping[str, int], reason: str) -> list[str]:
    """Give channels other shares of the calls; returns which of them changed. Raises ``audit.NoReason``."""
    rows = Channel.objects.select_for_update().filter(pk__in=weights, own_key="").order_by("pk")
    changed = [row for row in rows if row.weight != weights[row.pk]]
    if not changed:
        return []
    reason = audit.reasoned(reason)
    for row in changed:
        before, row.weight = row.weight, weights[row.pk]
        row.save(update_fields=["weight"])
        audit.record(
            "channel.weighed",
            subject=f"channel {row.pk}",
            before={"weight": before},
            after={"weight": row.weight},
            reason=reason,
        )
    announce_catalog()
    return [row.pk for row in changed]


def disable_channel(*, channel: Channel, reason: str) -> None:
    """Take a channel out of service and keep the reason for staff."""
    _set_enabled(channel, is_enabled=False, reason=reason)


def enable_channel(*, channel: Channel) -> None:
    """Put a channel back into service."""
    _set_enabled(channel, is_enabled=True, reason="")


@transaction.atomic
def _set_enabled(channel: Channel, *, is_enabled: bool, reason: str) -> None:
    channel.is_enabled = is_enabled
    channel.disabled_reason = reason[:200]
    channel.save(update_fields=["is_enabled", "disabled_reason"])
    _record("channel.enabled" if is_enabled else "channel.disabled", channel, reason=channel.disabled_reason)
    announce_catalog()


def _record(what: str, channel: Channel, **after: object) -> None:
    audit.record(what, subject=f"channel {channel.pk}", after=after)


def _models_for(channel: Channel, names: Sequence[str]) -> QuerySet[CatalogModel]:
    if names:
        return CatalogModel.objects.filter(pk__in=names)
    if channel.provider_id == SANDBOX:
        return _spoken_by_sandbox(channel.adapter)
    return CatalogModel.objects.filter(provider=channel.provider_id)


def _spoken_by_sandbox(adapter: str) -> QuerySet[CatalogModel]:
    """Return the models whose provider speaks a protocol; the common one serves where the sandbox lacks theirs."""
    own = CatalogModel.objects.filter(provider__adapter=adapter)
    if adapter != Adapter.OPENAI:
        return own
    return CatalogModel.objects.exclude(provider__adapter__in=set(SANDBOX_PATHS) - {Adapter.OPENAI})
